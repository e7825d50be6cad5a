package report

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the page's parts
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// HTML writes the run as one page: the matrix, what the fixes cost, and behind each cell its timelines, verdict, evidence and
// replay command. Style and script are in it and it loads nothing; its content security policy forbids it to. Histories are
// in it as gzipped JSON, a cell each, with answers that repeat told once and counted; a cell is unpacked when it is opened.
func HTML(w io.Writer, run Run) error {
	if err := run.Check(); err != nil {
		return err
	}
	p := page{Title: run.Title, About: run.about(), Fixes: run.columns(), Costs: run.costRows(), Surprises: []link{}}
	data := data{Cells: map[string]string{}}
	for _, s := range run.Scenarios {
		data.Scenarios = append(data.Scenarios, heading{s.Name, orElse(s.Title, s.Name), s.Text, s.Seen})
	}
	for _, f := range run.Fixes {
		data.Fixes = append(data.Fixes, heading{f.Name, orElse(f.Title, f.Name), f.Claims, f.Source})
	}
	for _, c := range run.Cells {
		packed, err := pack(c)
		if err != nil {
			return fmt.Errorf("cell %s/%s: %w", c.Scenario, c.Fix, err)
		}
		data.Cells[c.Scenario+"/"+c.Fix] = packed
	}
	for _, s := range run.surprises() {
		p.Surprises = append(p.Surprises, link{s.name(), fmt.Sprintf("expected %s, got %s", s.Reading.Expected, s.Reading.Verdict.Label())})
	}
	cell := run.cell()
	for _, th := range run.themes() {
		rows := pageTheme{Name: th.Name}
		for _, s := range th.Scenarios {
			row := pageRow{Scenario: s}
			for _, f := range run.Fixes {
				c, ok := cell(s.Name, f.Name)
				row.Cells = append(row.Cells, show(c, ok, s, f))
			}
			rows.Rows = append(rows.Rows, row)
		}
		p.Themes = append(p.Themes, rows)
	}
	p.Data = data
	return p.write(w)
}

// Timeline writes a page of a single history: its timeline and the list of its events. What a gateway was answered is held
// against the truth of the service that was asked for most.
func Timeline(w io.Writer, events []history.Event, title string) error {
	packed, err := pack(Cell{Readings: []Reading{{Events: events}}})
	if err != nil {
		return err
	}
	p := page{Title: title, Single: true, Data: data{Cells: map[string]string{"/": packed}}}
	return p.write(w)
}

// page is what the template shows.
type page struct {
	Title, About string
	Single       bool // a timeline and no matrix
	Fixes        []column
	Themes       []pageTheme
	Costs        []costRow
	Surprises    []link
	Data         data
	Style        template.CSS
	Script       template.JS
}

type link struct{ To, Text string }

type pageTheme struct {
	Name string
	Rows []pageRow
}

type pageRow struct {
	Scenario
	Cells []pageCell
}

// pageCell is a button of the matrix.
type pageCell struct {
	Key     string // scenario/fix
	Ran, NA bool
	Moved   bool
	Halves  []half
	Label   string // the verdicts and their sentences, for a screen reader and as a tooltip
}

type half struct{ Reading, Outcome, Letter, Symptom string }

type column struct {
	Fix
	Title  string
	Number int
	Tally  tally
}

type costRow struct {
	Title, Unit string
	Values      []string
}

// data is what the script reads.
type data struct {
	Scenarios []heading         `json:"scenarios"`
	Fixes     []heading         `json:"fixes"`
	Cells     map[string]string `json:"cells"` // base64 of gzip of JSON of a packedCell
}

type heading struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Text  string `json:"text"`
	From  string `json:"from"`
}

type packedCell struct {
	NA       string          `json:"na,omitempty"`
	Replay   string          `json:"replay,omitempty"`
	Readings []packedReading `json:"readings"`
}

type packedReading struct {
	Name     string             `json:"name"`
	Outcome  string             `json:"outcome"`
	Label    string             `json:"label"`
	Why      string             `json:"why"`
	Expected string             `json:"expected,omitempty"`
	Moved    bool               `json:"moved,omitempty"`
	Evidence []verdict.Evidence `json:"evidence,omitempty"`
	Drawing  drawing            `json:"drawing"`
}

// pack is a cell as the script unpacks it.
func pack(c Cell) (string, error) {
	p := packedCell{NA: c.NA, Replay: c.Replay}
	for _, r := range c.Readings {
		var seqs []int
		for _, e := range r.Verdict.Evidence {
			seqs = append(seqs, e.Events...)
		}
		q := r.Question
		if q.Reading == "" {
			q.Reading = r.Name
		}
		p.Readings = append(p.Readings, packedReading{
			Name: r.Name, Outcome: string(r.Verdict.Outcome), Label: r.Verdict.Label(), Why: r.Verdict.Why,
			Expected: r.Expected, Moved: r.Moved(), Evidence: r.Verdict.Evidence, Drawing: draw(r.Events, q, seqs),
		})
	}
	plain, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := z.Write(plain); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// show is a cell as the matrix has it.
func show(c Cell, ran bool, s Scenario, f Fix) pageCell {
	p := pageCell{Key: s.Name + "/" + f.Name, Ran: ran, NA: c.NA != "", Moved: c.Moved()}
	where := fmt.Sprintf("%s, with %s", orElse(s.Title, s.Name), orElse(f.Title, f.Name))
	switch {
	case !ran:
		p.Label = where + ": not run"
		return p
	case p.NA:
		p.Label = where + ": not applicable, " + c.NA
		return p
	}
	said := []string{}
	for _, name := range [...]string{EachRequest, GoMicro} {
		r, ok := c.Reading(name)
		h := half{Reading: name, Outcome: "none", Letter: "·"}
		if ok {
			h = half{name, string(r.Verdict.Outcome), letter(r.Verdict.Outcome), symptomLetter(r.Verdict.Symptom)}
			s := fmt.Sprintf("%s: %s", name, r.Verdict.Label())
			if r.Moved() {
				s += ", expected " + r.Expected
			}
			said = append(said, s+". "+r.Verdict.Why+".")
		}
		p.Halves = append(p.Halves, h)
	}
	p.Label = where + ". " + strings.Join(said, " ")
	return p
}

func (run Run) columns() []column {
	tallies := run.tallies()
	var all []column
	for i, f := range run.Fixes {
		all = append(all, column{Fix: f, Title: orElse(f.Title, f.Name), Number: i + 1, Tally: tallies[f.Name]})
	}
	return all
}

// Bar is a part of the column's bar, in per cent of the cells that apply.
func (c column) Bar(n int) template.CSS {
	if c.Tally.applies() == 0 {
		return "0%"
	}
	return template.CSS(fmt.Sprintf("%.1f%%", 100*float64(n)/float64(c.Tally.applies())))
}

// Applies is how many cells of the column apply.
func (c column) Applies() int { return c.Tally.applies() }

// CostCells are a fix's costs for its row in the list of fixes.
func (c column) CostCells() []string {
	if c.Costs == nil {
		return nil
	}
	return []string{c.Costs.p50(), c.Costs.p99(), c.Costs.ranges(), c.Costs.errors(), c.Costs.recovery(), c.Costs.hidden()}
}

// costRows are the rows below the matrix.
func (run Run) costRows() []costRow {
	rows := []costRow{
		{Title: "a read takes, median", Unit: "ms"}, {Title: "a read takes, 99th percentile", Unit: "ms"},
		{Title: "Ranges at etcd per 1,000 reads"},
		{Title: "requests failed as a proxy dies", Unit: "%"}, {Title: "until they succeed again", Unit: "ms"},
		{Title: "members stay hidden from clients"},
	}
	measured := false
	for _, f := range run.Fixes {
		c := f.Costs
		if c == nil {
			for i := range rows {
				rows[i].Values = append(rows[i].Values, "")
			}
			continue
		}
		measured = true
		for i, v := range [...]string{c.p50(), c.p99(), c.ranges(), c.errorRate(), c.recovery(), c.hidden()} {
			rows[i].Values = append(rows[i].Values, v)
		}
	}
	if !measured {
		return nil
	}
	return rows
}

func (p page) write(w io.Writer) error {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return err
	}
	p.Style, p.Script = template.CSS(pageCSS), template.JS(pageJS)
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}
