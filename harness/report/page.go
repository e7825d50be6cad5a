package report

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed" // the page's parts
	"encoding/json"
	"fmt"
	"html/template"
	"io"

	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed print.css
	printCSS string
	//go:embed timeline.js
	timelineJS string
	//go:embed cell.js
	cellJS string
	//go:embed page.js
	pageJS string
)

// HTML writes the run as one page: the matrix, what the fixes cost, and behind each cell its timelines, verdict,
// evidence and replay command. Style and script are in it and it loads nothing; its content security policy forbids
// it to. Of the histories it holds what is drawn, gzipped, a row together for its cells are alike: a row is unpacked
// when one of its cells is opened.
func HTML(w io.Writer, run Run) error {
	t, err := run.table()
	if err != nil {
		return err
	}
	p := page{Title: run.Title, About: run.about(), Table: &t, CostColumns: costColumns, Legend: legend}
	p.Data.Rows = map[string][]byte{}
	for _, s := range run.Scenarios {
		row := map[string]packed{}
		for _, c := range run.Cells {
			if c.Scenario == s.Name {
				row[c.Fix] = pack(c)
			}
		}
		if p.Data.Rows[s.Name], err = zip(row); err != nil {
			return err
		}
		p.Data.Scenarios = append(p.Data.Scenarios, about{s.Name, cmp.Or(s.Title, s.Name), s.Text, s.Seen})
	}
	for _, f := range run.Fixes {
		p.Data.Fixes = append(p.Data.Fixes, about{f.Name, cmp.Or(f.Title, f.Name), f.Claims, f.Source})
	}
	return p.write(w)
}

// Draw writes a page of one history: its timeline and the list of its events. Where the question names gateways it is
// judged first; where it names no service, answers are compared with the truth of the service that was asked for
// most.
func Draw(w io.Writer, title string, events []history.Event, q verdict.Question) error {
	r := Reading{Question: q, Events: events}
	if len(q.Gateways) > 0 {
		r.Verdict = verdict.Judge(events, q)
	}
	row, err := zip(map[string]packed{"": pack(Cell{Readings: []Reading{r}})})
	if err != nil {
		return err
	}
	return page{Title: title, Data: data{Rows: map[string][]byte{"": row}}}.write(w)
}

// page is what the template shows.
type page struct {
	Title, About string
	Table        *table // nil on a page of one history
	CostColumns  []costColumn
	Legend       any
	Data         data
	Style        template.CSS
	Script       template.JS
}

func (p page) write(w io.Writer) error {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return err
	}
	p.Style, p.Script = template.CSS(pageCSS+printCSS), template.JS(timelineJS+cellJS+pageJS)
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

// Bar is the tally as parts of a bar, in per cent.
func (t tally) Bar() []part {
	var bar []part
	for _, o := range outcomes {
		bar = append(bar, part{o, template.CSS(fmt.Sprintf("%.1f%%", 100*float64(t[o])/float64(max(t.Total(), 1))))})
	}
	return bar
}

type part struct {
	Outcome verdict.Outcome
	Share   template.CSS
}

// data is what the script reads.
type data struct {
	Scenarios []about           `json:"scenarios"`
	Fixes     []about           `json:"fixes"`
	Rows      map[string][]byte `json:"rows"` // of each scenario, by fix: base64 of gzip of JSON of what packed has
}

type about struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Text  string `json:"text"`
	From  string `json:"from"`
}

// packed is a cell as the script has it.
type packed struct {
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

func pack(c Cell) packed {
	p := packed{NA: c.NA, Replay: c.Replay}
	for _, r := range c.Readings {
		var seqs []int
		for _, e := range r.Verdict.Evidence {
			seqs = append(seqs, e.Events...)
		}
		q := r.Question
		q.Reading = cmp.Or(q.Reading, r.Name)
		p.Readings = append(p.Readings, packedReading{
			Name: r.Name, Outcome: string(r.Verdict.Outcome), Label: r.Verdict.Label(), Why: r.Verdict.Why,
			Expected: r.Expected, Moved: r.Moved(), Evidence: r.Verdict.Evidence, Drawing: draw(r.Events, q, seqs),
		})
	}
	return p
}

// zip is v as gzipped JSON.
func zip(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}
