package etcd

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"ghostroute/harness/history"
)

func TestLife(t *testing.T) {
	t.Parallel()
	for _, members := range []int{1, 3, 5} {
		t.Run(fmt.Sprint(members), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c, err := Start(soon(t), Config{Members: members, Dir: dir, History: history.New()})
			require.NoError(t, err)
			require.Len(t, c.Members, members)

			rev := put(t, c, "key", "value")
			require.Equal(t, int64(2), rev, "a new cluster is at revision 1")
			require.Equal(t, "value", truth(t, c, "key"))
			require.NoError(t, c.WaitApplied(soon(t), 0))
			for _, m := range c.Members {
				require.Same(t, m, c.Member(m.Name))
				require.True(t, m.Running())
				require.Equal(t, rev, m.Applied(), m.Name)
				resp, err := m.Client().Get(soon(t), "key", clientv3.WithSerializable())
				require.NoError(t, err)
				require.Equal(t, "value", string(resp.Kvs[0].Value))
				m.Client().Watch(context.Background(), "key") // one that nobody ends
			}
			require.Nil(t, c.Member("m9"))

			require.NoError(t, c.Close())
			require.NoError(t, c.Close(), "closing twice is allowed")
			for _, m := range c.Members {
				require.False(t, m.Running())
				require.Zero(t, m.Applied())
				_, err := net.Dial("tcp", m.Endpoint())
				require.Error(t, err, "%s still listens", m.Name)
				log, err := os.Stat(filepath.Join(dir, m.Name+".log"))
				require.NoError(t, err)
				require.NotZero(t, log.Size())
				segments, err := filepath.Glob(filepath.Join(dir, m.Name, "member", "wal", "*.wal"))
				require.NoError(t, err)
				require.NotEmpty(t, segments)
				for _, segment := range segments {
					info, err := os.Stat(segment)
					require.NoError(t, err)
					require.LessOrEqual(t, info.Size(), int64(2<<20), "a memory file system would fill up")
				}
			}
			require.NoError(t, os.RemoveAll(dir))
			_, err = c.Dial("", "")
			require.ErrorContains(t, err, "the cluster is closed")
			require.ErrorContains(t, c.Members[0].Restart(soon(t)), "its cluster is closed")
		})
	}
}

// TestNothingIsLeft runs alone, so that every goroutine and every open file is its own.
func TestNothingIsLeft(t *testing.T) {
	files := func() int {
		entries, err := os.ReadDir("/dev/fd")
		require.NoError(t, err)
		return len(entries)
	}
	lives := func() {
		c := start(t, 3)
		for _, m := range c.Members {
			client, err := m.dialAs("", "")
			require.NoError(t, err)
			client.Watch(context.Background(), "key")
			c.Follow(history.New(), 0)
		}
		require.NoError(t, c.Members[1].Kill())
		require.NoError(t, c.Close())

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := Start(ctx, Config{Members: 3, Dir: t.TempDir(), History: history.New()})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	lives() // what a process keeps for good, it has now
	before := files()
	lives()
	goleak.VerifyNone(t)
	require.Equal(t, before, files(), "a file or a socket is still open")
}

// TestFirstLeader starts a cluster whose election timeout is longer than the test's patience.
func TestFirstLeader(t *testing.T) {
	t.Parallel()
	election := patience + 10*time.Second
	c, err := Start(soon(t), Config{Members: 3, Dir: t.TempDir(), History: history.New(), Election: election})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	lead, _ := leader(t, c)
	require.Equal(t, "m1", lead.Name, "the first leader is the member that was told to campaign")
}

// TestSilence runs TestLife in a process of its own and wants nothing of etcd, its clients or gRPC on the terminal.
func TestSilence(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(soon(t), os.Args[0], "-test.run=^TestLife$").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for line := range strings.Lines(string(out)) {
		if line != "PASS\n" && !strings.HasPrefix(line, "coverage:") {
			t.Errorf("the terminal was told: %s", line)
		}
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	good := Config{Members: 3, Dir: dir, History: history.New()}
	for want, spoil := range map[string]func(*Config){
		"Members is 0: a cluster has 1, 3 or 5":   func(c *Config) { c.Members = 0 },
		"Members is 2: a cluster has 1, 3 or 5":   func(c *Config) { c.Members = 2 },
		"Members is -3: a cluster has 1, 3 or 5":  func(c *Config) { c.Members = -3 },
		"History is nil":                          func(c *Config) { c.History = nil },
		"Dir cannot hold the members' data":       func(c *Config) { c.Dir = "" },
		"Dir cannot hold the members' data: stat": func(c *Config) { c.Dir = filepath.Join(dir, "missing") },
		"file is no folder":                       func(c *Config) { c.Dir = file },
		"Heartbeat is 1.5ms":                      func(c *Config) { c.Heartbeat = 1500 * time.Microsecond },
		"Heartbeat is -1ms":                       func(c *Config) { c.Heartbeat = -time.Millisecond },
		"Election is 99ms: etcd wants whole":      func(c *Config) { c.Election = 99 * time.Millisecond },
		"Election is 51s":                         func(c *Config) { c.Election = 51 * time.Second },
		"at least 5 heartbeats of 200ms":          func(c *Config) { c.Heartbeat = 200 * time.Millisecond },
	} {
		cfg := good
		spoil(&cfg)
		_, err := Start(soon(t), cfg)
		require.ErrorContains(t, err, want)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "a config that cannot be must leave nothing behind")
}

func TestDataThatIsInTheWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "m2"), 0o700))
	_, err := Start(soon(t), Config{Members: 3, Dir: dir, History: history.New()})
	require.ErrorContains(t, err, "m2 has no folder of its own for its data")
	require.ErrorIs(t, err, os.ErrExist)
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o500))
	if os.Getuid() == 0 {
		dir = "/sys" // where even root makes no folder
	}
	_, err := Start(soon(t), Config{Members: 1, Dir: dir, History: history.New()})
	require.ErrorContains(t, err, "m1 has no folder of its own for its data")
	require.ErrorIs(t, err, os.ErrPermission)
}

// TestDataFolderThatVanishes takes a member's folder away between its making and its start.
func TestDataFolderThatVanishes(t *testing.T) {
	t.Parallel()
	c := furnished(t, 3)
	require.NoError(t, os.Remove(c.Members[1].dir))
	require.NoError(t, os.WriteFile(c.Members[1].dir, nil, 0o600))
	err := c.start(soon(t))
	require.ErrorContains(t, err, "m2 did not start")
	require.ErrorContains(t, err, "m2.log")
}

func TestNeverElected(t *testing.T) {
	t.Parallel()
	c := furnished(t, 3)
	for _, m := range c.Members {
		require.NoError(t, m.peers.Cut())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := c.start(ctx)
	require.ErrorContains(t, err, "m1 waited to be elected")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNeverReady(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	dir := t.TempDir()
	_, err := Start(ctx, Config{Members: 3, Dir: dir, History: history.New()})
	require.ErrorContains(t, err, "a cluster of 3 in "+dir+" did not start: ")
	require.ErrorContains(t, err, "waited")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, os.RemoveAll(dir), "what is left must be nobody's")
}

// furnished is a cluster whose members have not started.
func furnished(t testing.TB, members int) *Cluster {
	t.Helper()
	cfg, err := Config{Members: members, Dir: t.TempDir(), History: history.New()}.checked()
	require.NoError(t, err)
	c := newCluster(cfg)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.furnish())
	return c
}
