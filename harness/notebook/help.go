package notebook

import (
	"fmt"
	"io"
	"strings"

	"ghostroute/harness/text"
)

// Help writes what each command does and takes, for a terminal.
func Help(w io.Writer) error {
	var out strings.Builder
	out.WriteString("A line of a notebook is a command, its arguments, and below ---- what it prints. " +
		"Lines that begin with # are prose.\n" +
		"[…] may be left out, WORD… may be several, name=(…) is written name=(one, two).\n")
	theme := ""
	for _, c := range Commands() {
		if c.Theme != theme {
			theme = c.Theme
			fmt.Fprintf(&out, "\n%s\n", strings.ToUpper(theme))
		}
		fmt.Fprintf(&out, "\n  %s\n", c.Name)
		for _, line := range text.Wrap(c.Does, 100) {
			fmt.Fprintf(&out, "      %s\n", line)
		}
		for i, line := range strings.Split(c.Example, "\n") {
			fmt.Fprintf(&out, "      %-9s%s\n", [2]string{"example", ""}[min(i, 1)], line)
		}
		for _, a := range c.Args {
			fmt.Fprintf(&out, "        %-16s %s\n", a.Form, a.says())
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// Markdown writes the commands as a table: fixtures/notebooks/COMMANDS.md.
func Markdown(w io.Writer) error {
	var out strings.Builder
	out.WriteString("# The commands of the notebooks\n\n" +
		"<!-- written by go test ./scenarios -run NotebookCommands -update -->\n\n" +
		"| command | what it does | for example |\n|---|---|---|\n")
	for _, c := range Commands() {
		fmt.Fprintf(&out, "| `%s` | %s | `%s` |\n",
			c.Name, strings.ReplaceAll(c.Does, "|", `\|`), strings.ReplaceAll(c.Example, "\n", "` `"))
	}
	_, err := io.WriteString(w, out.String())
	return err
}
