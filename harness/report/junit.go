package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// JUnit writes the run in the form that CI systems read: a testcase for each cell and reading. What moved failed, what
// makes no sense was skipped, and a cell that was not tried is an error unless the run is a shard.
func JUnit(w io.Writer, run Run) error {
	if err := run.Check(); err != nil {
		return err
	}
	cells := map[[2]string]Cell{}
	for _, c := range run.Cells {
		cells[[2]string{c.Scenario, c.Fix}] = c
	}
	suite := junitSuite{Name: run.Title, Time: seconds(run.Took)}
	for _, s := range run.Scenarios {
		for _, f := range run.Fixes {
			c, ran := cells[[2]string{s.Name, f.Name}]
			if !ran && run.Shard != "" {
				continue
			}
			for _, reading := range readings {
				suite.add(c.junit(ran, reading), s.Name, f.Name+"/"+reading)
			}
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", " ")
	if err := enc.Encode(junitSuites{Suites: []junitSuite{suite}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junit is one reading of a cell.
func (c Cell) junit(ran bool, reading string) (t junitCase) {
	r, read := c.Reading(reading)
	switch {
	case !ran:
		t.Error = &junitText{Message: "it was not tried: the shard that has it is missing"}
	case !read:
		t.Skipped = &junitText{Message: cmp.Or(c.Without[reading], c.NA, "it was not read")}
	case r.News != "" || r.Moved():
		t.Failure = &junitText{Message: fmt.Sprintf("expected %s, got %s", cmp.Or(r.Expected, "nothing"), r.Verdict),
			Text: cmp.Or(r.News, "replay   "+c.Replay)}
	}
	if read {
		t.Time = seconds(r.Took)
	}
	for _, why := range r.Again {
		t.Out += "it was tried again: " + why + "\n"
	}
	return t
}

func (s *junitSuite) add(t junitCase, class, name string) {
	t.Class, t.Name = class, name
	s.Cases = append(s.Cases, t)
	s.Tests++
	switch {
	case t.Failure != nil:
		s.Failures++
	case t.Error != nil:
		s.Errors++
	case t.Skipped != nil:
		s.Skipped++
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Time    string     `xml:"time,attr,omitempty"`
	Failure *junitText `xml:"failure,omitempty"`
	Error   *junitText `xml:"error,omitempty"`
	Skipped *junitText `xml:"skipped,omitempty"`
	Out     string     `xml:"system-out,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// Annotation is an error as GitHub's runner reads it from a job's output, where it becomes a note on the run.
func Annotation(title, text string) string {
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer(":", "%3A", ",", "%2C")
	return "::error title=" + property.Replace(escape.Replace(title)) + "::" + escape.Replace(text)
}
