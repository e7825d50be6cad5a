package scenarios

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
)

func TestMatrix(t *testing.T) {
	pool, err := NewPool()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	var mu sync.Mutex
	cells := map[string]string{}
	began := time.Now()
	t.Cleanup(func() {
		fmt.Println("took", time.Since(began))
		f, _ := os.Create("/tmp/cells.txt")
		for _, s := range All() {
			for _, fx := range Fixes() {
				fmt.Fprintf(f, "%-32s %-18s %s\n", s.Name, fx.Name, cells[s.Name+"/"+fx.Name])
			}
		}
		f.Close()
	})
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			for _, f := range Fixes() {
				t.Run(f.Name, func(t *testing.T) {
					t.Parallel()
					for _, reading := range []gateway.Kind{gateway.EachRequest, gateway.GoMicro} {
						label := trial(t, pool, s, f, reading)
						mu.Lock()
						cells[s.Name+"/"+f.Name] += fmt.Sprintf("%-14s", label)
						mu.Unlock()
					}
				})
			}
		})
	}
}

func trial(t *testing.T, pool *Pool, s Scenario, f Fix, reading gateway.Kind) string {
	if s.NA != nil && s.NA(f) != "" || s.Only != "" && s.Only != reading {
		return "n/a"
	}
	ctx, cancel := harness.Context(t)
	defer cancel()
	ctx, done := context.WithTimeout(ctx, 20*time.Second)
	defer done()
	c, err := pool.Take(ctx)
	require.NoError(t, err)
	began := time.Now()
	r, err := Try(ctx, c, s, f, reading)
	took := time.Since(began)
	require.NoError(t, err)
	require.NoError(t, pool.Give(ctx, c))
	t.Logf("%s: %s (%v)", reading, r.Verdict, took.Round(time.Millisecond))
	if os.Getenv("DUMP") != "" {
		out, _ := os.Create(fmt.Sprintf("/tmp/dump-%s-%s-%s.jsonl", s.Name, f.Name, reading))
		history.Encode(out, r.Events)
		out.Close()
	}
	return r.Verdict.Label()
}
