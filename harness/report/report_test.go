package report_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/history"
	"ghostroute/harness/report"
	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// evil is a name that an instance could choose: it must come out of every writer as text.
const evil = `v1-<img src=x onerror=alert(1)>'"&`

// golden compares got with testdata/name, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run go test -update once")
	require.Equal(t, string(want), string(got), "%s is no longer what is written; look at it, then go test -update", name)
}

func write(t *testing.T, f func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, f(&b))
	return b.Bytes()
}

// saved is a history of testdata: of a cell of the matrix, as a run saved it.
func saved(t *testing.T, name string) []history.Event {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".jsonl"))
	require.NoError(t, err)
	defer f.Close()
	events, err := history.Decode(f)
	require.NoError(t, err)
	return events
}

func question(reading string) verdict.Question {
	return verdict.Question{Service: "hello", Gateways: []string{"g1", "g2", "g3"}, Reading: reading}
}

// read is a reading of a saved history, as the judge judges it.
func read(t *testing.T, reading, name string) report.Reading {
	t.Helper()
	r := report.Reading{Name: reading, Question: question(reading), Events: saved(t, name)}
	r.Verdict = verdict.Judge(r.Events, r.Question)
	r.Expected = r.Verdict.Label()
	return r
}

// small is a run with cells of all kinds.
func small(t *testing.T) report.Run {
	t.Helper()
	stale := read(t, history.EachRequest, "deregister-elsewhere")
	heals, users := read(t, history.EachRequest, "rollout-watch"), read(t, history.GoMicro, "rollout-watch-go-micro")
	require.Equal(t, "stale ghost", stale.Expected)
	require.Equal(t, "heals ghost", heals.Expected)
	require.Equal(t, "heals ghost", users.Expected)
	fresh, hidden := report.Labelled(history.EachRequest, "fresh"), report.Labelled(history.GoMicro, "stale hidden")
	unknown, leak := report.Labelled(history.EachRequest, "unknown"), report.Labelled(history.GoMicro, "stale leak")
	unknown.Expected, unknown.Verdict.Why = "fresh", "the fault did not fire"
	cell := func(scenario, fix string, readings ...report.Reading) report.Cell {
		return report.Cell{Scenario: scenario, Fix: fix, Readings: readings, Replay: "replay " + scenario + " " + fix}
	}
	return report.Run{
		Title: "Every scenario against every fix", Etcd: "v3.7.3", GoMicro: "v2.9.1", Go: "go1.26.8",
		Took: 132400 * time.Millisecond,
		Scenarios: []report.Scenario{
			{Name: "deregister-elsewhere", Theme: "leaving", Title: "an instance deregisters through another proxy",
				Seen: "the incident", Text: "v1-a deregisters through p1."},
			{Name: "rollout", Theme: "leaving", Title: "a rollout from v1 to v2"},
			{Name: "a-scenario-with-a-name-that-is-too-long-for-a-row", Theme: "identities"},
		},
		Fixes: []report.Fix{
			{Name: "none", Title: "as the incident had it", Source: "go-micro v2", Costs: &report.Costs{
				ReadP50: 90 * time.Microsecond, ReadP99: 1900 * time.Microsecond, RangesPer1000: 2.5, MembersHidden: true,
				ProxyDeath: report.ProxyDeath{Errors: 3, Requests: 200, Recovery: 12 * time.Millisecond}}},
			{Name: "watch", Title: "invalidation by watch", Source: "etcd issue 14665",
				Claims: "every cache hears of every write", GivesUp: "a watch for each proxy",
				Costs: &report.Costs{ReadP50: 12 * time.Millisecond, Note: "nothing was measured",
					ProxyDeath: report.ProxyDeath{Errors: 200, Requests: 200, Recovery: -1}}},
			{Name: "no-proxy"},
		},
		Cells: []report.Cell{
			cell("deregister-elsewhere", "none", stale, hidden), cell("deregister-elsewhere", "watch", fresh),
			cell("rollout", "none", unknown, leak), cell("rollout", "watch", heals, users),
			{Scenario: "rollout", Fix: "no-proxy", NA: "there is no proxy"},
			cell("a-scenario-with-a-name-that-is-too-long-for-a-row", "no-proxy", hidden),
		},
	}
}

func TestTheTerminalsColoursAddNothingButColour(t *testing.T) {
	t.Parallel()
	run := small(t)
	plain := write(t, func(w io.Writer) error { return report.Terminal(w, run, report.Options{}) })
	golden(t, "terminal.txt", plain)
	require.NotContains(t, string(plain), "\x1b")
	coloured := string(write(t, func(w io.Writer) error { return report.Terminal(w, run, report.Options{Paint: true}) }))
	require.Equal(t, string(plain), regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(coloured, ""))
	require.Contains(t, coloured, text.Paint(true).In(text.BoldRed, "S"))
	require.Contains(t, coloured, text.Paint(true).In(text.Inverse, "!"))
}

// wide is a run of 36 scenarios and 22 fixes, with names as long as the longest that there are.
func wide() report.Run {
	run := report.Run{Title: "wide"}
	for i := range 22 {
		run.Fixes = append(run.Fixes, report.Fix{
			Name: fmt.Sprintf("invalidate-after%02d", i), Title: strings.Repeat("a long title ", 6),
			Costs: &report.Costs{ProxyDeath: report.ProxyDeath{Errors: 1, Requests: 3, Recovery: -1}}})
	}
	for i := range 36 {
		name := fmt.Sprintf("write-during-linearizable-re%02d", i)
		run.Scenarios = append(run.Scenarios, report.Scenario{Name: name, Theme: "races"})
		for _, f := range run.Fixes {
			r := report.Labelled(history.EachRequest, "stale ghost")
			r.Expected, r.Verdict.Why = "fresh", strings.Repeat("unbreakable", 30)
			run.Cells = append(run.Cells, report.Cell{Scenario: name, Fix: f.Name,
				Readings: []report.Reading{r, report.Labelled(history.GoMicro, "heals hidden")}})
		}
	}
	return run
}

func TestTheTerminalKeepsToItsWidth(t *testing.T) {
	t.Parallel()
	run := wide()
	for width, want := range map[int]int{0: 120, 120: 120, 100: 100, 80: 80, 10: 80} {
		out := string(write(t, func(w io.Writer) error { return report.Terminal(w, run, report.Options{Width: width}) }))
		for i, l := range strings.Split(out, "\n") {
			require.LessOrEqual(t, utf8.RuneCountInString(l), want, "width %d, line %d: %s", width, i+1, l)
		}
		matrix, costs, _ := strings.Cut(out, "    fix")
		require.Contains(t, costs, " 22 invalidate-after21 ", "width %d: the fixes are named in full", width)
		require.Contains(t, matrix, "write-during-linearizable-re35 SH+!", "width %d: so are the scenarios", width)
		blocks := map[bool]int{true: 1, false: 2}[want == 120]
		require.Equal(t, blocks, strings.Count(matrix, "\nraces\n"), "width %d: blocks", width)
	}
}

func TestMarkdownIsRenderedAsItIsMeant(t *testing.T) {
	t.Parallel()
	golden(t, "matrix.md", write(t, func(w io.Writer) error { return report.Markdown(w, small(t)) }))
	run := small(t)
	run.Fixes[0].Title = "a | b <script> *c* `d`\n# e"
	out := string(write(t, func(w io.Writer) error { return report.WriteFixesMarkdown(w, run) }))
	require.Contains(t, out, "| a \\| b &lt;script&gt; \\*c\\* \\`d\\` # e |")
	require.Contains(t, out, "| 1 U, 1 S | 2 S |\n")
}

// A run as JSON has all that was found and none of the histories: they are hundred times as long.
func TestJSONHasNoHistories(t *testing.T) {
	t.Parallel()
	out := write(t, func(w io.Writer) error { return report.JSON(w, small(t)) })
	require.NotContains(t, string(out), `"resolve"`)
	var back report.Run
	require.NoError(t, json.Unmarshal(out, &back))
	want := small(t)
	want.Schema = report.Schema
	for _, c := range want.Cells {
		for i := range c.Readings {
			c.Readings[i].Events = nil
		}
	}
	require.Equal(t, want, back)
}

func TestARunThatIsNotWellFormedIsAnErrorOfEveryWriter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*report.Run)
		want   string
	}{
		"a cell of nothing":  {func(r *report.Run) { r.Cells[0].Fix = "other" }, "no such scenario or fix"},
		"a cell twice":       {func(r *report.Run) { r.Cells[1] = r.Cells[0] }, "is there twice"},
		"a name twice":       {func(r *report.Run) { r.Fixes[1].Name = r.Fixes[0].Name }, "each is there once"},
		"a name with markup": {func(r *report.Run) { r.Scenarios[0].Name = "<b>" }, "letters, digits and dashes"},
		"read and said n/a":  {func(r *report.Run) { r.Cells[0].NA = "because" }, "said not to apply"},
		"an unknown reading": {func(r *report.Run) { r.Cells[0].Readings[0].Name = "mine" },
			`"mine": it may be each-request or go-micro`},
		"one reading twice":   {func(r *report.Run) { r.Cells[0].Readings[1].Name = history.EachRequest }, "once each"},
		"another's schema":    {func(r *report.Run) { r.Schema = "other/1" }, `of schema "other/1"`},
		"nothing wrong at it": {func(*report.Run) {}, ""},
	} {
		run := small(t)
		c.change(&run)
		for _, w := range []func(io.Writer) error{
			func(w io.Writer) error { return report.Terminal(w, run, report.Options{}) },
			func(w io.Writer) error { return report.Markdown(w, run) },
			func(w io.Writer) error { return report.JSON(w, run) },
			func(w io.Writer) error { return report.HTML(w, run) },
		} {
			err := w(io.Discard)
			if c.want == "" {
				require.NoError(t, err, name)
			} else {
				require.ErrorContains(t, err, c.want, name)
			}
		}
	}
}

// parts takes style, script and data out of a page, which golden files need not hold.
var parts = regexp.MustCompile(`(?s)(<style>|<script[^>]*>).*?(</style>|</script>)`)

func TestThePageNeedsNothingFromOutside(t *testing.T) {
	t.Parallel()
	page := write(t, func(w io.Writer) error { return report.HTML(w, small(t)) })
	golden(t, "page.html", parts.ReplaceAll(page, []byte("$1…$2")))

	text := string(page)
	require.NotContains(t, text, "ZgotmplZ", "the template refuses something")
	for _, outside := range []string{`src="`, "@import", "url(", "<link rel=\"stylesheet\"", "fetch(", "XMLHttpRequest"} {
		require.NotContains(t, text, outside)
	}
	require.Contains(t, text, "default-src 'none'")
}

// The real matrix has 36 scenarios, 22 fixes and some hundred events a reading.
func TestThePageOfAWholeMatrixStaysSmall(t *testing.T) {
	t.Parallel()
	run, events := wide(), saved(t, "rollout-watch-go-micro")
	for i := range run.Cells {
		for j := range run.Cells[i].Readings {
			r := &run.Cells[i].Readings[j]
			r.Question, r.Verdict.Why = question(history.GoMicro), ""
			for _, e := range events {
				e.At += time.Duration(e.Seq*i) * time.Microsecond // no trial takes as long as another
				r.Events = append(r.Events, e)
			}
		}
	}
	page := write(t, func(w io.Writer) error { return report.HTML(w, run) })
	t.Logf("%d events in %d kB", len(run.Cells)*2*len(events), len(page)/1000)
	require.Less(t, len(page), 3_000_000)
}

func TestThePageEscapesWhatInstancesChoose(t *testing.T) {
	t.Parallel()
	run := small(t)
	run.Title = evil
	run.Scenarios[0].Title = evil
	run.Fixes[0].Claims = "</script><script>alert(1)</script>"
	run.Cells[0].Replay = evil
	page := string(write(t, func(w io.Writer) error { return report.HTML(w, run) }))
	require.NotContains(t, page, "<img")
	require.NotContains(t, page, "<script>alert")
	require.Equal(t, 2, strings.Count(page, "</script>"), "nothing ends a script early")
}

func TestOneHistoryIsDrawnWithItsVerdict(t *testing.T) {
	t.Parallel()
	events := saved(t, "deregister-elsewhere")
	page := write(t, func(w io.Writer) error { return report.Draw(w, "one", events, question(history.EachRequest)) })
	require.NotContains(t, string(page), `id="matrix"`)
	d := drawn(t, page)
	require.Equal(t, "stale ghost", d.Label)
	require.Contains(t, d.Why, "g2")

	page = write(t, func(w io.Writer) error {
		return report.Draw(w, "seed 7: <b>a ghost</b>", events, verdict.Question{})
	})
	require.Contains(t, string(page), "<h1>seed 7: &lt;b&gt;a ghost&lt;/b&gt;</h1>")
	require.Empty(t, drawn(t, page).Label, "nothing was asked")
	require.NoError(t, report.Draw(io.Discard, "nothing", nil, verdict.Question{}))
}

// unpacked is a reading as the page's script has it, as far as tests look at it.
type unpacked struct {
	Label, Why string
	Drawing    struct {
		Lanes []struct{ N, K string }
		Truth []struct {
			T, R int
			IDs  []string
		}
		Bands []struct {
			L, T, U int
			X       string
		}
		Marks []struct {
			G, X, Y string
			L, N    int
		}
	}
}

// drawn unpacks the page of one history as its script does.
func drawn(t *testing.T, page []byte) unpacked {
	t.Helper()
	found := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`).FindSubmatch(page)
	require.NotNil(t, found)
	var data struct{ Rows map[string][]byte } // base64, as JSON has bytes
	require.NoError(t, json.Unmarshal(found[1], &data))
	z, err := gzip.NewReader(bytes.NewReader(data.Rows[""]))
	require.NoError(t, err)
	var cells map[string]struct{ Readings []unpacked }
	require.NoError(t, json.NewDecoder(z).Decode(&cells))
	return cells[""].Readings[0]
}
