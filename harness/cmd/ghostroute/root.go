package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

// command is one run of ghostroute: where it writes, and the flags that several verbs have.
type command struct {
	out   *os.File
	begun bool // the command line was right, and a verb runs

	color choice
	json  choice // of those verbs that have a result
	dir   string // of those verbs that keep anything

	parallel uint   // cells of the matrix at a time
	junit    string // a file for the matrix as JUnit
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ghostroute VERB",
		Short: "Make etcd grpc-proxy's stale cache happen, judge what cures it, and look for more",
		Long: "Ghostroute makes a production incident happen on real parts: a gateway keeps sending traffic to\n" +
			"instances that were deregistered, because each etcd grpc-proxy keeps a cache of its own. It tries\n" +
			"every scenario against every fix.\n\n" + codesHelp,
		Example: "  ghostroute incident\n  ghostroute matrix --scenario crash --fix ttl\n" +
			"  ghostroute judge artifacts/matrix/crash/ttl/go-micro.jsonl",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no verb was given: ghostroute --help lists them")
			}
			return text.Unknown("verb", args[0], verbs(cmd))
		},
		RunE:              func(*cobra.Command, []string) error { return nil }, // Args refuses all there is to run
		PersistentPreRun:  func(*cobra.Command, []string) { c.begun = true },
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	c.color = choice{value: "auto", may: []string{"auto", "always", "never"}}
	root.PersistentFlags().Var(&c.color, "color", "auto, always or never; auto is a terminal without NO_COLOR")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return unknownFlag(cmd, err) })
	root.SetHelpCommand(helpOf(root))
	root.AddCommand(c.incident(), c.matrix(), c.merge(), c.verdicts(), c.notebook(), c.explore(), c.soak(), c.agree(),
		c.stress(), c.claims(), c.causes(), c.versions(), c.mutants(), c.patches(), c.etcd(), c.beyond(), c.clients(),
		c.benchCache(), c.judge(), c.draw(), c.probe(), c.record(), c.checkClient(), c.version(), c.completion(root))
	return root
}

// helpOf is the verb help; cobra's own takes a verb that there is not for success.
func helpOf(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "Say what a verb does and takes",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil && len(rest) > 0 {
				err = text.Unknown("verb", rest[0], verbs(root))
			}
			if err != nil {
				return usage{err}
			}
			return cmd.Help()
		},
	}
}

func verbs(root *cobra.Command) (names []string) {
	for _, v := range root.Commands() {
		if v.IsAvailableCommand() {
			names = append(names, v.Name())
		}
	}
	return names
}

// unknownFlag says of a flag that there is not which there are, in one line.
func unknownFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return fmt.Errorf("%s: %w", cmd.Name(), err)
	}
	var flags []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, "--"+f.Name) })
	dashes := "--"
	if unknown.GetSpecifiedShortnames() != "" {
		dashes = "-"
	}
	return fmt.Errorf("%s: %w", cmd.Name(), text.Unknown("flag", dashes+unknown.GetSpecifiedName(), flags))
}

// noArgs refuses arguments where a verb takes none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument, and was given %q", cmd.Name(), strings.Join(args, " "))
	}
	return nil
}

// oneFile wants the name of a file.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes one file, and was given %d", cmd.Name(), len(args))
	}
	return nil
}

// choice is a flag that may be one of a few words.
type choice struct {
	value string
	may   []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }
func (c *choice) Set(v string) error {
	for _, may := range c.may {
		if v == may {
			c.value = v
			return nil
		}
	}
	return fmt.Errorf("it may be %s", text.Or(c.may))
}

// name gives a verb a flag that takes one of these names, which the shell completes.
func name(cmd *cobra.Command, value *string, flag, usage string, names []string) {
	cmd.Flags().StringVar(value, flag, "", usage)
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
}

// keeps gives a verb the flag --out.
func (c *command) keeps(cmd *cobra.Command, what string) *cobra.Command {
	cmd.Flags().StringVar(&c.dir, "out", "", what+"; artifacts/"+cmd.Name()+" where it is not given")
	return cmd
}

// results gives a verb the flag -o.
func (c *command) results(cmd *cobra.Command) *cobra.Command {
	c.json = choice{value: "text", may: []string{"text", "json"}}
	cmd.Flags().VarP(&c.json, "output", "o", "text or json")
	return cmd
}

// output is where a verb writes and keeps. The folder is tried first: what cannot be kept is not begun.
func (c *command) output(under ...string) (scenarios.Output, error) {
	o := scenarios.Output{Writer: c.out, Colour: colours(c.color.value, c.out), Dir: c.dir}
	if o.Dir == "" {
		o.Dir = filepath.Join(append([]string{"artifacts"}, under...)...)
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return o, fmt.Errorf("the output folder %s cannot be made: %w", o.Dir, err)
	}
	f, err := os.CreateTemp(o.Dir, ".writable-")
	if err != nil {
		return o, fmt.Errorf("the output folder %s cannot be written: %w", o.Dir, err)
	}
	return o, errors.Join(f.Close(), os.Remove(f.Name()))
}
