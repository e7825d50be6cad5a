//go:build real

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/program"
)

var update = flag.Bool("update", false, "write fixtures/"+file)

// TestSurvivors tries each version, and compares the page with what came of that.
func TestSurvivors(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	paths := []string{os.Args[0]}
	for _, of := range program.LaterGoMicros() {
		p, err := program.Survivors(ctx, of, func(s string) { fmt.Println(s) })
		require.NoError(t, err)
		paths = append(paths, p.Path)
	}
	names := append([]string{"v2"}, program.LaterGoMicros()...)
	all := make([]version, len(names))
	t.Run("each", func(t *testing.T) {
		for i, name := range names {
			t.Run(name, func(t *testing.T) { all[i] = stood(t, name, paths[i]) })
		}
	})
	if t.Failed() {
		return
	}
	if *update {
		require.NoError(t, os.WriteFile(fixture(t), []byte(page(all)), 0o644))
		return
	}
	is, err := os.ReadFile(fixture(t))
	require.NoError(t, err)
	require.Equal(t, string(is), page(all), "fixtures/%s is written by make survivors", file)
}

// page tells of versions, the oldest first.
func page(versions []version) string {
	var b strings.Builder
	b.WriteString(head + "|")
	for _, v := range versions {
		b.WriteString(" | " + v.name)
	}
	b.WriteString(" |\n|---" + strings.Repeat("|---", len(versions)) + "|\n")
	for _, d := range defects {
		b.WriteString("| " + rows[d.name].title)
		for _, v := range versions {
			b.WriteString(" | " + v.cells[d.name])
		}
		b.WriteString(" |\n")
	}
	b.WriteString("\n## What was seen\n")
	for _, d := range defects {
		fmt.Fprintf(&b, "\n%s:\n\n", rows[d.name].title)
		var saws []string
		of := map[string][]string{}
		for _, v := range versions {
			saw := v.outcomes[d.name]
			if of[saw] == nil {
				saws = append(saws, saw)
			}
			of[saw] = append(of[saw], v.name)
		}
		for _, saw := range saws {
			fmt.Fprintf(&b, "- %s: %s\n", strings.Join(of[saw], ", "), saw)
		}
	}
	b.WriteString("\n## Made of\n\n")
	for _, v := range versions {
		fmt.Fprintf(&b, "- %s: %s\n", v.name, v.made)
	}
	return b.String()
}
