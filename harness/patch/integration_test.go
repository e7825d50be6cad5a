package patch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/patch"
)

// Their tests are of the etcd that the series is tried on, and run on the copy that is named.
func TestTheirTestsAreOfThisEtcd(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", "go.etcd.io/etcd/server/v3")
	version, err := list.Output()
	require.NoError(t, err)
	dir := t.TempDir()
	module := func(server string) string {
		require.NoError(t, patch.TestModule(dir, server))
		b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		require.NoError(t, err)
		return string(b)
	}
	stock := module("")
	require.NotContains(t, stock, "replace ")
	of := regexp.MustCompile(`go\.etcd\.io/etcd/(\S+) (\S+)`).FindAllStringSubmatch(stock, -1)
	require.NotEmpty(t, of)
	for _, m := range of {
		require.Equal(t, strings.TrimSpace(string(version)), m[2], m[1])
	}
	require.Contains(t, module("/there"), "\nreplace go.etcd.io/etcd/server/v3 => /there\n")
	require.FileExists(t, filepath.Join(dir, "go.sum"))
}
