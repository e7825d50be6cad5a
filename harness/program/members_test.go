package program

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func of(versions ...string) (m Members) {
	for i, v := range versions {
		m[i] = Program{Path: "/" + v, Version: v, Release: v}
	}
	return m
}

func TestMembersBeginAnewAtTheFirst(t *testing.T) {
	t.Parallel()
	two := of("3.5.35", "3.6.16")
	for i, want := range []string{"3.5.35", "3.6.16", "3.5.35", "3.6.16", "3.5.35"} {
		require.Equal(t, want, two.Of(i+1).Version)
	}
	require.Equal(t, "3.7.3", Alike(of("3.7.3")[0]).Of(3).Version)
	require.Equal(t, Program{}, Members{}.Of(1))
	five := of("1", "2", "3", "4", "5")
	require.Equal(t, "5", five.Of(5).Version)
	require.Equal(t, "1, 2, 3, 4 and 5", five.Name())
	require.Equal(t, "3.5.35 and 3.6.16", two.Name())
	require.Equal(t, "etcd 3.5.35 and 3.6.16", two.String())
	require.Equal(t, "the embedded etcd", Members{}.String())
	require.Equal(t, []string{"/3.5.35", "/3.6.16"}, two.Paths())
}

func TestMembersMoreThanAMinorVersionApartAreRefused(t *testing.T) {
	t.Parallel()
	for _, good := range []Members{{}, of("3.5.35"), of("3.5.35", "3.6.16"), of("3.7.3", "3.6.16", "3.7.0-beta.0"),
		of("main", "main")} {
		require.NoError(t, good.Check())
	}
	for _, bad := range []Members{of("3.5.35", "3.6.16", "3.7.3"), of("3.7.3", "3.6.16", "3.5.35")} {
		require.EqualError(t, bad.Check(),
			"etcd 3.5.35 and 3.7.3 cannot be members of one cluster: they are more than one minor version apart")
	}
	require.ErrorContains(t, of("3.4.23", "3.4.23", "3.6.16").Check(), "etcd 3.4.23 and 3.6.16 cannot be")
}
