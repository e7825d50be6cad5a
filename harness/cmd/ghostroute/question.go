package main

import (
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
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
