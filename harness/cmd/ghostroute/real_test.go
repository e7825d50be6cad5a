//go:build real

package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// onReal are the arguments of an incident on processes.
func onReal(t *testing.T) []string {
	t.Helper()
	return []string{"incident", "--on", "real", "--etcd", os.Getenv("GHOSTROUTE_ETCD"), "--balancer", "haproxy", "--out",
		t.TempDir()}
}

// processesOf counts the processes that belong to a run of the program.
func processesOf(t *testing.T, cmd *exec.Cmd) (n int) {
	t.Helper()
	tmp, _ := strings.CutPrefix(cmd.Env[len(cmd.Env)-1], "TMPDIR=")
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	for _, file := range all {
		env, _ := os.ReadFile(file)
		if bytes.Contains(env, []byte("GHOSTROUTE_RUN="+tmp+"/")) {
			n++
		}
	}
	return n
}

// begun is an incident whose members, proxies and balancer run.
func begun(t *testing.T) (cmd *exec.Cmd, end func(error) ended) {
	t.Helper()
	cmd, end = program(t, onReal(t)...)
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return processesOf(t, cmd) == 7 }, 30*time.Second, time.Millisecond)
	return cmd, end
}

func TestNothingIsLeftOfProcessesAfterCtrlC(t *testing.T) {
	t.Parallel()
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd, end := begun(t)
		require.NoError(t, cmd.Process.Signal(s))
		got := end(cmd.Wait())
		require.Equal(t, 2, got.code, got.errs)
		require.Contains(t, got.errs, "interrupted")
		require.Zero(t, processesOf(t, cmd))
	}
}

// A run that is killed takes its processes with it; its folder goes with the next run.
func TestNothingIsLeftOfProcessesAfterKill(t *testing.T) {
	t.Parallel()
	cmd, end := begun(t)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return processesOf(t, cmd) == 0 }, 10*time.Second, time.Millisecond)

	next := exec.CommandContext(t.Context(), binary, onReal(t)...)
	next.Env = cmd.Env
	out, err := next.CombinedOutput()
	require.NoError(t, err, string(out))
	got := end(nil)
	require.Equal(t, -1, got.code)
}
