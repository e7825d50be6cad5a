package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"ghostroute/scenarios"
)

func (c *command) version() *cobra.Command {
	return c.results(&cobra.Command{
		Use:     "version",
		Short:   "Say which etcd, go-micro and Go this is built with",
		Example: "  ghostroute version -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := scenarios.BuiltWith()
			if c.json.value == "json" {
				return json.NewEncoder(c.out).Encode(v)
			}
			_, err := fmt.Fprintf(c.out, "etcd      %s\ngo-micro  %s\ngo        %s\n", v.Etcd, v.GoMicro, v.Go)
			return err
		},
	})
}
