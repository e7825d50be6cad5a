package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"ghostroute/harness/verdict"
	"ghostroute/scenarios"
)

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
