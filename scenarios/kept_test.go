package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/explore/plan"
)

// kept is a plan in fixtures/found: a comment, "# check: …; fix: …; cause: …", and the plan.
type kept struct {
	Check, Fix, Cause string
	Plan              plan.Plan
}

func (k kept) String() string {
	return fmt.Sprintf("# check: %s; fix: %s; cause: %s\n%s", k.Check, k.Fix, k.Cause, k.Plan)
}

func (k kept) write(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(foundDir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(foundDir, name+".txt"), []byte(k.String()), 0o644))
}

func readKept(t *testing.T, file string) (k kept) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	first, rest, _ := strings.Cut(string(text), "\n")
	for part := range strings.SplitSeq(strings.TrimPrefix(first, "# "), "; ") {
		name, value, ok := strings.Cut(part, ": ")
		field := map[string]*string{"check": &k.Check, "fix": &k.Fix, "cause": &k.Cause}[name]
		require.True(t, field != nil && (ok || name == "cause:"), "%s: its first line is %q and should be \"# check: …; fix: …; cause: …\"", file, first)
		*field = value
	}
	k.Plan, err = plan.Parse(rest)
	require.NoError(t, err, file)
	return k
}
