//go:build real

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
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
