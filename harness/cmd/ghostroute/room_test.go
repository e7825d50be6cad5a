package main_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAKilledRunIsCleanedUpByTheNext kills the incident as nothing can be killed harder, and tells it again.
func TestAKilledRunIsCleanedUpByTheNext(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	others := filepath.Join(tmp, "ghostroute-1-of-somebody") // named as a run's, by no run
	require.NoError(t, os.MkdirAll(filepath.Join(others, "m1"), 0o755))
	start := func() *exec.Cmd {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, binary, "incident", "--out", t.TempDir())
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
		pipe, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, err = pipe.Read(make([]byte, 1)) // its members run
		require.NoError(t, err)
		go func() { _, _ = new(bytes.Buffer).ReadFrom(pipe) }() // ends with the process
		return cmd
	}
	left := func() (dirs []string) {
		dirs, err := filepath.Glob(filepath.Join(tmp, "*"))
		require.NoError(t, err)
		return dirs
	}
	killed, beside := start(), start()
	require.NoError(t, killed.Process.Kill())
	require.Error(t, killed.Wait())
	require.Len(t, left(), 3, "one that was killed, one that runs, and somebody's")

	next := start()
	require.Len(t, left(), 3, "one that runs, the next, and somebody's: the killed one's is gone")
	require.NoError(t, beside.Wait(), "it runs on undisturbed")
	require.NoError(t, next.Wait())
	require.Equal(t, []string{others}, left())
}

// TestTooFewOpenFilesAreSaidBeforeAnythingBegins runs it in a shell that allows 256, which the incident once ran into
// in its middle, and at 128 with a stack trace of etcd.
func TestTooFewOpenFilesAreSaidBeforeAnythingBegins(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"incident", "matrix --scenario crash --fix none", "soak --time 1s"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			cmd, end := program(t)
			cmd.Path = "/bin/sh"
			cmd.Args = []string{"sh", "-c", "ulimit -n 256 && exec " + binary + " " + verb + " --out " + t.TempDir()}
			got := end(cmd.Run())
			require.Equal(t, 2, got.code, got.out)
			require.Contains(t, got.errs, "no bench can stand, one opens 300 files: too many open files: 256 may be open")
			require.Equal(t, 1, strings.Count(got.errs, "\n"), got.errs)
		})
	}
}
