package keys_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/keys"
)

func TestNodeAndParseAreInverse(t *testing.T) {
	require.Equal(t, "/micro/registry/greeter/greeter-v1-a", keys.Node("greeter", "v1-a"))
	service, id, ok := keys.Parse(keys.Node("greeter", "v1-a"))
	require.Equal(t, []any{"greeter", "v1-a", true}, []any{service, id, ok})
	service, id, ok = keys.Parse("/micro/registry/greeter/elsewhere")
	require.Equal(t, []any{"greeter", "elsewhere", true}, []any{service, id, ok})
	require.Equal(t, "/micro/registry/a-b/", keys.Service("a/b"))
	for _, key := range []string{"", keys.Registry, "/micro/registry/greeter", "/micro/registry/greeter/",
		"/micro/registry//x",
		"/micro/registry/a/b/c", "/other/greeter/x"} {
		_, _, ok := keys.Parse(key)
		require.False(t, ok, key)
	}
}

func TestPrefixEndIsClientv3s(t *testing.T) {
	for _, prefix := range []string{"a", "/micro/registry/", "a\xff", "\xff\xff", ""} {
		require.Equal(t, clientv3.GetPrefixRangeEnd(prefix), keys.PrefixEnd(prefix), "%q", prefix)
	}
}

func TestRanges(t *testing.T) {
	require.True(t, keys.In("a", "a", ""))
	require.False(t, keys.In("b", "a", ""))
	require.True(t, keys.In("b", "a", keys.FromKey))
	require.True(t, keys.In("ab", "a", "b"))
	require.False(t, keys.In("b", "a", "b"), "the end is not in its range")
	require.True(t, keys.Overlap("a", "c", "b", ""))
	require.True(t, keys.Overlap("b", "", "a", "c"))
	require.True(t, keys.Overlap("a", keys.FromKey, "x", "y"))
	require.False(t, keys.Overlap("a", "b", "b", "c"))
}

func TestWithin(t *testing.T) {
	t.Parallel()
	for r, want := range map[[2]string]bool{
		{"a/", ""}: true, {"a/x", ""}: true, {"a/", "a0"}: true, {"a/b", "a/c"}: true, {"a/b", "a/a"}: true,
		{"a", ""}: false, {"b", ""}: false, {"a/", "a1"}: false, {"a/", keys.FromKey}: false, {"a", "a0"}: false,
		{"", ""}: false,
	} {
		require.Equal(t, want, keys.Within(r[0], r[1], "a/"), r)
	}
}
