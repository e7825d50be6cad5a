package process

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/port"
	"ghostroute/harness/wait"
)

func TestMain(m *testing.M) {
	if run := os.Getenv("OWNER_OF"); run != "" {
		own(run)
	}
	goleak.VerifyTestMain(m)
}

// own is an owner that starts a process which starts another, says their ids, and waits to be killed.
func own(run string) {
	p, err := Start(Config{Name: "p", Path: "/bin/sh", Args: []string{"-c", "sleep 60 & echo $!; wait"},
		Log: filepath.Join(run, "p.log"), Run: run})
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString(strconv.Itoa(p.Pid()) + "\n")
	<-p.Done()
	os.Exit(1)
}

func shell(t *testing.T, line string) *Process {
	t.Helper()
	dir := t.TempDir()
	p, err := Start(Config{Name: "p1", Path: "/bin/sh", Args: []string{"-c", line}, Log: filepath.Join(dir, "p1.log"),
		Run: dir})
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// gone waits until there is no such process any more, or one that nobody has waited for.
func gone(t *testing.T, pid int) {
	t.Helper()
	require.NoError(t, wait.Until(limited(t), "process "+strconv.Itoa(pid)+" is still there", func() bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	}))
}

// said waits until a log has so many lines, and returns the last.
func said(t *testing.T, p *Process, lines int) string {
	t.Helper()
	var all []string
	require.NoError(t, wait.Until(limited(t), "it did not say so much", func() bool {
		all = strings.Split(tail(p.cfg.Log), "\n")
		return len(all) >= lines && all[lines-1] != ""
	}))
	return all[lines-1]
}

func TestAProcessThatEndsByItselfSaysHow(t *testing.T) {
	p := shell(t, "seq 30; exit 7")
	<-p.Done()
	require.ErrorContains(t, p.Err(), "p1 ended by itself, exit status 7: /bin/sh -c 'seq 30; exit 7'")
	require.ErrorContains(t, p.Err(), "):\n11\n12\n")
	err := p.Await(limited(t), func() string { return "it never comes to that" })
	require.Equal(t, p.Err(), err)

	_, err = Start(Config{Name: "p2", Path: "/no/such", Log: filepath.Join(t.TempDir(), "log")})
	require.ErrorContains(t, err, "p2 did not start")
	_, err = Start(Config{Name: "p2", Path: "/bin/sh", Log: "/no/such/log"})
	require.ErrorContains(t, err, "p2 has no log")
}

func TestAProcessIsToldToEnd(t *testing.T) {
	for what, end := range map[string]func(*Process){
		"killed":  (*Process).Kill,
		"stopped": func(p *Process) { p.Stop(limited(t)) },
	} {
		p := shell(t, "sleep 60 & echo $!; wait")
		child, err := strconv.Atoi(said(t, p, 1))
		require.NoError(t, err)
		require.NoError(t, p.Freeze(limited(t)))
		end(p) // one that stands still too
		require.NoError(t, p.Err(), what)
		gone(t, child)
		end(p)
	}
	stubborn := shell(t, "trap : TERM; echo deaf; while :; do sleep 1; done")
	said(t, stubborn, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	stubborn.Stop(ctx)
	require.NoError(t, stubborn.Err())
}

func TestAwaitSaysWhatIsMissing(t *testing.T) {
	p := shell(t, "echo I think; sleep 60")
	said(t, p, 1)
	reserved, err := port.Reserve()
	require.NoError(t, err)
	defer reserved.Close()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("patience is over"))
	defer cancel()
	err = p.Listens(ctx, reserved.Addr())
	require.ErrorContains(t, err, "p1 does not listen: ")
	require.ErrorContains(t, err, "patience is over\nthe last that p1 said (all of it: ")
	require.ErrorContains(t, err, "I think")
	l, err := reserved.Listen()
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, p.Listens(limited(t), reserved.Addr()))
}

// An owner that is killed leaves nothing: the process goes with it, and the next run finds what that one had started.
func TestAKilledOwnerLeavesNothing(t *testing.T) {
	run := t.TempDir()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), "OWNER_OF="+run)
	out, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	line := make([]byte, 32)
	n, err := out.Read(line)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	require.NoError(t, err)
	child, err := strconv.Atoi(said(t, &Process{cfg: Config{Log: filepath.Join(run, "p.log")}}, 1))
	require.NoError(t, err)
	require.ElementsMatch(t, []int{pid, child}, marked(run))

	require.NoError(t, owner.Process.Kill())
	require.Error(t, owner.Wait())
	gone(t, pid)
	Sweep(run)
	gone(t, child)
	require.Empty(t, marked(run))
}

// A process owns the connections that it made, and no other's.
func TestAProcessOwnsItsConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, number, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	connects := func() (*Process, net.Conn) {
		path, err := exec.LookPath("bash")
		require.NoError(t, err)
		dir := t.TempDir()
		line := "exec 3<>/dev/tcp/127.0.0.1/" + number + "; read -u 3"
		p, err := Start(Config{Name: "p", Path: path, Args: []string{"-c", line}, Log: filepath.Join(dir, "log"), Run: dir})
		require.NoError(t, err)
		t.Cleanup(p.Kill)
		c, err := l.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return p, c
	}
	one, mine := connects()
	other, theirs := connects()
	owns := func(p *Process, c net.Conn) bool { return p.Owns(c.RemoteAddr().String(), c.LocalAddr().String()) }
	require.Equal(t, []bool{true, false, false, true},
		[]bool{owns(one, mine), owns(one, theirs), owns(other, mine), owns(other, theirs)})
	require.False(t, one.Owns("nowhere", l.Addr().String()))
	require.False(t, one.Owns(l.Addr().String(), mine.RemoteAddr().String()), "the other end is ours")
}

// What a process has worked is counted, and what one has slept is not.
func TestCPUIsWhatWasWorked(t *testing.T) {
	t.Parallel()
	busy, idle := shell(t, "while :; do :; done"), shell(t, "sleep 600")
	require.Eventually(t, func() bool {
		worked, err := busy.CPU()
		require.NoError(t, err)
		return worked > 50*time.Millisecond
	}, 20*time.Second, time.Millisecond)
	slept, err := idle.CPU()
	require.NoError(t, err)
	require.Less(t, slept, 50*time.Millisecond)
}
