package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"ghostroute/harness/report"
	"ghostroute/harness/room"
)

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
			if err := room.Write(page, draw); err != nil {
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
