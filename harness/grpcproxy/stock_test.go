package grpcproxy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/internal/stock"
)

// TestACopyIsStock undoes the cures of each file and compares what is left with the file in etcd's module, token for
// token: comments and where lines break are free.
func TestACopyIsStock(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "go.etcd.io/etcd/server/v3").Output()
	require.NoError(t, err)
	upstream := filepath.Join(strings.TrimSpace(string(out)), "proxy", "grpcproxy")
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	copies := 0
	for _, file := range files {
		original, err := os.ReadFile(filepath.Join(upstream, file))
		if os.IsNotExist(err) {
			require.Contains(t, []string{"cures.go", "stock_test.go"}, file, "it is no file of upstream's")
			continue
		}
		require.NoError(t, err)
		ours, err := os.ReadFile(file)
		require.NoError(t, err)
		stock.Same(t, file, string(original), string(ours))
		copies++
	}
	require.Equal(t, 7, copies)
}
