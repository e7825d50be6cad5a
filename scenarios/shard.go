package scenarios

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"ghostroute/harness/report"
)

// Shard is a part of a work, for a machine that does no more than that: the Index-th, from 1, Of so many.
type Shard struct{ Index, Of int }

// String is "2/4", and "" of the zero Shard, which is all of it.
func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Of)
}

// ReadShard reads "2/4", or "4", of which index (from 0, as Kubernetes counts in JOB_COMPLETION_INDEX) is one.
func ReadShard(text, index string) (s Shard, err error) {
	first, of, both := strings.Cut(text, "/")
	if !both && index == "" {
		return s, errors.New("it may be I/N, or N where JOB_COMPLETION_INDEX says which")
	}
	var err2 error
	if both {
		s.Index, err = strconv.Atoi(first)
	} else {
		of = first
		if s.Index, err = strconv.Atoi(index); err == nil {
			s.Index++
		}
	}
	if s.Of, err2 = strconv.Atoi(of); err != nil || err2 != nil || s.Index < 1 || s.Index > s.Of {
		where := ""
		if !both {
			where = " where JOB_COMPLETION_INDEX is " + strconv.Quote(index)
		}
		return Shard{}, fmt.Errorf("it is no part%s: it may be 1/N to N/N", where)
	}
	return s, nil
}

// Has says whether the i-th thing, from 0, is the shard's, where all take about as long.
func (s Shard) Has(i int) bool { return s.Of == 0 || i%s.Of == s.Index-1 }

// Share is how many of so many things are the shard's.
func (s Shard) Share(n int) int {
	if s.Of == 0 {
		return n
	}
	return (n + s.Of - s.Index) / s.Of
}

// Seed is where the shard's seeds begin, if those of all begin at seed: no two shards come to the same.
func (s Shard) Seed(seed uint64) uint64 { return seed + uint64(max(s.Index-1, 0))<<40 }

// cells are the numbers of a shard's cells, row by row. They are dealt by what they take, the longest first, each to
// the shard that has least: every machine deals alike, for it reads the same table.
func (s Shard) cells(scenarios []Scenario, fixes []Fix) (mine []int, err error) {
	var all []int
	for i := range len(scenarios) * len(fixes) {
		all = append(all, i)
	}
	if s.Of == 0 {
		return all, nil
	}
	takes, err := longestFirst(all, scenarios, fixes)
	if err != nil {
		return nil, err
	}
	has := make([]float64, s.Of)
	for _, cell := range all {
		least := 0
		for i := range has {
			if has[i] < has[least] {
				least = i
			}
		}
		has[least] += takes(cell)
		if least == s.Index-1 {
			mine = append(mine, cell)
		}
	}
	slices.Sort(mine)
	return mine, nil
}

// longestFirst sorts numbers of cells by what each takes, which is what it returns. What is begun last is done last:
// then that is not the longest.
func longestFirst(cells []int, scenarios []Scenario, fixes []Fix) (takes func(cell int) float64, err error) {
	seconds, err := readSeconds()
	if err != nil {
		return nil, err
	}
	takes = func(cell int) float64 {
		return weight(seconds, scenarios[cell/len(fixes)], fixes[cell%len(fixes)])
	}
	slices.SortStableFunc(cells, func(a, b int) int { return cmp.Compare(takes(b), takes(a)) })
	return takes, nil
}

// weight is what a cell takes: so many seconds for each reading that it has, one where that was never measured.
func weight(seconds map[string]float64, s Scenario, f Fix) (takes float64) {
	per, measured := seconds[s.Name]
	if !measured {
		per = 1
	}
	for _, r := range Readings {
		if NotApplicable(s, f, r) == "" {
			takes += per
		}
	}
	return takes
}

const secondsFile = "seconds.txt"

const secondsHead = "# What a reading of a scenario takes, in seconds. Shards are dealt by it; " +
	"make verdicts writes it.\n"

// WriteSeconds writes to fixtures what a reading of each scenario took in a run.
func WriteSeconds(run report.Run) error {
	took, readings := map[string]time.Duration{}, map[string]int{}
	for _, c := range run.Cells {
		for _, r := range c.Readings {
			took[c.Scenario] += r.Took
			readings[c.Scenario]++
		}
	}
	text := secondsHead
	for _, s := range slices.Sorted(maps.Keys(took)) {
		text += fmt.Sprintf("%-32s %.1f\n", s, took[s].Seconds()/float64(readings[s]))
	}
	file, err := Fixture(secondsFile)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// readSeconds reads what WriteSeconds wrote; where it has not, every reading counts the same.
func readSeconds() (map[string]float64, error) {
	file, err := Fixture(secondsFile)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	seconds := map[string]float64{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) != 2 {
			return nil, fmt.Errorf("%s: %q is not a scenario and seconds", file, lines.Text())
		}
		if seconds[words[0]], err = strconv.ParseFloat(words[1], 64); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return seconds, lines.Err()
}
