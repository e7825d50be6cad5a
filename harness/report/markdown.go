package report

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// Markdown writes the matrix as tables that GitHub renders: the verdicts, what the fixes cost, and what is not as expected.
func Markdown(w io.Writer, run Run) error {
	if err := run.Check(); err != nil {
		return err
	}
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("# %s\n\n%s\n\n", md(run.Title), md(run.about()))

	p("| scenario |")
	for i := range run.Fixes {
		p(" %d |", i+1)
	}
	p("\n|---|%s\n", strings.Repeat(":-:|", len(run.Fixes)))
	cell := run.cell()
	for _, th := range run.themes() {
		p("| **%s** |%s\n", md(th.Name), strings.Repeat(" |", len(run.Fixes)))
		for _, s := range th.Scenarios {
			p("| %s |", md(orElse(s.Title, s.Name)))
			for _, f := range run.Fixes {
				c, ok := cell(s.Name, f.Name)
				switch {
				case !ok:
					p("  |")
				case c.NA != "":
					p(" – |")
				case c.Moved():
					p(" **%s!** |", c.code())
				default:
					p(" %s |", c.code())
				}
			}
			p("\n")
		}
	}
	p("\n")
	for _, l := range legend() {
		p("    %s\n", l)
	}

	tallies := run.tallies()
	p("\n## The fixes and what they cost\n\n")
	p("| | fix | fresh | read p50, ms | read p99, ms | Ranges at etcd per 1,000 reads | errors when a proxy dies | recovery, ms | members stay hidden | gives up |\n")
	p("|--:|---|--:|--:|--:|--:|--:|--:|:-:|---|\n")
	for i, f := range run.Fixes {
		t := tallies[f.Name]
		p("| %d | %s | %d/%d |", i+1, md(orElse(f.Title, f.Name)), t.Fresh, t.applies())
		if c := f.Costs; c != nil {
			p(" %s | %s | %s | %s | %s | %s |", c.p50(), c.p99(), c.ranges(), c.errors(), c.recovery(), c.hidden())
		} else {
			p(" | | | | | |")
		}
		p(" %s |\n", md(orElse(f.GivesUp, "–")))
	}

	if all := run.surprises(); len(all) > 0 {
		p("\n## Not as expected\n\n")
		for _, s := range all {
			p("- `%s`: expected %s, got %s\n", s.name(), md(s.Reading.Expected), md(s.Reading.Verdict.String()))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// md writes text so that Markdown takes it as it is, in a table's cell too.
func md(s string) string {
	s = html.EscapeString(strings.Join(strings.Fields(clean(s)), " "))
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`, "]", `\]`).Replace(s)
}
