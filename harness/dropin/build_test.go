package dropin

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var top = filepath.Join("..", "..")

// The drop-in's patch applies on top of the series, and package fresh is put beside it as it is here.
func TestItIsTheSeriesAndPackageFresh(t *testing.T) {
	t.Parallel()
	s, err := read(top)
	require.NoError(t, err)
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "go.etcd.io/etcd/server/v3")
	where, err := list.Output()
	require.NoError(t, err)
	module := t.TempDir()
	for _, dir := range []string{"proxy", "etcdmain"} {
		from := filepath.Join(strings.TrimSpace(string(where)), dir)
		require.NoError(t, os.CopyFS(filepath.Join(module, dir), os.DirFS(from)))
	}
	require.NoError(t, s.into(t.Context(), module))
	main, err := os.ReadFile(filepath.Join(module, "etcdmain", "grpc_proxy.go"))
	require.NoError(t, err)
	require.Contains(t, string(main), "grpcProxyKVCache.Check(cmd.Flags())")
	ours, err := os.ReadFile(filepath.Join(top, "harness", "proxy", "fresh", "revalidate.go"))
	require.NoError(t, err)
	theirs, err := os.ReadFile(filepath.Join(module, "proxy", "grpcproxy", "fresh", "revalidate.go"))
	require.NoError(t, err)
	require.Equal(t, string(ours), string(theirs))
	tests, err := filepath.Glob(filepath.Join(module, "proxy", "grpcproxy", "fresh", "*_test.go"))
	require.NoError(t, err)
	require.Empty(t, tests, "they stand on what is ours")
}

// It is of the etcd that everything else is tried on.
func TestItIsOfThisEtcd(t *testing.T) {
	t.Parallel()
	version, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}",
		"go.etcd.io/etcd/server/v3").Output()
	require.NoError(t, err)
	require.Equal(t, "v"+of, strings.TrimSpace(string(version)))
}

// What the drop-in is made of decides which program it is.
func TestAnotherSourceIsAnotherProgram(t *testing.T) {
	t.Parallel()
	copied := t.TempDir()
	for _, dir := range []string{"fixtures/patches", "harness/proxy/fresh"} {
		require.NoError(t, os.CopyFS(filepath.Join(copied, dir), os.DirFS(filepath.Join(top, dir))))
	}
	one, err := read(top)
	require.NoError(t, err)
	same, err := read(copied)
	require.NoError(t, err)
	require.Equal(t, one.bytes, same.bytes)
	for _, file := range []string{"harness/proxy/fresh/mode.go", "fixtures/patches/drop-in.patch"} {
		file = filepath.Join(copied, file)
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, append(b, "// x\n"...), 0o644))
		other, err := read(copied)
		require.NoError(t, err)
		require.NotEqual(t, same.bytes, other.bytes, file)
		same = other
	}
	require.NoError(t, os.RemoveAll(filepath.Join(copied, "harness")))
	_, err = read(copied)
	require.ErrorContains(t, err, "has no package fresh")
}
