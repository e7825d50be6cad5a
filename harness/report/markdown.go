package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"ghostroute/harness/text"
)

// Markdown writes the run as tables that GitHub renders: the verdicts, the fixes and what they cost, and what is not
// as expected.
func Markdown(w io.Writer, run Run) error {
	return run.markdown(w, func(t table, b *strings.Builder) {
		fmt.Fprintf(b, "# %s\n\n%s\n\n", md(run.Title), md(run.about()))
		t.matrix(b)
		b.WriteString("\n## The fixes\n\n")
		t.fixes(b)
		b.WriteString("\n## What they cost\n\n")
		t.costs(b)
		if len(t.Moved) > 0 {
			b.WriteString("\n## Not as expected\n\n")
		}
		for _, m := range t.Moved {
			fmt.Fprintf(b, "- `%s`: %s\n", m.Key, md(m.Text))
		}
	})
}

// WriteMatrixMarkdown writes the verdicts as a table, two letters a reading, and what the letters mean. The run needs
// no more than names and labels, see Labelled.
func WriteMatrixMarkdown(w io.Writer, run Run) error {
	return run.markdown(w, func(t table, b *strings.Builder) { t.matrix(b) })
}

// WriteFixesMarkdown writes of each fix, as a table, what it is, whose, what it claims and gives up, and what it came
// to in all.
func WriteFixesMarkdown(w io.Writer, run Run) error {
	return run.markdown(w, func(t table, b *strings.Builder) { t.fixes(b) })
}

func (run Run) markdown(w io.Writer, write func(table, *strings.Builder)) error {
	t, err := run.table()
	if err != nil {
		return err
	}
	var b strings.Builder
	write(t, &b)
	_, err = io.WriteString(w, b.String())
	return err
}

func (t table) matrix(b *strings.Builder) {
	names := text.Each(t.Columns, func(c column) string { return c.Name })
	heading(b, append([]string{"scenario"}, names...)...)
	for _, th := range t.Themes {
		if th.Name != "" {
			line(b, append([]string{"**" + md(th.Name) + "**"}, make([]string, len(t.Columns))...)...)
		}
		for _, r := range th.Rows {
			cells := []string{r.Name}
			for _, q := range r.Squares {
				code := q.pair()
				if q.Moved {
					code = "**" + code + "!**"
				}
				cells = append(cells, code)
			}
			line(b, cells...)
		}
	}
	b.WriteString("\nBefore the stroke: gateways that resolve on each request. " +
		"After it: go-micro's own gateway, with its cache " +
		"and watch.\n\n")
	for _, l := range legend {
		fmt.Fprintf(b, "    %s %-8s %s\n", l.Letter, l.Word, l.Text)
	}
}

func (t table) fixes(b *strings.Builder) {
	heading(b, "fix", "what it is", "whose, or where", "it claims", "it gives up", "proxies", "users")
	for _, c := range t.Columns {
		line(b, "**"+c.Name+"**", md(c.Title), md(c.Source), md(c.Claims), md(c.GivesUp),
			c.Proxies.String(), c.Users.String())
	}
}

func (t table) costs(b *strings.Builder) {
	titles := text.Each(costColumns, func(c costColumn) string { return strings.TrimSpace(c.Title + " " + c.Unit) })
	heading(b, append([]string{"", "fix", "fresh"}, titles...)...)
	for _, c := range t.Columns {
		costs := c.Costs
		if costs == nil {
			costs = make([]string, len(costColumns))
		}
		line(b, append([]string{strconv.Itoa(c.Number), c.Name, c.Both.Fresh()}, costs...)...)
	}
}

func heading(b *strings.Builder, cells ...string) {
	line(b, cells...)
	fmt.Fprintf(b, "|%s\n", strings.Repeat("---|", len(cells)))
}

func line(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// md writes text so that Markdown takes it as it is, in a table's cell too.
func md(s string) string {
	return escape.Replace(strings.Join(strings.Fields(clean(s)), " "))
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`, "|", `\|`, "*", `\*`, "`", "\\`",
	"[", `\[`, "]", `\]`)
