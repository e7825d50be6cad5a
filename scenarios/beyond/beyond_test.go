package beyond

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/promise"
	"ghostroute/scenarios"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, gateway.KnownLeaks()...) }

// TestEachDefectIsThereAndEachCureCures tries each scenario without a fix, past the proxy, and with every fix that
// changes it.
func TestEachDefectIsThereAndEachCureCures(t *testing.T) {
	expected, err := Expected()
	require.NoError(t, err)
	table, err := NewTable(expected, harness.Evidence(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, table.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	require.NoError(t, table.Try(ctx, Pairs(Scenarios(), expected.Matters), 12, func(p Pair, cell Cell) {
		if len(cell.Again) > 0 {
			harness.Again(t, cell)
		}
		assert.Empty(t, cell.News)
		for _, proof := range cell.Question.Proofs { // without what proves the fault the same history proves nothing
			rest := slices.DeleteFunc(slices.Clone(cell.Events), proof.Shows)
			assert.Equal(t, "unknown", promise.Judge(rest, cell.Question).Outcome, "%s: %s", p.Name, proof.What)
		}
	}))
}

// TestWhatIsUnknownIsTriedAgain has a scenario whose fault fails to show until its last attempt.
func TestWhatIsUnknownIsTriedAgain(t *testing.T) {
	t.Parallel()
	table, err := NewTable(Verdicts{{"late", "none"}: "kept"}, t.ArtifactDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, table.Close()) }()
	tried := 0
	s := Scenario{Name: "late", Clients: []string{"c1"}, Act: func(b *Bench) error {
		if tried++; tried < attempts {
			return fmt.Errorf("attempt %d was late", tried)
		}
		_, err := b.list("c1", "k/")
		return err
	}}
	cell, err := table.Cell(t.Context(), s, Fixes()[0])
	require.NoError(t, err)
	require.Empty(t, cell.News)
	require.Equal(t, []string{"the trial was not carried out: attempt 1 was late",
		"the trial was not carried out: attempt 2 was late"}, cell.Again)
	require.Contains(t, cell.String(), "late against none was tried again: the trial was not carried out: attempt 1")
	tried = -1 // and not for ever
	cell, err = table.Cell(t.Context(), s, Fixes()[0])
	require.NoError(t, err)
	require.Contains(t, cell.News, "it is    unknown: the trial was not carried out: attempt 2 was late")
}

// TestWhatIsPutIsSeenAsCommitted: else a watch that stands by then would be ahead of all that etcd ever came to.
func TestWhatIsPutIsSeenAsCommitted(t *testing.T) {
	t.Parallel()
	table, err := NewTable(Verdicts{{"puts", "none"}: "kept"}, t.ArtifactDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, table.Close()) }()
	s := Scenario{Name: "puts", Clients: []string{"c1"}, Act: func(b *Bench) error {
		for range 200 {
			rev, err := b.put("k/1")
			if err != nil {
				return err
			}
			if top, _ := promise.Reached(b.History.Events()); top != rev {
				return fmt.Errorf("revision %d is written, and %d is the last that the history has", rev, top)
			}
		}
		_, err := b.list("c1", "k/")
		return err
	}}
	cell, err := table.Cell(t.Context(), s, Fixes()[0])
	require.NoError(t, err)
	require.Empty(t, cell.Again)
	require.Empty(t, cell.News)
}

// TestTheIncidentOfTheResolver runs every step of the story, each of which asserts what happened.
func TestTheIncidentOfTheResolver(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var told strings.Builder
	require.NoError(t, Incident(ctx, scenarios.Output{Writer: &told, Dir: t.TempDir()}))
	require.Contains(t, told.String(), "g2          lists: a b      hit at p1, an entry of revision 3; truth is at 6")
	require.Contains(t, told.String(), "g2          calls, and fails 20 times: dial tcp")
	require.Contains(t, told.String(), "g3          calls, and is answered 5 times, by c")
}

func TestTheFilesAreAsTheyWouldBeWritten(t *testing.T) {
	t.Parallel()
	expected, err := Expected()
	require.NoError(t, err)
	for _, s := range Scenarios() {
		for _, f := range Fixes() {
			require.Equal(t, NotApplicable(s, f) == "", expected[Key{s.Name, f.Name}] != "", "%s against %s", s.Name, f.Name)
		}
	}
	files, err := expected.Files()
	require.NoError(t, err)
	for name, want := range files {
		file, err := scenarios.Fixture(name)
		require.NoError(t, err)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, want == string(text), "%s is not as it would be written: ghostroute beyond --accept", file)
	}
}

// TestAPatchApplies applies each scenario's patch to a copy of the file of etcd's client that it is about.
func TestAPatchApplies(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "go.etcd.io/etcd/client/v3").Output()
	require.NoError(t, err)
	stock, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "watch.go"))
	require.NoError(t, err)
	tried := 0
	for _, s := range Scenarios() {
		if s.Patch == "" {
			continue
		}
		patch, err := scenarios.Fixture(filepath.Join("patches", s.Patch))
		require.NoError(t, err)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "watch.go"), stock, 0o644))
		apply := exec.Command("git", "apply", patch)
		apply.Dir = dir
		said, err := apply.CombinedOutput()
		require.NoError(t, err, "%s", said)
		patched, err := os.ReadFile(filepath.Join(dir, "watch.go"))
		require.NoError(t, err)
		require.NotEqual(t, string(stock), string(patched))
		tried++
	}
	require.Equal(t, 2, tried)
}

func TestEveryScenarioIsWhole(t *testing.T) {
	t.Parallel()
	for _, s := range Scenarios() {
		for what, text := range map[string]string{"name": s.Name, "number": s.N, "title": s.Title, "seen": s.Seen,
			"cause": s.Cause, "text": s.Text} {
			require.NotEmpty(t, text, "%s has no %s", s.Name, what)
		}
		require.NotEmpty(t, s.Clients, s.Name)
		require.False(t, strings.HasSuffix(s.Title, "."), s.Name)
	}
	_, err := Read(strings.NewReader("[probe]\nnone fine"))
	require.ErrorContains(t, err, `line 2: "none fine" is not a fix and a verdict of a scenario`)
	_, err = Read(strings.NewReader("[prob]\n"))
	require.ErrorContains(t, err, `line 1: there is no scenario "prob": did you mean "probe"`)
}
