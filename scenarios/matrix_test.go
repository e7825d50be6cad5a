package scenarios

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/report"
	"ghostroute/harness/verdict"
)

var update = flag.Bool("update", false, "rewrite fixtures/verdicts.txt with what was found")

const (
	verdictsFile = "../fixtures/verdicts.txt"
	readmeFile   = "../README.md"
	trialTimeout = 30 * time.Second // far beyond any trial: a trial that hangs ends, and its verdict says what it waited for
)

// TestMatrix tries every scenario against every fix, in both readings, and compares each verdict with the expected one.
// go test ./scenarios -run 'TestMatrix/<scenario>/<fix>' -v runs one cell and prints its evidence.
// With GHOSTROUTE_REPORT=folder it writes the report there too, with what each fix costs, and says how far it is.
func TestMatrix(t *testing.T) {
	m := newMatrix(t)
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			for _, f := range Fixes() {
				t.Run(f.Name, func(t *testing.T) {
					t.Parallel()
					m.cell(t, s, f)
				})
			}
		})
	}
}

// matrix is one run of TestMatrix: what is shared by its cells.
type matrix struct {
	pool     *Pool
	expected Verdicts
	report   string // the folder of the report, "" for none
	began    time.Time

	mu    sync.Mutex
	found Verdicts
	cells map[[2]string]report.Cell
	costs map[string]*report.Costs

	wavered []string
}

func newMatrix(t *testing.T) *matrix {
	m := &matrix{report: os.Getenv("GHOSTROUTE_REPORT"), began: time.Now(), found: Verdicts{}, cells: map[[2]string]report.Cell{}, costs: map[string]*report.Costs{}}
	f, err := os.Open(verdictsFile)
	if err == nil {
		m.expected, err = ReadVerdicts(f)
		f.Close()
	}
	if !*update {
		require.NoError(t, err, "the expected verdicts cannot be read; -update writes them")
	}
	m.pool, err = NewPool()
	require.NoError(t, err)
	t.Cleanup(func() { // when every cell has ended
		require.NoError(t, m.pool.Close())
		m.publish(t)
	})
	return m
}

func (m *matrix) cell(t *testing.T, s Scenario, f Fix) {
	cell := report.Cell{Scenario: s.Name, Fix: f.Name, Replay: fmt.Sprintf("go test ./scenarios -run '^TestMatrix$/^%s$/^%s$' -count=1 -v", s.Name, f.Name)}
	for _, reading := range Readings {
		if why := NotApplicable(s, f, reading); why != "" {
			cell.NA = why
			t.Logf("%s: n/a: %s", reading, why)
			continue
		}
		expected := m.expected[Key{s.Name, f.Name, reading}]
		r := m.try(t, s, f, reading)
		if r.Verdict.Label() != expected && !*update {
			// A move is confirmed by a trial of its own. One that is not is no news but a fault of ours: it is said, and counted.
			if again := m.try(t, s, f, reading); again.Verdict.Label() == expected {
				odd := filepath.Join(t.ArtifactDir(), string(reading)+"-wavered.jsonl")
				require.NoError(t, save(odd, r.Events))
				m.wavers(t, fmt.Sprintf("%s against %s wavered, read %s: once it was %s; history %s (kept with -artifacts)", s.Name, f.Name, reading, r.Verdict, odd))
				r = again
			}
		}
		label := r.Verdict.Label()
		if r.Verdict.Outcome != verdict.Unknown { // which is never expected
			m.mu.Lock()
			m.found[Key{s.Name, f.Name, reading}] = label
			m.mu.Unlock()
		}
		read := report.Reading{Name: string(reading), Question: r.Question, Verdict: r.Verdict, Expected: expected}
		if m.report != "" { // a run's histories are some hundred megabytes
			read.Events = r.Events
		}
		cell.Readings = append(cell.Readings, read)
		if label == expected || *update && r.Verdict.Outcome != verdict.Unknown {
			t.Logf("%s: %s%s", reading, r.Verdict, evidence(r.Verdict))
			continue
		}
		saved := filepath.Join(t.ArtifactDir(), string(reading)+".jsonl")
		require.NoError(t, save(saved, r.Events))
		t.Errorf("%s against %s moved, read %s\n  it was   %s\n  it is    %s%s\n  that is  %s\n  history  %s (kept with -artifacts)\n  replay   %s",
			s.Name, f.Name, reading, orNothing(expected), r.Verdict, evidence(r.Verdict), Moved(s, f, expected, label), saved, cell.Replay)
	}
	if len(cell.Readings) > 0 {
		cell.NA = "" // one reading of two is left: the table says which
	}
	m.mu.Lock()
	m.cells[[2]string{s.Name, f.Name}] = cell
	done := len(m.cells)
	m.mu.Unlock()
	if all := len(All()) * len(Fixes()); m.report != "" && done%50 == 0 {
		fmt.Printf("matrix: %d of %d cells, %s\n", done, all, time.Since(m.began).Round(time.Second))
	}
}

// mayWaver is how many of some 1,400 trials may come out otherwise once, and not again, before the run fails for that alone.
const mayWaver = 3

// wavers notes a verdict that did not come out again.
func (m *matrix) wavers(t *testing.T, what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wavered = append(m.wavered, what)
	if t.Log("WAVERED: " + what); len(m.wavered) > mayWaver {
		t.Errorf("%d verdicts wavered in one run, and %d may:\n  %s", len(m.wavered), mayWaver, strings.Join(m.wavered, "\n  "))
	}
}

// try runs one trial on a cluster of the pool.
func (m *matrix) try(t *testing.T, s Scenario, f Fix, reading gateway.Kind) Result {
	ctx, cancel := harness.Context(t)
	defer cancel()
	ctx, done := context.WithTimeoutCause(ctx, trialTimeout, fmt.Errorf("the trial was still running after %s", trialTimeout))
	defer done()
	c, err := m.pool.Take(ctx)
	require.NoError(t, err)
	r, err := Try(ctx, c, s, f, reading)
	give, given := context.WithTimeout(context.Background(), trialTimeout)
	defer given()
	require.NoError(t, m.pool.Give(give, c))
	require.NoError(t, err)
	return r
}

// publish writes what -update and GHOSTROUTE_REPORT ask for.
func (m *matrix) publish(t *testing.T) {
	if *update {
		for k, was := range m.expected { // a run of some cells leaves the others as they were
			if _, ok := m.found[k]; !ok {
				m.found[k] = was
			}
		}
		var text strings.Builder
		require.NoError(t, m.found.Write(&text))
		require.NoError(t, os.WriteFile(verdictsFile, []byte(text.String()), 0o644))
		readme, err := os.ReadFile(readmeFile)
		require.NoError(t, err)
		filled, err := m.found.InReadme(string(readme))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(readmeFile, []byte(filled), 0o644))
	}
	for _, w := range m.wavered {
		fmt.Println("matrix: " + w)
	}
	if m.report == "" || t.Skipped() {
		return
	}
	m.measure(t)
	require.NoError(t, os.MkdirAll(m.report, 0o755))
	run := m.run(t)
	for name, write := range map[string]func(*os.File) error{
		"matrix.html": func(f *os.File) error { return report.HTML(f, run) },
		"matrix.txt": func(f *os.File) error {
			return report.Terminal(f, run, report.Options{Width: 120, Color: os.Getenv("GHOSTROUTE_COLOUR") == "always"})
		},
		"matrix.md":   func(f *os.File) error { return report.Markdown(f, run) },
		"matrix.json": func(f *os.File) error { return report.JSON(f, run) },
	} {
		f, err := os.Create(filepath.Join(m.report, name))
		require.NoError(t, err)
		require.NoError(t, write(f), name)
		require.NoError(t, f.Close())
	}
	fmt.Printf("matrix: %d cells in %s\n", len(m.cells), run.Took.Round(time.Second))
}

func (m *matrix) run(t *testing.T) report.Run {
	run := report.Run{Title: "Ghostroute: every scenario against every fix", Etcd: moduleVersion(t, "go.etcd.io/etcd/server/v3"),
		GoMicro: moduleVersion(t, "github.com/micro/go-micro/v2"), Go: runtime.Version(), Took: time.Since(m.began)}
	for _, s := range All() {
		run.Scenarios = append(run.Scenarios, report.Scenario{Name: s.Name, Theme: s.Theme, Title: s.Title, Seen: s.Seen, Text: s.Text})
		for _, f := range Fixes() {
			if c, ok := m.cells[[2]string{s.Name, f.Name}]; ok {
				run.Cells = append(run.Cells, c)
			}
		}
	}
	for _, f := range Fixes() {
		run.Fixes = append(run.Fixes, report.Fix{Name: f.Name, Title: f.Title, Source: f.Source, Claims: f.Claims, GivesUp: f.GivesUp, Costs: m.costs[f.Name]})
	}
	return run
}

func save(path string, events []history.Event) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = history.Encode(f, events)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// evidence lists a verdict's evidence, a line each.
func evidence(v verdict.Verdict) string {
	var b strings.Builder
	for _, e := range v.Evidence {
		fmt.Fprintf(&b, "\n           %s through %s: %s of revision %d, truth at %d; ghosts %v, hidden %v; events %v %s",
			e.Gateway, orNothing(e.Proxy), e.Source, e.Revision, e.Truth, e.Ghosts, e.Hidden, e.Events, e.Note)
	}
	return b.String()
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
