package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
)

// TestAStressCountsKeepsAndGoesOn runs a command that fails the second time, is interrupted before the third, and goes
// on.
func TestAStressCountsKeepsAndGoesOn(t *testing.T) {
	t.Parallel()
	ctx, cancel := harness.Context(t)
	defer cancel()
	dir := t.TempDir()
	counted := filepath.Join(t.TempDir(), "counted")
	shell := func(times int, last string) []Bout {
		return []Bout{{Name: "shell", Times: times, Under: true, Command: []string{"sh", "-c", fmt.Sprintf(
			`mkdir "$0" && echo >>%[1]s && case $(wc -l <%[1]s) in 2) echo broken; exit 3;; 3) %[2]s;; esac`, counted, last)}}}
	}
	var said strings.Builder
	interrupted, interrupt := context.WithCancel(ctx)
	out := Output{Writer: &writer{&said, func(s string) {
		if strings.HasPrefix(s, "shell: 2 of 4") {
			interrupt()
		}
	}}, Dir: dir}
	_, err := Stress(interrupted, out, shell(4, "sleep 1000"))
	require.ErrorIs(t, err, context.Canceled)
	require.Contains(t, said.String(), "shell 2 failed, exit status 3: ")

	said.Reset()
	failed, err := Stress(ctx, Output{Writer: &said, Dir: dir}, shell(4, "true"))
	require.NoError(t, err)
	require.Equal(t, 1, failed)
	require.NotContains(t, said.String(), "shell: 2 of 4")
	require.Contains(t, said.String(), "shell: 4 of 4, 1 failed, ")
	logs, err := filepath.Glob(filepath.Join(dir, "*", "shell-*"))
	require.NoError(t, err)
	require.Len(t, logs, 2, "the log and the folder of the run that failed")
	log, err := os.ReadFile(logs[1])
	require.NoError(t, err)
	require.Equal(t, "broken\n", string(log))
	require.NoFileExists(t, filepath.Join(dir, "state.json"))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "state.json"), []byte("{}"), 0o644))
	said.Reset()
	failed, err = Stress(ctx, Output{Writer: &said, Dir: dir}, shell(1, "true"))
	require.NoError(t, err)
	require.Zero(t, failed)
	require.Contains(t, said.String(), "it begins anew")
	nothing := []Bout{{Name: "nothing", Times: 1, Command: []string{"no-such-command"}}}
	_, err = Stress(ctx, Output{Writer: &said, Dir: dir}, nothing)
	require.ErrorContains(t, err, "no-such-command")
}

// writer hears what is written.
type writer struct {
	*strings.Builder
	hear func(string)
}

func (w *writer) Write(b []byte) (int, error) {
	w.hear(string(b))
	return w.Builder.Write(b)
}
