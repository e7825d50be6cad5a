package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
	"ghostroute/scenarios"
	"ghostroute/scenarios/clients"
)

func (c *command) clients() *cobra.Command {
	var scenario, client string
	var accept bool
	cmd := &cobra.Command{
		Use:   "clients",
		Short: "Try the scenarios with other clients than go-micro's: who else meets the ghost",
		Long: "Try scenarios of the matrix with other clients in the gateways: go-micro's own, mended; etcd's gRPC\n" +
			"resolver; a client that lists linearizably. Each verdict is compared with fixtures/clients.md, which says\n" +
			"what to do with each. With --accept it is rewritten; a verdict of unknown is never accepted.",
		Example: "  ghostroute clients\n  ghostroute clients --scenario crash --client grpc-resolver",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ss, cs, err := clientsChosen(scenario, client)
			if err != nil {
				return err
			}
			expected, err := clients.Expected()
			if err != nil {
				if !accept {
					return err
				}
				expected = clients.Verdicts{}
			}
			out, err := c.output("clients")
			if err != nil {
				return err
			}
			var t tally
			parallel := int(max(c.parallel, 1))
			err = clients.Try(cmd.Context(), out.Dir, ss, cs, clients.Proxies(), parallel, func(cell clients.Cell) {
				fmt.Fprintln(c.out, cell)
				was := expected[cell.Key]
				switch {
				case was == cell.Label:
					return
				case strings.HasPrefix(cell.Label, string(verdict.Unknown)):
					t.unknown = append(t.unknown, fmt.Sprintf("%s/%s behind %s", cell.Scenario, cell.Client, cell.Proxies))
				case accept:
					expected[cell.Key] = cell.Label
				}
				t.moved = append(t.moved, fmt.Sprintf("%s with %s behind %s moved: it was %q, it is %q", cell.Scenario, cell.Client,
					cell.Proxies, was, cell.Label))
			})
			if err != nil {
				return ended(cmd.Context(), err, "nothing was written")
			}
			return c.told(t, accept, expected.Accept)
		},
	}
	some, err := clients.Scenarios()
	if err != nil {
		panic(err) // a name in the source that is none
	}
	name(cmd, &scenario, "scenario", "try this one only",
		text.Each(some, func(s scenarios.Scenario) string { return s.Name }))
	name(cmd, &client, "client", "try this one only",
		text.Each(clients.Clients(), func(c clients.Client) string { return c.Name }))
	cmd.Flags().BoolVar(&accept, "accept", false, "rewrite fixtures/clients.md")
	c.parallelFlag(cmd, 16)
	return c.keeps(cmd, "the folder for what is left of trials")
}

// clientsChosen are the scenarios and clients of those names, or all of them.
func clientsChosen(scenario, client string) (ss []scenarios.Scenario, cs []clients.Client, err error) {
	if ss, err = clients.Scenarios(); err != nil {
		return nil, nil, err
	}
	ss, err = only(ss, scenario, func(name string) (scenarios.Scenario, error) {
		return text.Find("scenario", name, ss, func(s scenarios.Scenario) string { return s.Name })
	})
	if err != nil {
		return nil, nil, err
	}
	cs, err = only(clients.Clients(), client, clients.Named)
	return ss, cs, err
}
