package report_test

import (
	"encoding/xml"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/report"
)

// TestJUnit has a case of each kind: as expected, moved, tried again, one reading that makes no sense, not tried.
func TestJUnit(t *testing.T) {
	t.Parallel()
	run := small(t)
	moved := &run.Cells[2].Readings[0]
	moved.News, moved.Again = "rollout against none moved\n  it is    unknown: "+evil+"\x1b", []string{"too late: " + evil}
	run.Cells[1].Without = map[string]string{"go-micro": "never reads this way"}
	moved.Took = 3 * time.Second
	golden(t, "junit.xml", write(t, func(w io.Writer) error { return report.JUnit(w, run) }))

	run.Shard = "1/2"
	var suites struct {
		Suites []struct {
			Errors int `xml:"errors,attr"`
			Tests  int `xml:"tests,attr"`
			Cases  []struct {
				Name    string `xml:"name,attr"`
				Failure string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(write(t, func(w io.Writer) error { return report.JUnit(w, run) }), &suites))
	require.Zero(t, suites.Suites[0].Errors, "a shard has its own cells only")
	require.Equal(t, 2*len(run.Cells), suites.Suites[0].Tests)
	require.Equal(t, "none/each-request", suites.Suites[0].Cases[4].Name)
	require.Contains(t, suites.Suites[0].Cases[4].Failure, evil)
}

func TestAnAnnotationIsOneLine(t *testing.T) {
	t.Parallel()
	require.Equal(t, "::error title=a%3A b%2C 100%25::a: b, 100%25%0Anext%0D%0A",
		report.Annotation("a: b, 100%", "a: b, 100%\nnext\r\n"))
}
