package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"ghostroute/harness/notebook"
	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

func (c *command) notebook() *cobra.Command {
	var pace float64
	var language string
	var write, commands bool
	cmd := &cobra.Command{
		Use:   "notebook N|list",
		Short: "Play a chapter of the course in fixtures/notebooks",
		Long: "Run a chapter and show it at a reader's pace: prose, each command as it is typed, each answer as it\n" +
			"comes. Where an answer differs from what the file says it is shown beside it, and is no failure: change\n" +
			"a line and see what happens.",
		Example: "  ghostroute notebook list\n  ghostroute notebook 3\n" +
			"  ghostroute notebook 3 --in zh-CN --pace 0.5\n" +
			"  ghostroute notebook 3 --write\n  ghostroute notebook --commands",
		Args: func(_ *cobra.Command, args []string) error {
			if commands != (len(args) == 0) || len(args) > 1 {
				return errors.New("notebook takes the number of one chapter, list, or --commands")
			}
			if pace < 0 {
				return fmt.Errorf("--pace is %v: it may be 0, which does not wait, or more", pace)
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			all, _ := chapters(language)
			names := text.Each(all, func(ch notebook.Chapter) string { return ch.Name })
			return append([]string{"list"}, names...), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if commands {
				return notebook.Help(c.out)
			}
			if args[0] == "list" {
				all, err := chapters(language)
				for _, ch := range all {
					fmt.Fprintln(c.out, ch.Name)
				}
				return err
			}
			dir, err := scenarios.Fixture("notebooks")
			if err != nil {
				return err
			}
			chapter, err := notebook.FindChapter(dir, language, args[0])
			if err != nil {
				return usage{err}
			}
			out, err := c.output("notebook", chapter.Name)
			if err != nil {
				return err
			}
			o := notebook.Options{Dir: out.Dir, Write: write}
			if !write {
				o.Player = &notebook.Player{Out: c.out, Colour: out.Colour, Pace: pace}
			}
			return c.play(cmd.Context(), o, chapter)
		},
	}
	cmd.Flags().Float64Var(&pace, "pace", 1, "2 is half as fast, 0 does not wait")
	cmd.Flags().StringVar(&language, "in", "", "in another language than English: zh-CN")
	cmd.Flags().BoolVar(&write, "write", false, "make the chapter's files say what was printed, and show nothing")
	cmd.Flags().BoolVar(&commands, "commands", false, "say what each command of a notebook does and takes")
	return c.keeps(cmd, "the folder for the histories")
}

func chapters(language string) ([]notebook.Chapter, error) {
	dir, err := scenarios.Fixture("notebooks")
	if err != nil {
		return nil, err
	}
	all, err := notebook.Chapters(dir, language)
	if err != nil {
		return nil, usage{err}
	}
	return all, nil
}

func (c *command) play(ctx context.Context, o notebook.Options, chapter notebook.Chapter) error {
	m, err := scenarios.NewMatrix(nil, "")
	if err != nil {
		return err
	}
	known := scenarios.ForNotebooks(m)
	o.Scenarios, o.Fixes, o.Try = known.Scenarios, known.Fixes, known.Try
	_, err = notebook.Play(ctx, o, chapter.Paths...)
	err = errors.Join(err, m.Close())
	for _, again := range m.Again() {
		fmt.Fprintln(c.out, again)
	}
	if err == nil && o.Write {
		for _, path := range chapter.Paths {
			fmt.Fprintf(c.out, "written: %s\n", filepath.Base(path))
		}
	}
	return ended(ctx, err, chapter.Name+" was not played to its end")
}
