package etcd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
	"ghostroute/harness/program"
)

// pretender is a program that is no etcd.
func pretender(t *testing.T, line string) program.Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "etcd")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+line+"\n"), 0o755))
	return program.Program{Path: path, Version: "0"}
}

// A process that dies at its start is told with its command line and the last that it said; nothing is left.
func TestAProcessThatDiesAtItsStart(t *testing.T) {
	t.Parallel()
	_, err := Start(soon(t), Config{Members: 1, Dir: t.TempDir(), History: history.New(),
		Programs: program.Alike(pretender(t, `echo "listen tcp: address already in use"; exit 1`))})
	require.ErrorContains(t, err, "m1 ended by itself, exit status 1: ")
	require.ErrorContains(t, err, "--name m1 --data-dir ")
	require.ErrorContains(t, err, "m1-etcd.log):\nlisten tcp: address already in use")
	require.Equal(t, 1, strings.Count(err.Error(), "ended by itself"), "it is told once")

	_, err = Start(gone(t), Config{Members: 1, Dir: t.TempDir(), History: history.New(),
		Programs: program.Alike(pretender(t, `exec sleep 60`))})
	require.ErrorContains(t, err, "m1 does not say where it stands")
}

// Each member runs its own program, and beyond those that are given they begin anew.
func TestMembersRunTheirOwnPrograms(t *testing.T) {
	t.Parallel()
	c := newCluster(Config{Programs: program.Members{{Path: "a"}, {Path: "b"}}})
	var run []string
	for range 3 {
		c.Members = append(c.Members, &Member{cluster: c})
	}
	for _, m := range c.Members {
		run = append(run, m.program().Path)
	}
	require.Equal(t, []string{"a", "b", "a"}, run)
}
