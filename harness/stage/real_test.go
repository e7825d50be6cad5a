//go:build real

package stage_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/onreal"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
	"ghostroute/harness/stage"
	"ghostroute/harness/wait"
)

// processOf is the process of a stage whose command line has this word.
func processOf(t *testing.T, s *stage.Stage, word string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range all {
		line, _ := os.ReadFile(file)
		words := strings.Split(string(line), "\x00")
		if strings.Contains(string(line), s.Cluster.Dir()) && strings.Contains(strings.Join(words, " ")+" ", " "+word+" ") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			require.NoError(t, err)
			return pid
		}
	}
	t.Fatalf("there is no process of %s", word)
	return 0
}

// A process that ends by itself is told once, with its command line and the last that it said: a member by whoever
// waits for it, a proxy by the stage's end.
func TestAProcessThatDiesIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	run := onreal.Program(t)
	c, err := etcd.Start(ctx, etcd.Config{Members: 1, Dir: t.TempDir(), History: history.New(),
		Programs: program.Alike(run)})
	require.NoError(t, err)
	s := stage.New(history.New(), c)
	s.Program = run
	_, err = s.StartProxy(ctx, "p2", proxy.Stock())
	require.NoError(t, err)
	p2 := processOf(t, s, "--data-dir "+filepath.Join(s.Cluster.Dir(), "p2"))
	require.NoError(t, syscall.Kill(p2, syscall.SIGKILL))
	require.NoError(t, wait.Until(ctx, "p2's owner does not notice", func() bool { return syscall.Kill(p2, 0) != nil }))
	require.NoError(t, syscall.Kill(processOf(t, s, "--name m1"), syscall.SIGKILL))
	_, err = s.Cluster.Leader(ctx)
	require.ErrorContains(t, err, "m1 ended by itself, signal: killed: ")
	require.ErrorContains(t, s.Close(), "p2 ended by itself, signal: killed: ")
	require.NoError(t, s.Close(), "it is told once")
	require.ErrorContains(t, s.Cluster.Close(), "m1 ended by itself")
}
