package main

import (
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"ghostroute/harness/text"
)

// completion is the verb completion; cobra's own takes a shell that there is not for success.
func (c *command) completion(root *cobra.Command) *cobra.Command {
	shells := map[string]func(io.Writer) error{
		"bash":       func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":        root.GenZshCompletion,
		"fish":       func(w io.Writer) error { return root.GenFishCompletion(w, true) },
		"powershell": root.GenPowerShellCompletionWithDesc,
	}
	names := slices.Sorted(maps.Keys(shells))
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "Write what makes a shell complete verbs, flags and names",
		Example:   "  source <(ghostroute completion bash)",
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || shells[args[0]] == nil {
				return usagef("completion takes one shell: %s", text.Or(names))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return shells[args[0]](c.out) },
	}
}
