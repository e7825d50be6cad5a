//go:build real

package compat_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	micro "github.com/micro/go-micro/v2/registry"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/compat"
	"ghostroute/harness/internal/onemember"
	"ghostroute/harness/port"
	"ghostroute/harness/program"
	"ghostroute/harness/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var built = sync.OnceValues(func() (program.Program, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return program.Period(ctx, func(s string) { fmt.Println(s) })
})

func period(t *testing.T) program.Program {
	t.Helper()
	p, err := built()
	require.NoError(t, err)
	return p
}

// client is one at an address, that ends with the test.
func client(t *testing.T, dir, addr string) *compat.Client {
	t.Helper()
	c, err := compat.Start(compat.Config{Name: "g1", Program: period(t), Dir: dir, Addresses: []string{addr},
		Timeout: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func instance(id string) *micro.Service {
	return &micro.Service{Name: "hello", Version: "v1", Nodes: []*micro.Node{{Id: "hello-" + id, Address: "127.0.0.1:1"}}}
}

func TestItRegistersResolvesAndWatches(t *testing.T) {
	f := onemember.Start(t)
	c := client(t, t.TempDir(), f.Member())
	do := func(command compat.Command) compat.Answer {
		t.Helper()
		a, err := c.Do(f.Ctx, command)
		f.NoError(err)
		return a
	}
	f.NoError(do(compat.Command{Do: "connect"}).Err())
	f.Equal(micro.ErrNotFound, do(compat.Command{Do: "get", Name: "hello"}).Err())
	w, err := c.Watch(f.Ctx, "hello")
	f.NoError(err)

	a := do(compat.Command{Do: "register", Service: instance("v1-a"), TTL: 60})
	f.NoError(a.Err())
	var ops []string
	for _, call := range a.Calls {
		ops = append(ops, call.Op)
	}
	f.Equal([]string{"range", "grant", "put"}, ops)
	f.NotZero(a.Calls[2].Lease)
	f.Equal(a.Calls[1].Lease, a.Calls[2].Lease)
	met, err := w.Next()
	f.NoError(err)
	f.Equal([]any{"create", "hello-v1-a"}, []any{met.Action, met.Service.Nodes[0].Id})

	a = do(compat.Command{Do: "get", Name: "hello"})
	f.Equal("hello-v1-a", a.Services[0].Nodes[0].Id)
	f.Equal("/micro/registry/hello/", a.Calls[0].Key)
	f.True(a.Calls[0].Serializable)
	f.Len(do(compat.Command{Do: "list"}).Services, 1)
	f.Len(do(compat.Command{Do: "route", Name: "hello"}).Services, 1)

	f.NoError(do(compat.Command{Do: "deregister", Service: instance("v1-a")}).Err())
	met, err = w.Next()
	f.NoError(err)
	f.Equal("delete", met.Action)
	f.Equal(micro.ErrNotFound, do(compat.Command{Do: "get", Name: "hello"}).Err())
	w.Stop()
	_, err = w.Next()
	f.EqualError(err, "could not get next")
}

func TestACommandEndsWithItsContextAndWithTheClient(t *testing.T) {
	t.Parallel()
	nobody, err := port.Reserve()
	require.NoError(t, err)
	defer nobody.Close()
	c := client(t, t.TempDir(), nobody.Addr())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	a, err := c.Do(ctx, compat.Command{Do: "connect"})
	require.NoError(t, err)
	require.ErrorContains(t, a.Err(), "there is no connection, its state is ")

	ended := make(chan error, 1)
	go func() { _, err := c.Do(t.Context(), compat.Command{Do: "connect"}); ended <- err }()
	require.NoError(t, c.Close())
	require.EqualError(t, <-ended, "g1 was closed")
	_, err = c.Do(t.Context(), compat.Command{Do: "list"})
	require.EqualError(t, err, "g1 was closed")
}

func TestABadCommandIsToldClearly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`x`:                           "line 1 is no command: invalid character 'x' looking for beginning of value",
		``:                            "line 1 is no command: it is empty",
		`{"id":1,"do":"resolve"}`:     `there is no command \"resolve\": there are register, deregister, get, list, route,`,
		`{"do":"list"}`:               "its id is 0: it may be 1 or more",
		`{"id":1,"do":"get"}`:         `get needs a \"name\"`,
		`{"id":1,"do":"register"}`:    `register needs a \"service\"`,
		`{"id":1,"do":"get","nam":1}`: `unknown field \"nam\"`,
		`{"id":1,"do":"register","service":{"nodes":[{}]},"ttl":-1}`: "its ttl is -1: it may be 0 (no lease) or more",
		`{"id":1,"do":"list"}{}`:                                     "there is more on the line than one JSON object",
	} {
		cmd := exec.CommandContext(t.Context(), period(t).Path, "-addresses", "127.0.0.1:1")
		cmd.Stdin = strings.NewReader(in + "\n") // and it ends with it
		out, err := cmd.Output()
		require.NoError(t, err, in)
		require.Contains(t, string(out), want)
		require.Equal(t, 1, bytes.Count(out, []byte("\n")), "%s", out)
	}
	out, err := exec.CommandContext(t.Context(), period(t).Path, "list").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), `period: it is called with -addresses host:port and nothing else, not with ["list"]`)
	out, err = exec.CommandContext(t.Context(), period(t).Path, "-addresses", "127.0.0.1:1", "-mode",
		"fast").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), `period: -mode is "fast": it may be serializable, linearizable-get or linearizable`)

	c := client(t, t.TempDir(), "127.0.0.1:1")
	for do, want := range map[string]string{
		"stop":   "there is no watch 99 to stop",
		"cancel": "there is no command 99 to cancel: it has ended or never began",
	} {
		a, err := c.Do(t.Context(), compat.Command{Do: do, Of: 99})
		require.NoError(t, err)
		require.EqualError(t, a.Err(), want)
	}
}

// A process that dies is told with what it was and what it said; what waits for it does not wait for ever.
func TestAProcessThatDiesIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := compat.Start(compat.Config{Name: "g1", Program: period(t), Dir: dir, Addresses: []string{"127.0.0.1:1"}})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { _, err := c.Do(t.Context(), compat.Command{Do: "connect"}); ended <- err }()
	require.NoError(t, syscall.Kill(c.Pid(), syscall.SIGKILL))
	const told = "the process of g1 ended by itself, signal: killed: "
	require.ErrorContains(t, <-ended, told)
	require.ErrorContains(t, c.Close(), told)
	require.NoError(t, c.Close(), "it is told once")
	logs, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, logs, 1, "its log")
	require.NoError(t, wait.Until(t.Context(), "it is still there", func() bool {
		return syscall.Kill(c.Pid(), 0) != nil
	}))
}
