package scenarios

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/proxy"
	"ghostroute/harness/report"
)

func TestTheVerdictsFileSaysOfEveryCellWhatItMayAndNothingElse(t *testing.T) {
	t.Parallel()
	v, err := ReadExpected()
	require.NoError(t, err)
	require.Len(t, v, len(All())*len(Fixes())*len(Readings))
	for _, s := range All() {
		for _, f := range Fixes() {
			for _, r := range Readings {
				label := v[Key{s.Name, f.Name, r}]
				if NotApplicable(s, f, r) != "" {
					require.Equal(t, "n/a", label, "%s %s %s", s.Name, f.Name, r)
				} else {
					require.Regexp(t, `^(fresh|heals (ghost|hidden|leak)|stale (ghost|hidden|leak))$`, label, "%s %s %s",
						s.Name, f.Name, r)
				}
			}
		}
	}
	files, err := v.files()
	require.NoError(t, err)
	for name, want := range files {
		file, err := Fixture(name)
		require.NoError(t, err)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, want == string(text), "%s is not as it would be written: make verdicts", file)
	}
}

func TestTheFixTableCountsWhatMakesSense(t *testing.T) {
	t.Parallel()
	none := Fixes()[0]
	v, fresh := Verdicts{}, -2
	for _, s := range All() {
		v[Key{s.Name, "none", gateway.EachRequest}] = "fresh"
		if NotApplicable(s, none, gateway.EachRequest) == "" {
			fresh++
		}
	}
	v[Key{"crash", "none", gateway.EachRequest}] = "stale ghost"
	v[Key{"scale-up", "none", gateway.EachRequest}] = "heals hidden"
	table, err := v.table(fixesHead, report.WriteFixesMarkdown)
	require.NoError(t, err)
	require.Contains(t, table, "| **none** | as the incident had it |")
	require.Contains(t, table, fmt.Sprintf("| %d F, 1 H, 1 S |", fresh))
}

// TestVerdictsAreWrittenToTheRepositoryTheyAreRunIn is the end of ghostroute verdicts, in a clone.
func TestVerdictsAreWrittenToTheRepositoryTheyAreRunIn(t *testing.T) {
	v, err := ReadExpected()
	require.NoError(t, err)
	clone := filepath.Join(t.TempDir(), "a b")
	require.NoError(t, os.MkdirAll(filepath.Join(clone, "fixtures"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(clone, "go.mod"), []byte("module ghostroute\n"), 0o644))
	t.Chdir(filepath.Join(clone, "fixtures"))
	v[Key{"crash", "none", gateway.EachRequest}] = "heals hidden"
	require.NoError(t, v.WriteExpected())
	again, err := ReadExpected()
	require.NoError(t, err)
	require.Equal(t, v, again)
	table, err := os.ReadFile("matrix.md")
	require.NoError(t, err)
	require.Contains(t, string(table), "| crash | Hh/Sg |")
	t.Chdir(t.TempDir())
	_, err = ReadExpected()
	require.ErrorContains(t, err, "is not in Ghostroute's repository")
}

func TestALineOfTheVerdictsFileThatCannotBeIsNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[crush]": `line 1: "[crush]" names no scenario`,
		"[crash]\nnine fresh fresh": `line 2: there is no fix "nine": did you mean "none"? There are none, ` +
			"get-linearizable",
		"[crash]\nnone fresh":                 `line 2: "none fresh" is not a fix and two verdicts`,
		"[crash]\n# fine\nnone fresh ghostly": `line 3: "none fresh ghostly" is not a fix and two verdicts`,
		"none fresh fresh":                    `line 1: "none fresh fresh" is not a fix and two verdicts of a scenario`,
	} {
		_, err := ReadVerdicts(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
}

func TestAMoveIsNewsInBothDirections(t *testing.T) {
	t.Parallel()
	s, err := Named("crash")
	require.NoError(t, err)
	require.Contains(t, Moved(s, "etcd's proxy", "stale ghost", "fresh"),
		"news: etcd's proxy now copes when an instance crashes")
	require.Contains(t, Moved(s, "it", "heals ghost", "stale ghost"), "a regression: it no longer copes")
	require.Contains(t, Moved(s, "it", "stale ghost", "stale hidden"), "fails in another way")
	require.Contains(t, Moved(s, "it", "fresh", "unknown"), "nothing is proven any more")
	require.Contains(t, Moved(s, "it", "", "fresh"), "no expected verdict yet")
}

// TestAMoveNamesWhatMoved expects of a cell what it does not come to: with the column of no fix as it is, the fix
// moved; with that column expected to be another too, etcd's proxy did.
func TestAMoveNamesWhatMoved(t *testing.T) {
	t.Parallel()
	ctx, cancel := harness.Context(t)
	defer cancel()
	s, err := Named("deregister-same")
	require.NoError(t, err)
	f, err := FixNamed("get-linearizable")
	require.NoError(t, err)
	for bare, whose := range map[string]string{"fresh": `news: the fix "` + f.Title + `" now copes when`,
		"stale ghost": "news: etcd's proxy, which moved without the fix get-linearizable too " +
			"(it was stale ghost, it is fresh), now copes when"} {
		expected := Verdicts{}
		for _, r := range Readings {
			expected[Key{s.Name, "none", r}] = bare
			expected[Key{s.Name, f.Name, r}] = "stale ghost"
		}
		m, err := NewMatrix(expected, t.TempDir())
		require.NoError(t, err)
		cell, moved, err := m.Cell(ctx, s, f)
		require.NoError(t, errors.Join(err, m.Close()))
		require.Len(t, moved, 2)
		for i, r := range cell.Readings {
			require.Equal(t, r.News, moved[i])
			require.Contains(t, r.News, whose)
			require.Contains(t, r.News, "\n  draw     "+Program+" draw "+r.History+"\n")
			require.Contains(t, r.News, "\n  replay   "+Program+" matrix --scenario deregister-same --fix get-linearizable")
		}
	}
}

func TestEveryScenarioAndFixIsWhole(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(All()), 28)
	require.GreaterOrEqual(t, len(Fixes()), 19)
	for _, s := range All() {
		for what, text := range map[string]string{"name": s.Name, "theme": s.Theme, "title": s.Title,
			"seen": s.Seen, "text": s.Text} {
			require.NotEmpty(t, text, "%s has no %s", s.Name, what)
		}
		require.NotNil(t, s.Act, s.Name)
		for _, f := range Fixes() {
			require.NoError(t, Topology(s, f, gateway.EachRequest).Validate(), "%s against %s", s.Name, f.Name)
		}
	}
	columns := map[string]bool{}
	for _, f := range Fixes() {
		require.NotEmpty(t, f.Title, f.Name)
		require.NotEmpty(t, f.Source, f.Name)
		columns[Topology(Scenario{}, f, gateway.EachRequest).Variant.String()] = true
	}
	for _, v := range proxy.Variants() {
		require.True(t, columns[v.String()], "no fix tries the proxy variant %s", v)
	}
}
