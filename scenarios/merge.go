package scenarios

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"ghostroute/harness/report"
	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
)

// Merge makes one run of what the shards of one left in these folders, with the histories that are there. Missing are
// the shards whose report is in none of them.
func Merge(dirs []string) (run report.Run, missing []string, err error) {
	var have []Shard
	for i, dir := range dirs {
		part, err := readRun(dir)
		if err != nil {
			return run, nil, err
		}
		shard, err := ReadShard(part.Shard, "")
		if err != nil {
			return run, nil, fmt.Errorf("%s has no shard's report: %w", dir, err)
		}
		switch first := run; {
		case i == 0:
			run = part
		case shard.Of != have[0].Of || !reflect.DeepEqual(names(part), names(first)):
			return run, nil, fmt.Errorf("%s has shard %s of another run than %s, which has %s", dir, shard, dirs[0], have[0])
		case slices.Contains(have, shard):
			return run, nil, fmt.Errorf("%s has shard %s, and so has another folder", dir, shard)
		default:
			run.Cells, run.Took = append(run.Cells, part.Cells...), max(run.Took, part.Took)
			for i, f := range part.Fixes {
				if f.Costs != nil {
					run.Fixes[i].Costs = f.Costs
				}
			}
		}
		have = append(have, shard)
	}
	for i := range have[0].Of {
		if s := (Shard{i + 1, have[0].Of}); !slices.Contains(have, s) {
			missing = append(missing, s.String())
		}
	}
	run.Shard = ""
	at := map[[2]string]int{}
	for _, s := range run.Scenarios {
		for _, f := range run.Fixes {
			at[[2]string{s.Name, f.Name}] = len(at)
		}
	}
	slices.SortFunc(run.Cells, func(a, b report.Cell) int {
		return at[[2]string{a.Scenario, a.Fix}] - at[[2]string{b.Scenario, b.Fix}]
	})
	if err := run.Check(); err != nil {
		return run, missing, err
	}
	if untried := len(at) - len(run.Cells); untried > 0 && len(missing) == 0 {
		return run, nil, fmt.Errorf("every shard is there, and %d of their cells are not: they were dealt by different "+
			"tables", untried)
	}
	return run, missing, nil
}

// names are what a run tries, and with which versions: the same for all its shards.
func names(run report.Run) (all []string) {
	all = []string{run.Etcd, run.GoMicro, run.Go}
	for _, s := range run.Scenarios {
		all = append(all, s.Name)
	}
	for _, f := range run.Fixes {
		all = append(all, f.Name)
	}
	return all
}

// readRun reads the report in a folder, and the histories beside it.
func readRun(dir string) (run report.Run, err error) {
	content, err := os.ReadFile(filepath.Join(dir, "matrix.json"))
	if err != nil {
		return run, err
	}
	if err := json.Unmarshal(content, &run); err != nil {
		return run, fmt.Errorf("%s has no report: %w", dir, err)
	}
	if err := run.Check(); err != nil {
		return run, fmt.Errorf("%s: %w", dir, err)
	}
	for _, c := range run.Cells {
		for i := range c.Readings {
			if err := find(dir, c, &c.Readings[i]); err != nil {
				return run, err
			}
		}
	}
	return run, nil
}

// find reads the history of a reading where it is now: its folder has moved since it was saved.
func find(dir string, c report.Cell, r *report.Reading) error {
	file := filepath.Join(dir, c.Scenario, c.Fix, r.Name+".jsonl")
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	saved, err := verdict.ReadSaved(f)
	if err != nil {
		return fmt.Errorf("%s is no history: %w", file, err)
	}
	r.Events = saved.Events
	if r.History != "" {
		r.News = strings.ReplaceAll(r.News, text.Quote(r.History), text.Quote(file))
	}
	r.History = file
	return nil
}
