package scenarios

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What one fix came to takes the place of what it had come to, and of no other's.
func TestClaimsOfOtherFixesStay(t *testing.T) {
	t.Parallel()
	all := map[string]string{}
	for _, f := range Fixes() {
		all[f.Name] = "| " + f.Name + " | linearizable | was | |\n| " + f.Name + " | identity | was | |\n"
	}
	was := claimsTable("", all)
	require.Equal(t, 2*len(Fixes()), strings.Count(was, "| was |"))
	now := claimsTable(was, map[string]string{"ttl": "| ttl | bounded | is | |\n"})
	require.Equal(t, 2*len(Fixes())-2, strings.Count(now, "| was |"))
	require.Equal(t, 1, strings.Count(now, "| ttl | bounded | is | |\n"))
	require.Equal(t, now, claimsTable(now, nil))
}
