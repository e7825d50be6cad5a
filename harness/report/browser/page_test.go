package browser

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
	"ghostroute/harness/report"
	"ghostroute/harness/verdict"
)

// evil is a name that an instance could choose: it must come out of the page as text.
const evil = `v1-<img src=x onerror=alert(1)>'"&`

// matrix is the path of the page to test: GHOSTROUTE_PAGE, or that of the expected verdicts with saved histories
// behind them.
func matrix(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("GHOSTROUTE_PAGE"); path != "" {
		path, err := filepath.Abs(path)
		require.NoError(t, err)
		_, err = os.Stat(path)
		require.NoError(t, err, "GHOSTROUTE_PAGE names no page")
		return path
	}
	return written(t, func(w io.Writer) error { return report.HTML(w, expected(t)) })
}

// verdictLine is a fix and the labels of its two readings, as fixtures/verdicts.txt has them.
var verdictLine = regexp.MustCompile(`^(\S+)  +(\S+(?: \w+)?)  +(\S+(?: \w+)?)$`)

// expected is the whole matrix: every label as it is expected, and with each the history of one of three trials.
func expected(t testing.TB) report.Run {
	f, err := os.Open("../../../fixtures/verdicts.txt")
	require.NoError(t, err)
	defer f.Close()
	histories := [][2][]history.Event{
		{saved(t, "deregister-elsewhere"), saved(t, "deregister-elsewhere")},
		{saved(t, "rollout-watch"), saved(t, "rollout-watch-go-micro")},
	}
	names := [2]string{history.EachRequest, history.GoMicro}
	run := report.Run{Title: "Every scenario against every fix", Etcd: "v3.7.3", GoMicro: "v2.9.1",
		Took: 132 * time.Second}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if name, title, ok := strings.Cut(strings.TrimPrefix(line, "["), "]"); ok {
			run.Scenarios = append(run.Scenarios, report.Scenario{
				Name: name, Theme: fmt.Sprint("theme ", len(run.Scenarios)/6), Title: strings.TrimSpace(title), Text: evil})
			continue
		}
		m := verdictLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if len(run.Scenarios) == 1 {
			costs := &report.Costs{ReadP50: 90 * time.Microsecond}
			run.Fixes = append(run.Fixes, report.Fix{Name: m[1], Title: "the fix " + m[1], Claims: "it cures", Costs: costs})
		}
		c := report.Cell{Scenario: run.Scenarios[len(run.Scenarios)-1].Name, Fix: m[1], Replay: "go test -run " + m[1]}
		for i, label := range m[2:] {
			if label == "n/a" {
				continue
			}
			r := report.Labelled(names[i], label)
			r.Events = histories[len(run.Cells)%2][i]
			r.Question = verdict.Question{Service: "hello", Gateways: []string{"g1", "g2", "g3"}, Reading: names[i]}
			r.Verdict.Why, r.Expected = verdict.Judge(r.Events, r.Question).Why, label
			if len(run.Cells) == 3 {
				r.Expected = "fresh"
			}
			c.Readings = append(c.Readings, r)
		}
		if len(c.Readings) == 0 {
			c.NA = "the two make no sense together"
		}
		run.Cells = append(run.Cells, c)
	}
	require.Greater(t, len(run.Cells), 700)
	return run
}

// saved is a history of testdata, with an instance that has an evil name.
func saved(t testing.TB, name string) []history.Event {
	f, err := os.Open(filepath.Join("..", "testdata", name+".jsonl"))
	require.NoError(t, err)
	defer f.Close()
	events, err := history.Decode(f)
	require.NoError(t, err)
	last := events[len(events)-1]
	last.Seq, last.Step = last.Seq+1, nil
	last.Who, last.Request = "g2", &history.Request{
		Began: last.At, Service: "hello", Status: 502, Target: evil, Log: "</script><script>alert(1)</script>"}
	return append(events, last)
}

// timeline is the path of a page of one history.
func timeline(t testing.TB) string {
	t.Helper()
	q := verdict.Question{Service: "hello", Gateways: []string{"g1", "g2", "g3"}, Reading: history.EachRequest}
	return written(t, func(w io.Writer) error { return report.Draw(w, "one", saved(t, "rollout-watch"), q) })
}

func written(t testing.TB, write func(io.Writer) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.html")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, write(f))
	require.NoError(t, f.Close())
	return path
}
