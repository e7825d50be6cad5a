package scenarios

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/gateway"
	"ghostroute/harness/notebook"
)

const notebooks = "../fixtures/notebooks"

// TestNotebook runs every chapter of fixtures/notebooks, and the answer to its exercise where the chapter left the
// bench. What a chapter reports of a scenario of the matrix must be what the matrix says. With -update the files are
// made to say what was printed.
func TestNotebook(t *testing.T) {
	t.Parallel()
	matrix, err := ReadExpected()
	require.NoError(t, err)
	require.Len(t, eachChapter(t, "", func(t *testing.T, c notebook.Chapter, o notebook.Options) {
		for _, v := range played(t, o, c.Paths) {
			if v.Scenario == "" {
				continue
			}
			want := matrix[Key{v.Scenario, v.Fix, gateway.Kind(v.Reading)}]
			require.Equal(t, want, v.Label,
				"the notebook and the matrix disagree on %s/%s, read by %s", v.Scenario, v.Fix, v.Reading)
		}
	}), 17)
}

// TestNotebookChinese keeps the Chinese chapters in step: the same commands, which print the same. They are run where
// that is asked for.
func TestNotebookChinese(t *testing.T) {
	t.Parallel()
	require.Len(t, eachChapter(t, "zh-CN", func(t *testing.T, c notebook.Chapter, o notebook.Options) {
		if *update {
			played(t, o, c.Paths)
			return
		}
		for _, path := range c.Paths {
			same, err := filepath.Rel(filepath.Join(notebooks, "zh-CN"), path)
			require.NoError(t, err)
			english, err := notebook.Script(filepath.Join(notebooks, same))
			require.NoError(t, err)
			chinese, err := notebook.Script(path)
			require.NoError(t, err)
			require.Equal(t, english, chinese,
				"%s is out of step with its English chapter: change the commands, then run with -update", path)
		}
	}), 4)
}

// eachChapter runs a test for each chapter in a language.
func eachChapter(
	t *testing.T, language string, test func(*testing.T, notebook.Chapter, notebook.Options),
) []notebook.Chapter {
	chapters, err := notebook.Chapters(notebooks, language)
	require.NoError(t, err)
	m, err := NewMatrix(nil, t.ArtifactDir())
	require.NoError(t, err)
	shared(t, m)
	for _, c := range chapters {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			o := ForNotebooks(m)
			o.Dir, o.Write = t.ArtifactDir(), *update
			test(t, c, o)
		})
	}
	return chapters
}

func played(t *testing.T, o notebook.Options, paths []string) []notebook.Verdict {
	var verdicts []notebook.Verdict
	steady(lasting(t), t, func(ctx context.Context) (err error) {
		if verdicts, err = notebook.Play(ctx, o, paths...); err != nil {
			err = fmt.Errorf("%w\nIf the story should have changed: go test ./scenarios -run '%s' -update\n"+
				"What happened, bench by bench: %s (kept with -artifacts)", err, t.Name(), o.Dir)
		}
		return err
	})
	return verdicts
}

// TestNotebookCommands compares the table of commands with the commands; -update rewrites it.
func TestNotebookCommands(t *testing.T) {
	t.Parallel()
	const file = notebooks + "/COMMANDS.md"
	var want bytes.Buffer
	require.NoError(t, notebook.Markdown(&want))
	if *update {
		require.NoError(t, os.WriteFile(file, want.Bytes(), 0o644))
		return
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got),
		"the table of commands is old: go test ./scenarios -run NotebookCommands -update")
}
