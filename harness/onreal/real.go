//go:build real

package onreal

import (
	"cmp"
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/program"
)

// Program is the etcd that the variable GHOSTROUTE_ETCD means, a version or a path; 3.7.3 where it means none.
func Program(t testing.TB) program.Program {
	t.Helper()
	p, err := found()
	require.NoError(t, err)
	return p
}

var found = sync.OnceValues(func() (program.Program, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	return program.Find(ctx, cmp.Or(os.Getenv("GHOSTROUTE_ETCD"), "3.7.3"), nil)
})
