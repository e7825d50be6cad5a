package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/pace"
	"ghostroute/harness/report"
	"ghostroute/harness/room"
	"ghostroute/harness/stage"
	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
)

// trialTimeout is far beyond any trial: one that hangs ends, and its verdict says what it waited for.
const trialTimeout = 30 * time.Second

// Matrix tries scenarios against fixes, in both readings, and compares each verdict with the expected one. Close it.
type Matrix struct {
	Expected Verdicts // a verdict that is not in it has moved
	Dir      string   // where the histories of what moved are kept, a folder a cell
	Keep     bool     // cells keep their histories, for the page
	Shard    Shard    // the part of the cells that Try tries; the zero Shard is all
	Times    int      // how often each cell is tried; 0 means once

	on   On
	pool *stage.Pool
	pace *pace.Pace
	ends func()        // the pace, where it is this matrix' own
	room chan struct{} // a place for each bench that may stand at a time, those that only wait among them

	mu    sync.Mutex
	found Verdicts
	again []string
}

// NewMatrix returns a matrix whose clusters start when they are needed.
func NewMatrix(expected Verdicts, dir string) (*Matrix, error) {
	if expected == nil {
		expected = Verdicts{}
	}
	stand, err := room.Benches(standing)
	if err != nil {
		return nil, err
	}
	pool, err := stage.NewPool()
	own := pace.New(few, many)
	return &Matrix{Expected: expected, Dir: dir, pool: pool, pace: own, ends: own.Close, room: make(chan struct{}, stand),
		found: Verdicts{}}, err
}

// PacedBy has trials take turns with whatever else p paces. It is called before any is made.
func (m *Matrix) PacedBy(p *pace.Pace) {
	m.ends()
	m.pace, m.ends = p, func() {}
}

// RunOn has cells be tried on processes, or with the zero On in this one, as they are unless it is called. It is called
// before any is.
func (m *Matrix) RunOn(on On) {
	m.on, m.pool.Programs = on, on.Etcd
	switch {
	case on.Period(): // seven processes more, that do not only wait
		m.room = make(chan struct{}, min(cap(m.room), runtime.NumCPU()))
	case on.Real():
		m.room = make(chan struct{}, min(cap(m.room), ofProcesses*runtime.NumCPU()))
	}
}

// ofProcesses is how many benches of processes there are for each core: they are busy while their processes start, and
// then wait as others do. With two or three for each, the cores are idle for a third of the time.
const ofProcesses = 4

// Room is how many benches may stand at a time.
func (m *Matrix) Room() int { return cap(m.room) }

// On is what cells are tried on.
func (m *Matrix) On() On { return m.on }

// Close ends the clusters.
func (m *Matrix) Close() error {
	m.ends()
	return m.pool.Close()
}

// Cell tries one scenario against one fix. What it says is not as it was expected to be: with moved, the run fails.
func (m *Matrix) Cell(ctx context.Context, s Scenario, f Fix) (cell report.Cell, moved []string, err error) {
	cell = report.Cell{Scenario: s.Name, Fix: f.Name, Without: map[string]string{},
		Replay: fmt.Sprintf("%s matrix --scenario %s --fix %s%s", Program, s.Name, f.Name, m.on.flags())}
	reads := make([]report.Reading, len(Readings))
	errs := make([]error, len(Readings))
	var tried sync.WaitGroup
	for n, reading := range Readings {
		if why := m.notApplicable(s, f, reading); why != "" {
			cell.NA, cell.Without[string(reading)] = why, why
			continue
		}
		tried.Go(func() { reads[n], errs[n] = m.reading(ctx, s, f, reading, cell.Replay) })
	}
	tried.Wait()
	if err := errors.Join(errs...); err != nil {
		return cell, nil, err
	}
	for n, read := range reads {
		if cell.Without[string(Readings[n])] != "" {
			continue
		}
		if read.News != "" {
			moved = append(moved, read.News)
		}
		cell.Readings = append(cell.Readings, read)
	}
	if len(cell.Readings) > 0 {
		cell.NA = "" // one reading of two is left: the table says which
	}
	return cell, moved, nil
}

// notApplicable says why a reading of a cell makes no sense, or cannot be had on what the matrix is tried on.
func (m *Matrix) notApplicable(s Scenario, f Fix, reading gateway.Kind) string {
	if why := NotApplicable(s, f, reading); why != "" {
		return why
	}
	if m.on.Period() && s.Ask != nil {
		return "the client of the incident reads what go-micro reads, and nothing else"
	}
	return m.on.lacks(Topology(s, f, reading))
}

// reading is one reading of a cell, with the news where it is not as expected. Of one that is tried many times it is
// the first that is not, if there is one.
func (m *Matrix) reading(ctx context.Context, s Scenario, f Fix, reading gateway.Kind, replay string) (report.Reading,
	error) {
	expected := m.Expected[Key{s.Name, f.Name, reading}]
	var r Result
	var again []string
	moved := 0
	for n := range max(m.Times, 1) {
		one, late, err := m.trial(ctx, s, f, reading)
		if err != nil {
			return report.Reading{}, err
		}
		again = append(again, late...)
		differs := one.Verdict.Label() != expected
		if differs {
			moved++
		}
		if n == 0 || differs && moved == 1 {
			r = one
		}
	}
	read := report.Reading{Name: string(reading), Question: *r.Question, Verdict: r.Verdict, Expected: expected,
		Again: again, Took: r.Took}
	var err error
	if m.Keep {
		read.Events = r.Events
	}
	label := r.Verdict.Label()
	if label != expected || m.Shard.Of > 0 { // a shard's histories are drawn where its report is merged with others
		if read.History, err = m.save(s, f, string(reading), r); err != nil {
			return read, err
		}
	}
	if label != expected {
		whose, err := m.whose(ctx, s, f, reading)
		if err != nil {
			return read, err
		}
		file, often := text.Quote(read.History), ""
		if m.Times > 1 {
			often = fmt.Sprintf(" %d of %d times", moved, m.Times)
		}
		read.News = fmt.Sprintf("%s against %s moved%s, read %s\n  it was   %s\n  it is    %s%s\n  that is  %s\n"+
			"  judge    %s judge %s\n  draw     %s draw %s\n  replay   %s", s.Name, f.Name, often, reading,
			cmp.Or(expected, "nothing"), r.Verdict, Evidence(r.Verdict), Moved(s, whose, expected, label), Program, file,
			Program, file, replay)
	}
	return read, nil
}

// whose says what moved where a cell did: etcd's proxy, if the scenario comes to something else without the fix too, or
// the fix. Where it is not known yet what the scenario comes to without the fix, it is tried.
func (m *Matrix) whose(ctx context.Context, s Scenario, f Fix, reading gateway.Kind) (string, error) {
	none := Fixes()[0]
	bare := Key{s.Name, none.Name, reading}
	was, fix := m.Expected[bare], fmt.Sprintf("the fix %q", f.Title)
	switch {
	case f.Name == none.Name:
		return "etcd's proxy, or what go-micro does with it,", nil
	case was == "" || m.notApplicable(s, none, reading) != "":
		return fix, nil
	}
	m.mu.Lock()
	is, known := m.found[bare]
	m.mu.Unlock()
	if !known {
		r, _, err := m.trial(ctx, s, none, reading)
		if err != nil {
			return "", err
		}
		is = r.Verdict.Label()
	}
	if is != was {
		return fmt.Sprintf("etcd's proxy, which moved without the fix %s too (it was %s, it is %s),", f.Name, was, is), nil
	}
	return fix, nil
}

// save keeps a trial, and returns in which file.
func (m *Matrix) save(s Scenario, f Fix, name string, r Result) (file string, err error) {
	dir := filepath.Join(m.Dir, s.Name, f.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file = filepath.Join(dir, name+".jsonl")
	return file, room.Write(file, r.Write)
}

// Again are the trials that were made again, and why; and the clusters that others had to take the place of.
func (m *Matrix) Again() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append(slices.Clone(m.again), m.pool.Ended()...)
}

// Found are the verdicts that were found, and where that is none, or unknown, what was expected. Unknown are those
// cells.
func (m *Matrix) Found() (all Verdicts, unknown []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all = maps.Clone(m.Expected)
	for k, label := range m.found {
		if strings.HasPrefix(label, string(verdict.Unknown)) {
			unknown = append(unknown, fmt.Sprintf("%s/%s, read by %s", k.Scenario, k.Fix, k.Reading))
		} else {
			all[k] = label
		}
	}
	slices.Sort(unknown)
	return all, unknown
}

// Try tries every one of these scenarios against every one of these fixes, some at a time, and calls tell after each
// cell with how many are done of how many. It returns when all are, or at the first trouble, the end of ctx among it,
// when what has begun has ended.
func (m *Matrix) Try(ctx context.Context, scenarios []Scenario, fixes []Fix, parallel int,
	tell func(done, all int, moved []string)) (report.Run, error) {
	began := time.Now()
	built := BuiltWith()
	run := report.Run{Title: "Ghostroute: every scenario against every fix",
		Etcd: m.on.about(built.Etcd), GoMicro: built.GoMicro, Go: built.Go}
	run.Scenarios, run.Fixes, run.Shard = rows(scenarios), columns(fixes), m.Shard.String()
	mine, err := m.Shard.cells(scenarios, fixes)
	if err != nil {
		return run, err
	}
	stand, err := room.Benches(parallel)
	if err != nil {
		return run, err
	}
	m.room = make(chan struct{}, stand)
	order := slices.Clone(mine)
	if _, err := longestFirst(order, scenarios, fixes); err != nil {
		return run, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	run.Cells = make([]report.Cell, len(mine))
	next := make(chan int)
	var telling sync.Mutex
	done := 0
	var wg sync.WaitGroup
	for range min(parallel, len(mine)) {
		wg.Go(func() {
			for n := range next {
				cell, moved, err := m.Cell(ctx, scenarios[n/len(fixes)], fixes[n%len(fixes)])
				if err != nil {
					stop(err)
					return
				}
				telling.Lock()
				at, _ := slices.BinarySearch(mine, n)
				run.Cells[at], done = cell, done+1
				tell(done, len(mine), moved)
				telling.Unlock()
			}
		})
	}
	for _, n := range order {
		if ctx.Err() != nil {
			break
		}
		select {
		case next <- n:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	run.Took = time.Since(began)
	return run, context.Cause(ctx)
}

// Evidence lists a verdict's evidence, a line each.
func Evidence(v verdict.Verdict) string {
	var b strings.Builder
	for _, e := range v.Evidence {
		from := history.Origin{Source: e.Source, Via: e.Proxy, Revision: e.Revision, Truth: e.Truth}
		fmt.Fprintf(&b, "\n           %s: %s; ghosts %v, hidden %v; events %v %s",
			e.Gateway, from, e.Ghosts, e.Hidden, e.Events, e.Note)
	}
	return b.String()
}
