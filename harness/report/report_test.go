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
	"ghostroute/harness/report/internal/sample"
	"ghostroute/harness/verdict"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden compares got with testdata/name, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
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

// small is a part of the sample that a golden file can hold: a few cells, of all kinds.
func small() report.Run {
	return sample.Run("deregister-other-proxy", "scale-up", "crash", "drain", "auth-other", "reused-address",
		"none", "no-proxy", "ttl", "leasing", "retry", "one-proxy")
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	run := sample.Run()
	plain := write(t, func(w io.Writer) error { return report.Terminal(w, run, report.Options{}) })
	golden(t, "terminal.txt", plain)
	golden(t, "terminal-color.txt", write(t, func(w io.Writer) error { return report.Terminal(w, small(), report.Options{Color: true}) }))

	require.NotContains(t, string(plain), "\x1b", "no colour was asked for")
	coloured := write(t, func(w io.Writer) error { return report.Terminal(w, run, report.Options{Color: true}) })
	require.Equal(t, string(plain), regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(string(coloured), ""), "colour adds nothing but colour")
}

func TestTerminalFits(t *testing.T) {
	t.Parallel()
	run := sample.Run()
	for i := range 4 { // more fixes, and names that are longer than they should be
		run.Fixes = append(run.Fixes, report.Fix{Name: fmt.Sprintf("more-%d", i), Title: strings.Repeat("a very long title ", 6)})
	}
	run.Scenarios[0].Name = strings.Repeat("long-", 12) + "name"
	run.Cells = run.Cells[len(run.Fixes):]
	run.Cells[0].Readings[0].Expected = "fresh"
	run.Cells[0].Readings[0].Verdict.Why = strings.Repeat("unbreakable", 30)
	for _, width := range []int{0, 120, 100, 80, 60, 10} {
		want := width
		if want == 0 {
			want = 120
		}
		want = max(want, 80)
		out := string(write(t, func(w io.Writer) error { return report.Terminal(w, run, report.Options{Width: width}) }))
		for i, l := range strings.Split(out, "\n") {
			require.LessOrEqual(t, utf8.RuneCountInString(l), want, "width %d, line %d: %s", width, i+1, l)
		}
	}
	out := string(write(t, func(w io.Writer) error { return report.Terminal(w, sample.Run(), report.Options{}) }))
	require.Contains(t, out, "deregister-other-proxy", "20 fixes leave room for names")
	require.Equal(t, 1, strings.Count(out, "deregister-other-proxy"), "and are one block")
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	golden(t, "matrix.md", write(t, func(w io.Writer) error { return report.Markdown(w, small()) }))
	run := small()
	run.Scenarios[0].Title = "a | b <script> *c* `d`\n# e"
	out := string(write(t, func(w io.Writer) error { return report.Markdown(w, run) }))
	require.Contains(t, out, "| a \\| b &lt;script&gt; \\*c\\* \\`d\\` # e |")
}

func TestJSON(t *testing.T) {
	t.Parallel()
	run := small()
	out := write(t, func(w io.Writer) error { return report.JSON(w, run) })
	back, err := report.ReadJSON(bytes.NewReader(out))
	require.NoError(t, err)
	require.Equal(t, run, back)

	run = small()
	run.Cells, run.Schema = run.Cells[:1], ""
	run.Cells[0].Readings[0].Events = run.Cells[0].Readings[0].Events[:20]
	run.Cells[0].Readings = run.Cells[0].Readings[:1]
	golden(t, "run.json", write(t, func(w io.Writer) error { return report.JSON(w, run) }))

	_, err = report.ReadJSON(strings.NewReader(`{"schema":"ghostroute/report/2"}`))
	require.ErrorContains(t, err, `of schema "ghostroute/report/2"`)
	_, err = report.ReadJSON(strings.NewReader(`[]`))
	require.ErrorContains(t, err, "this is no run")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*report.Run)
		want   string
	}{
		"a cell of nothing":   {func(r *report.Run) { r.Cells[0].Fix = "other" }, "no such scenario or fix"},
		"a cell twice":        {func(r *report.Run) { r.Cells[1] = r.Cells[0] }, "is there twice"},
		"a name twice":        {func(r *report.Run) { r.Fixes[1].Name = r.Fixes[0].Name }, "each is there once"},
		"a name with markup":  {func(r *report.Run) { r.Scenarios[0].Name = "<b>" }, "letters, digits and dashes"},
		"read and said n/a":   {func(r *report.Run) { r.Cells[0].NA = "because" }, "said not to apply"},
		"an unknown reading":  {func(r *report.Run) { r.Cells[0].Readings[0].Name = "mine" }, `reading "mine"`},
		"one reading twice":   {func(r *report.Run) { r.Cells[0].Readings[1].Name = report.EachRequest }, "once each"},
		"another's schema":    {func(r *report.Run) { r.Schema = "other/1" }, `of schema "other/1"`},
		"nothing wrong at it": {func(*report.Run) {}, ""},
	} {
		run := small()
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

func TestHTML(t *testing.T) {
	t.Parallel()
	page := write(t, func(w io.Writer) error { return report.HTML(w, small()) })
	golden(t, "page.html", parts.ReplaceAll(page, []byte("$1…$2")))

	text := string(page)
	require.NotContains(t, text, "ZgotmplZ", "the template refuses something")
	for _, outside := range []string{`src="`, "@import", "url(", "<link rel=\"stylesheet\"", "fetch(", "XMLHttpRequest"} {
		require.NotContains(t, text, outside, "the page needs nothing from outside")
	}
	require.Contains(t, text, "default-src 'none'")
	require.Equal(t, 2, strings.Count(text, "</script>"), "nothing ends a script early")
	require.NotContains(t, text, "<img")
}

func TestHTMLSize(t *testing.T) {
	t.Parallel()
	run := sample.Run()
	events := 0
	for _, c := range run.Cells {
		for _, r := range c.Readings {
			events += len(r.Events)
		}
	}
	page := write(t, func(w io.Writer) error { return report.HTML(w, run) })
	t.Logf("%d cells, %d events: %d kB", len(run.Cells), events, len(page)/1000)
	require.Less(t, len(page), 3_000_000, "a page of %d cells must stay one that can be sent around", len(run.Cells))
}

func TestHTMLEscapes(t *testing.T) {
	t.Parallel()
	run := small()
	run.Title = sample.Evil
	run.Scenarios[0].Title = sample.Evil
	run.Fixes[0].Claims = "</script><script>alert(1)</script>"
	run.Cells[0].Replay = sample.Evil
	page := string(write(t, func(w io.Writer) error { return report.HTML(w, run) }))
	require.NotContains(t, page, "<img")
	require.NotContains(t, page, "<script>alert")
	require.Equal(t, 2, strings.Count(page, "</script>"))
}

// cell unpacks a cell of a page as the page's script does.
func cell(t *testing.T, page []byte, key string) []byte {
	t.Helper()
	found := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`).FindSubmatch(page)
	require.NotNil(t, found)
	var data struct{ Cells map[string][]byte } // base64, as JSON has bytes
	require.NoError(t, json.Unmarshal(found[1], &data))
	z, err := gzip.NewReader(bytes.NewReader(data.Cells[key]))
	require.NoError(t, err)
	plain, err := io.ReadAll(z)
	require.NoError(t, err)
	return plain
}

func TestCell(t *testing.T) {
	t.Parallel()
	run := small()
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, cell(t, write(t, func(w io.Writer) error { return report.HTML(w, run) }), "deregister-other-proxy/ttl"), "", " "))
	golden(t, "cell.json", b.Bytes())
}

// Faults are bands on the lane of the node or of the link they are at, and moments are marks.
func TestFaults(t *testing.T) {
	t.Parallel()
	var events []history.Event
	add := func(e history.Event) {
		e.Seq, e.At = len(events)+1, time.Duration(len(events)+1)*time.Millisecond
		events = append(events, e)
	}
	fault := func(op history.FaultOp, kind history.FaultKind, target, rpc string) {
		add(history.Event{Who: target, Fault: &history.Fault{Kind: kind, Op: op, Target: target, RPC: rpc}})
	}
	add(history.Event{Who: "g1", Resolve: &history.Resolve{Service: "hello", Via: "p1", Source: history.Miss, Revision: 3}})
	fault("fire", "cut-peer", "m3", "")
	fault("arm", "hold", "p1", "Range")
	fault("fire", "hold", "p1", "Range")
	fault("fire", "cut", "p1→m2", "")
	fault("end", "cut", "p1→m2", "")
	fault("fire", "restart", "p1", "")
	fault("end", "cut-peer", "m3", "")
	add(history.Event{Who: "lb", Conn: &history.Conn{Op: "drain", Proxy: "p1"}})

	var page struct {
		Readings []struct {
			Drawing struct {
				Lanes []struct{ N, K string }
				Bands []struct {
					L, T, U int
					X       string
				}
				Marks []struct {
					G, X string
					L    int
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(cell(t, write(t, func(w io.Writer) error { return report.Timeline(w, events, "faults") }), "/"), &page))
	d := page.Readings[0].Drawing
	var lanes, bands, moments []string
	for _, l := range d.Lanes {
		lanes = append(lanes, l.N+" "+l.K)
	}
	for _, b := range d.Bands {
		bands = append(bands, fmt.Sprintf("%s %s %d-%d", d.Lanes[b.L].N, b.X, b.T/1000, b.U/1000))
	}
	for _, m := range d.Marks {
		if m.L >= 0 && (m.G == "fault" || m.G == "conn") {
			moments = append(moments, d.Lanes[m.L].N+" "+m.G+" "+m.X)
		}
	}
	require.Equal(t, []string{"g1 gateway", "lb balancer", "p1 proxy", "m3 member", "truth truth"}, lanes)
	require.Equal(t, []string{"m3 cut-peer 2-8", "p1 hold Range 3-0", "p1 cut 5-6"}, bands, "a hold that does not end has no end")
	require.Equal(t, []string{"m3 fault ", "p1 fault ", "p1 fault ", "p1 fault restart", "lb conn drain"}, moments)
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	run := small()
	page := string(write(t, func(w io.Writer) error {
		return report.Timeline(w, run.Cells[0].Readings[0].Events, "seed 7: <b>a ghost</b>")
	}))
	require.Contains(t, page, "<h1>seed 7: &lt;b&gt;a ghost&lt;/b&gt;</h1>")
	require.NotContains(t, page, `id="matrix"`)
	require.NoError(t, report.Timeline(io.Discard, nil, "nothing happened"))
}

// A run as large as a bench can make it: reads of thousands of other keys are told once.
func TestManyOtherRanges(t *testing.T) {
	t.Parallel()
	var events []history.Event
	for i := range 5000 {
		at := time.Duration(i) * time.Millisecond
		events = append(events, history.Event{Seq: i + 1, At: at, Who: "p1", Range: &history.Range{Began: at, Key: fmt.Sprint("/other/", i), Source: history.Miss, Revision: 1}})
	}
	run := report.Run{Title: "t", Scenarios: []report.Scenario{{Name: "s"}}, Fixes: []report.Fix{{Name: "f"}},
		Cells: []report.Cell{{Scenario: "s", Fix: "f", Readings: []report.Reading{{Name: report.EachRequest, Question: verdict.Question{Service: "hello"}, Events: events}}}}}
	require.Less(t, len(write(t, func(w io.Writer) error { return report.HTML(w, run) })), 100_000)
}
