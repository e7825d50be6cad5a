package scenarios

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/gateway"
	"ghostroute/harness/notebook"
	"ghostroute/harness/stage"
	"ghostroute/harness/telling"
	"ghostroute/harness/verdict"
)

// How a notebook is played: see the Makefile. -rewrite, which has the files say what was printed, is datadriven's.
var (
	play = flag.Bool("play", false, "show a notebook in the terminal, slowly, and let it differ from its file")
	pace = flag.Float64("pace", 1, "how slowly: 2 is half as fast, 0 does not wait")
)

const notebooks = "../fixtures/notebooks"

// TestNotebook runs every chapter of fixtures/notebooks, and the answer to its exercise where the chapter left the bench. What a chapter
// reports of a scenario of the matrix must be what the matrix says.
func TestNotebook(t *testing.T) {
	chapters, options := open(t, notebooks)
	require.Len(t, chapters, 12)
	f, err := os.Open("../fixtures/verdicts.txt")
	require.NoError(t, err)
	defer f.Close()
	matrix, err := ReadVerdicts(f)
	require.NoError(t, err)
	for _, path := range chapters {
		t.Run(chapter(path), func(t *testing.T) {
			t.Parallel()
			options := options
			options.Dir = t.ArtifactDir()
			for _, v := range notebook.Run(t, options, path, answers(path)...) {
				if v.Scenario == "" || *play {
					continue
				}
				want := matrix[Key{v.Scenario, v.Fix, gateway.Kind(v.Reading)}]
				require.Equal(t, want, v.Label, "the notebook and the matrix disagree on %s/%s, read by %s", v.Scenario, v.Fix, v.Reading)
			}
		})
	}
}

// TestNotebookChinese keeps the Chinese chapters in step: the same commands, which print the same. They are run where that is asked for.
func TestNotebookChinese(t *testing.T) {
	chapters, options := open(t, filepath.Join(notebooks, "zh-CN"))
	require.Len(t, chapters, 3)
	for _, path := range chapters {
		t.Run(chapter(path), func(t *testing.T) {
			t.Parallel()
			for _, p := range append([]string{path}, answers(path)...) {
				same, err := filepath.Rel(filepath.Join(notebooks, "zh-CN"), p)
				require.NoError(t, err)
				english, err := notebook.Script(filepath.Join(notebooks, same))
				require.NoError(t, err)
				chinese, err := notebook.Script(p)
				require.NoError(t, err)
				if !rewriting() && !*play {
					require.Equal(t, english, chinese, "%s is out of step with its English chapter: change the commands, then run with -rewrite", p)
				}
			}
			if rewriting() || *play {
				notebook.Run(t, options, path, answers(path)...)
			}
		})
	}
}

// TestNotebookCommandsInTheREADME compares the README's table of commands with the commands; -rewrite rewrites it.
func TestNotebookCommandsInTheREADME(t *testing.T) {
	const begin, end = "<!-- notebook commands: written by go test -rewrite -->\n", "<!-- notebook commands end -->\n"
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), begin, "the README has no place for the table of commands")
	before, rest, _ := strings.Cut(string(readme), begin)
	table, after, found := strings.Cut(rest, end)
	require.True(t, found, "the README's table of commands does not end")
	var want bytes.Buffer
	require.NoError(t, notebook.Markdown(&want))
	if rewriting() {
		require.NoError(t, os.WriteFile("../README.md", []byte(before+begin+want.String()+end+after), 0o644))
		return
	}
	require.Equal(t, want.String(), table, "the README's table of commands is old: go test ./scenarios -run NotebookCommands -rewrite")
}

func rewriting() bool { return flag.Lookup("rewrite").Value.String() == "true" }

// open lists the chapters in a folder, and has what they are run with ended with the test.
func open(t *testing.T, dir string) (chapters []string, options notebook.Options) {
	chapters, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	require.NoError(t, err)
	pool, err := stage.NewPool()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	options = notebook.Options{Fixes: byTopology(), Matrix: cells{pool}}
	if *play {
		options.Player = &notebook.Player{Out: os.Stdout, Colour: telling.Colour(os.Stdout), Pace: *pace}
	}
	return chapters, options
}

func chapter(path string) string { return strings.TrimSuffix(filepath.Base(path), ".txt") }

// answers is the answer to a chapter's exercise, if there is one.
func answers(path string) []string {
	answer := filepath.Join(filepath.Dir(path), "answers", filepath.Base(path)[:2]+".txt")
	if _, err := os.Stat(answer); err != nil {
		return nil
	}
	return []string{answer}
}

// byTopology are the fixes that are a matter of topology, and need no operator.
func byTopology() []notebook.Fix {
	var all []notebook.Fix
	for _, f := range Fixes() {
		if f.Deploy == nil && f.Remedy == nil {
			all = append(all, notebook.Fix{Name: f.Name, Apply: f.Apply})
		}
	}
	return all
}

// cells is the matrix, for the notebooks.
type cells struct{ pool *stage.Pool }

func (c cells) Scenarios() (names []string) {
	for _, s := range All() {
		names = append(names, s.Name)
	}
	return names
}

func (c cells) Fixes() (names []string) {
	for _, f := range Fixes() {
		names = append(names, f.Name)
	}
	return names
}

func (c cells) Try(ctx context.Context, scenario, fix, reading string) (v verdict.Verdict, na string, err error) {
	s, serr := Named(scenario)
	f, ferr := FixNamed(fix)
	if err := errors.Join(serr, ferr); err != nil {
		return v, "", err
	}
	if na := NotApplicable(s, f, gateway.Kind(reading)); na != "" {
		return v, na, nil
	}
	cluster, err := c.pool.Take(ctx, 3)
	if err != nil {
		return v, "", err
	}
	r, err := Try(ctx, cluster, s, f, gateway.Kind(reading))
	return r.Verdict, "", errors.Join(err, c.pool.Give(ctx, cluster))
}
