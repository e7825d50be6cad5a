package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/harness/mutant"
	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

func (c *command) mutants() *cobra.Command {
	var resume, write, ours bool
	var from []string
	var part shard
	cmd := &cobra.Command{
		Use:   "mutants [NAME...]",
		Short: "Change etcd's proxy a line at a time, and see that the matrix notices each",
		Long: "Patch a copy of etcd's server module with each of fixtures/mutants, build ghostroute with it, and see what\n" +
			"notices: the matrix, by exactly the cells that the mutant's file foretells, our tests, the model and the\n" +
			"explorer. Then patch our own code, the judge and the caches, with each of the folders in there, and see\n" +
			"that its test fails.",
		Example: "  ghostroute mutants\n  ghostroute mutants put-clears-nothing\n  ghostroute mutants --ours\n" +
			"  ghostroute mutants --resume --write\n" +
			"  ghostroute mutants --shard 2/4 --out parts/2\n  ghostroute mutants --from parts/1,parts/2,parts/3,parts/4",
		RunE: func(cmd *cobra.Command, names []string) error {
			at, err := scenarios.Fixture("mutants")
			if err != nil {
				return err
			}
			all, err := mutant.ReadAll(at, names...)
			if err != nil {
				return usage{err}
			}
			if write && (len(names) > 0 || part.Of > 0) {
				return usagef("--write writes the table of all mutants, or of all that are ours, and these are some of them")
			}
			var mine []mutant.Mutant
			for i, m := range all {
				if part.Has(i) && (m.Ours() || !ours) {
					mine = append(mine, m)
				}
			}
			out, err := c.output("mutants")
			if err != nil {
				return err
			}
			m := mutating{command: c, top: filepath.Dir(filepath.Dir(at)), resume: resume}
			if m.dir, err = filepath.Abs(out.Dir); err != nil {
				return err
			}
			outcomes, err := m.tryAll(cmd.Context(), mine, from)
			if err != nil {
				stopped := fmt.Sprintf("%d of %s were tried; --resume goes on", len(outcomes), text.Count(len(mine), "mutant"))
				return ended(cmd.Context(), err, stopped)
			}
			fmt.Fprint(c.out, "\n", mutant.Table(outcomes))
			if write {
				if err := mutant.WriteTables(filepath.Join(at, "README.md"), cmd.Name(), outcomes); err != nil {
					return err
				}
			}
			return m.verdict(outcomes)
		},
	}
	cmd.Flags().BoolVar(&resume, "resume", false, "keep the results of an earlier run in the same folder")
	cmd.Flags().BoolVar(&write, "write", false, "write the table to fixtures/mutants/README.md")
	cmd.Flags().BoolVar(&ours, "ours", false, "try those of our own code only")
	cmd.Flags().StringSliceVar(&from, "from", nil, "try none, but take what shards left in these folders")
	part.flag(cmd, "mutants")
	return c.keeps(cmd, "the folder for the copy of etcd and what each mutant came to")
}

// verdict is the error of a run in which one survived, or was killed otherwise than foretold.
func (m *mutating) verdict(all []mutant.Outcome) error {
	count := map[mutant.Fate]int{}
	for _, o := range all {
		count[o.Fate()]++
	}
	if n, other := count[mutant.Survived], count[mutant.Otherwise]; n+other > 0 {
		return foundf("of %s %d survived and %d came to something else than foretold",
			text.Count(len(all), "mutant"), n, other)
	}
	return nil
}

// tryAll tries one after another: the build wants every core, and so does the matrix. With folders to take the results
// from it tries none.
func (m *mutating) tryAll(
	ctx context.Context, all []mutant.Mutant, from []string,
) (outcomes []mutant.Outcome, err error) {
	copied := false
	for i, mu := range all {
		began := time.Now()
		o := mutant.Outcome{Mutant: mu}
		kept := func(dir string) bool { return o.Read(filepath.Join(dir, mu.Name, "result.json")) }
		switch {
		case len(from) > 0:
			if !slices.ContainsFunc(from, kept) {
				return outcomes, foundf("%s was tried in none of %s", mu.Name, text.And(from))
			}
		case m.resume && kept(m.dir):
		case mu.Ours():
			err = m.ours(ctx, &o)
		default:
			if !copied {
				err = m.copyModule(ctx)
				copied = err == nil
			}
			if err == nil {
				err = m.try(ctx, &o)
			}
		}
		if err != nil {
			return outcomes, fmt.Errorf("%s: %w", mu.Name, err)
		}
		outcomes = append(outcomes, o)
		fmt.Fprintf(m.out, "%d of %d  %-30s %s  (built in %s, %s in all)\n", i+1, len(all), mu.Name, o,
			o.Built.Round(time.Second), time.Since(began).Round(time.Second))
	}
	return outcomes, nil
}
