package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/report"
	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
	"ghostroute/scenarios"
)

// question is what a plain history is asked, by flags.
type question struct {
	verdict.Question
	reading choice
	flags   *pflag.FlagSet
}

func (q *question) add(cmd *cobra.Command) {
	q.reading = choice{may: []string{string(gateway.EachRequest), string(gateway.GoMicro)}}
	f := pflag.NewFlagSet("question", pflag.ContinueOnError)
	f.StringVar(&q.Service, "service", "", "the service; where it is not given, the one that was asked for most")
	f.StringSliceVar(&q.Gateways, "gateways", nil, "the gateways, with commas between; where none is given, all that read")
	f.Var(&q.reading, "reading", "count the answers of this kind of gateway only: "+text.Or(q.reading.may))
	f.DurationVar(&q.HealsWithin, "heals-within", 0, "how long it may take to heal by itself")
	f.BoolVar(&q.Unchanged, "unchanged", false, "the change is of a permission, and of no endpoint")
	q.flags = f
	cmd.Flags().AddFlagSet(f)
}

// read reads a saved history with its question. One that has none is asked what the flags say, and the rest is read out
// of it.
func (q *question) read(file string) (s verdict.Saved, err error) {
	f, err := os.Open(file)
	if err != nil {
		return s, usage{err}
	}
	defer f.Close()
	if s, err = verdict.ReadSaved(f); err != nil {
		return s, usagef("%s is no history: %w", file, err)
	}
	var given []string
	q.flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			given = append(given, "--"+f.Name)
		}
	})
	if s.Question != nil {
		if len(given) > 0 {
			return s, usagef("%s has its question in its first line: %s may not ask another", file, text.And(given))
		}
		return s, nil
	}
	q.Reading = q.reading.value
	q.fill(s.Events)
	s.Question = &q.Question
	return s, nil
}

func (q *question) fill(events []history.Event) {
	times := map[string]int{}
	for _, e := range events {
		if e.Resolve != nil {
			times[e.Resolve.Service]++
		}
	}
	if q.Service == "" {
		for service, n := range times {
			if most := times[q.Service]; n > most || n == most && service < q.Service {
				q.Service = service
			}
		}
	}
	if len(q.Gateways) > 0 {
		return
	}
	for _, e := range events {
		if e.Resolve != nil && e.Resolve.Service == q.Service && !slices.Contains(q.Gateways, e.Who) {
			q.Gateways = append(q.Gateways, e.Who)
		}
	}
}

func (c *command) judge() *cobra.Command {
	var q question
	cmd := &cobra.Command{
		Use:   "judge FILE",
		Short: "Judge a saved history again",
		Long: "Judge a history again: one that the matrix saved, which has its question in its first line, or a plain\n" +
			"one, whose question the flags ask. What is expected is the verdict that it had when it was saved, and of\n" +
			"a plain history that it is fresh.",
		Example: "  ghostroute judge artifacts/matrix/crash/ttl/go-micro.jsonl\n" +
			"  ghostroute judge history.jsonl --service hello --gateways g1,g2 --heals-within 2s -o json",
		Args: oneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := q.read(args[0])
			if err != nil {
				return err
			}
			v := s.Judge()
			if c.json.value == "json" {
				err = json.NewEncoder(c.out).Encode(v)
			} else {
				_, err = fmt.Fprintf(c.out, "%s%s\n", v, scenarios.Evidence(v))
			}
			switch {
			case err != nil:
				return err
			case s.Label != "" && v.Label() != s.Label:
				return foundf("it is %s, and was %s when it was saved", v.Label(), s.Label)
			case s.Label == "" && v.Outcome == verdict.Unknown:
				return fmt.Errorf("%s cannot be judged by this question", args[0])
			case s.Label == "" && v.Outcome != verdict.Fresh:
				return foundf("it is %s", v.Label())
			}
			return nil
		},
	}
	q.add(cmd)
	return c.results(cmd)
}

func (c *command) draw() *cobra.Command {
	var q question
	var page string
	cmd := &cobra.Command{
		Use:   "draw FILE",
		Short: "Draw a saved history: a page with its timeline",
		Example: "  ghostroute draw artifacts/incident/history.jsonl\n" +
			"  ghostroute draw artifacts/matrix/crash/ttl/go-micro.jsonl --out page.html",
		Args: oneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := q.read(args[0])
			if err != nil {
				return err
			}
			if page == "" {
				page = strings.TrimSuffix(args[0], filepath.Ext(args[0])) + ".html"
			}
			draw := func(w io.Writer) error { return report.Draw(w, filepath.Base(args[0]), s.Events, *s.Question) }
			if err := writeFile(page, draw); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.out, "the page: %s\n", page)
			return err
		},
	}
	q.add(cmd)
	cmd.Flags().StringVar(&page, "out", "", "the page; beside FILE where it is not given")
	return cmd
}
