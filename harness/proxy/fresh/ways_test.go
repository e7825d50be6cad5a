package fresh

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// way is a way in which watched caches have failed elsewhere, by its numbers in issue 11. It is tried on the variant
// watch, which keeps its answers in etcd's own cache and clears what its watch delivers, and on the three. What they
// come to stands in README.md.
type way struct {
	numbers, what string
	act           func(*trial)        // changes the truth, and returns when that is acknowledged
	dead          bool                // no watch delivers anything any more
	then          func(*trial)        // what a reader may have to wait for; nil where nothing comes
	judge         func(*trial) string // in place of reading the keys before then and after
	want          [4]string           // in the order of servers
}

// The words are the matrix': fresh is never wrong, heals is right in the end, stale is wrong to the end, where it is
// shown that nothing more comes. What coherent answers within its bound is not judged.
const (
	fresh = "fresh"
	heals = "heals"
	stale = "stale"
)

var servers = []string{"watch", "revalidate", "consistent", "coherent"}

var ways = []way{
	{numbers: "1, 3", what: "progress comes before the event of its revision (etcd 15220), or lies (kine 577)",
		act: func(c *trial) {
			c.unheard("a")
			c.m.say(&pb.WatchResponse{})
		},
		then: func(c *trial) { c.catchUp() },
		want: [4]string{heals, fresh, fresh, fresh}},
	{numbers: "2, 4", what: "the watch is behind, and progress says so, once (KEP-2340; etcd 15220): what did not change",
		act: func(c *trial) {
			for range 20 {
				c.unheard("c")
			}
			c.m.say(&pb.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 1, MemberId: 7, RaftTerm: 3, Revision: 15}})
		},
		then: func(c *trial) { c.catchUp() },
		want: [4]string{fresh, fresh, fresh, fresh}},
	{numbers: "5", what: "events are late, as behind big answers on their connection (etcd 15402)",
		act:  func(c *trial) { c.unheard("a") },
		then: func(c *trial) { c.catchUp() },
		want: [4]string{heals, fresh, fresh, fresh}},
	{numbers: "6", what: "a delete is lost where the watch resumes, for it was compacted (etcd 18089, 19179)",
		act: func(c *trial) {
			c.m.set(func() { c.m.replays, c.m.quiet = false, true })
			c.m.delete("a")
			c.broken()
			c.settle()
		},
		want: [4]string{stale, fresh, fresh, fresh}},
	{numbers: "7", what: "a watch of what is to come is sent what was (etcd 20221)",
		act: func(c *trial) {
			c.m.say(events(mvccpb.Event_PUT, 9, "b"))
			c.settle()
		},
		want: [4]string{fresh, fresh, fresh, fresh}},
	{numbers: "8", what: "a compaction ends a watch that is behind (libcalico-go 1338, APISIX 8682)",
		act: func(c *trial) {
			c.m.set(func() { c.m.quiet = true })
			c.m.delete("a")
		},
		then: func(c *trial) { c.m.say(&pb.WatchResponse{CompactRevision: 12, Canceled: true}) },
		want: [4]string{heals, fresh, fresh, fresh}},
	{numbers: "9", what: "a member that lags answers what is then kept (kubernetes 59848)",
		act: func(c *trial) {
			c.m.put("a")
			c.settle()
			c.m.set(func() {
				c.m.lagging = &pb.RangeResponse{Header: &pb.ResponseHeader{ClusterId: 1, RaftTerm: 3, Revision: 11}, Count: 1,
					Kvs: []*mvccpb.KeyValue{{Key: []byte("a"), Value: []byte("11")}}}
			})
		},
		then: func(c *trial) { c.m.set(func() { c.m.lagging = nil }) },
		want: [4]string{stale, fresh, fresh, fresh}},
	{numbers: "10, 17", what: "the watch's member, or its stream, is dead and says nothing (etcd 21813)", dead: true,
		act:  func(c *trial) { c.unheard("a") },
		want: [4]string{stale, fresh, fresh, fresh}},
	{numbers: "11", what: "many readers at once of what has just changed (kubernetes 138494): the members are asked",
		judge: crowd, want: [4]string{"by each", "by few", "by few", "by few"}},
	{numbers: "12", what: "one event of several of a revision is lost (kubernetes 123072), and a check may find that",
		act: func(c *trial) {
			c.m.set(func() { c.m.quiet = true })
			rev := c.m.put("a", "b")
			c.m.say(events(mvccpb.Event_PUT, rev, "b"))
			c.settle()
		},
		then: func(c *trial) { c.check() },
		want: [4]string{stale, fresh, heals, heals}},
	{numbers: "14", what: "the events of one revision come in parts: both keys, or neither",
		act: func(c *trial) {
			rev := c.unheard("a", "b")
			if c.inParts() {
				part := events(mvccpb.Event_PUT, rev, "a")
				part.Fragment = true
				c.m.say(part)
			}
		},
		then: func(c *trial) {
			if c.inParts() {
				c.m.say(events(mvccpb.Event_PUT, c.behind[0].Header.Revision, "b"))
				return
			}
			c.catchUp()
		},
		want: [4]string{heals, fresh, fresh, fresh}},
	{numbers: "15", what: "an event comes before its revision can be read (etcd, watchable_store_txn.go)",
		act: func(c *trial) {
			c.m.say(events(mvccpb.Event_PUT, c.m.header.Revision+1, "a"))
			c.m.eventually("a is read anew", func() bool {
				ranges, _ := c.m.counted()
				c.read("a")
				now, _ := c.m.counted()
				return now > ranges
			})
			c.unheard("a")
			c.settle()
		},
		want: [4]string{stale, fresh, fresh, fresh}},
	{numbers: "16", what: "a snapshot is restored, and revisions go back behind a warm proxy", dead: true,
		act: func(c *trial) {
			c.m.set(func() {
				c.m.header.Revision = 5
				c.m.keys["a"] = &mvccpb.KeyValue{Key: []byte("a"), Value: []byte("restored"), ModRevision: 4}
			})
		},
		want: [4]string{stale, fresh, fresh, fresh}},
	{numbers: "18", what: "the watch goes on behind a gap (etcd 20488)",
		act: func(c *trial) {
			c.unheard("a")
			c.settle()
		},
		want: [4]string{stale, fresh, fresh, fresh}},
	{numbers: "19", what: "the watch breaks off again and again (etcd 20716, 18879, 21065)",
		act: func(c *trial) {
			for range 20 {
				c.m.cut()
				c.m.put("a")
			}
			c.settle()
		},
		want: [4]string{fresh, fresh, fresh, fresh}},
	{numbers: "19", what: "and breaks off once more, when something has changed",
		act:  func(c *trial) { c.unheard("a") },
		then: func(c *trial) { c.broken() },
		want: [4]string{heals, fresh, fresh, fresh}},
}

// TestTheWaysInWhichWatchedCachesFailed holds each cache to what README.md says of it.
func TestTheWaysInWhichWatchedCachesFailed(t *testing.T) {
	t.Parallel()
	table := "| issue 11 | what | " + strings.Join(servers, " | ") + " |\n|---|---|---|---|---|---|\n"
	for _, w := range ways {
		for i, server := range servers {
			t.Run(w.numbers+" "+server, func(t *testing.T) {
				t.Parallel()
				require.Equal(t, w.want[i], newTrial(t, server, w).run(w, w.want[i]), w.what)
			})
		}
		table += fmt.Sprintf("| %s | %s | %s |\n", w.numbers, w.what, strings.Join(w.want[:], " | "))
	}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), table)
}

// bound is coherent's in a trial.
const bound = 50 * time.Millisecond

// trial is a cache before a member, with "a" and "b" in both.
type trial struct {
	m      *member
	kv     pb.KVServer
	within time.Duration // how old an answer may be
	behind []*pb.WatchResponse
}

func newTrial(t *testing.T, server string, w way) *trial {
	c := &trial{m: newMember(t)}
	c.m.replays = true
	c.m.put("a", "b", "z")
	o := quick
	if w.judge != nil { // what is judged is not who gives up waiting
		o = FencedOptions{Patience: 20 * time.Second, Stall: time.Hour}
	}
	switch server {
	case "watch":
		c.kv = StartWatch(t, c.m.addr)
	case "coherent":
		c.within, o.MaxStaleness = bound, bound
		c.kv = c.m.fenced(o)
	default:
		c.kv = caches(o)[server](c.m)
	}
	c.m.eventually("everything is kept", func() bool {
		was, _ := c.m.counted()
		c.read("a")
		c.read("b")
		c.read("z")
		now, _ := c.m.counted()
		return now == was || server == "revalidate"
	})
	return c
}

// run carries out a way, and says what it came to. Where it is expected to end well it is given longer to.
func (c *trial) run(w way, want string) string {
	if w.judge != nil {
		return w.judge(c)
	}
	w.act(c)
	for acknowledged := time.Now(); c.within > 0 && time.Since(acknowledged) <= c.within; {
		c.read("a") // so that it is not for want of readers that it is right
	}
	at := fresh
	if !c.right() {
		at = heals
	}
	if w.then != nil {
		w.then(c)
	}
	if at == fresh || want == heals {
		c.m.eventually("it is right in the end", c.right)
	}
	if !w.dead {
		c.settle()
	}
	for began := time.Now(); time.Since(began) < 100*time.Millisecond; {
		if !c.right() {
			return stale
		}
	}
	return at
}

func (c *trial) read(key string) string { return c.m.look(c.kv, key, "") }

// right is whether readers are told what the member has.
func (c *trial) right() bool {
	for _, key := range []string{"a", "b"} {
		want := ""
		c.m.set(func() {
			if kv := c.m.keys[key]; kv != nil {
				want = fmt.Sprintf("%s=%s ", key, kv.Value)
			}
		})
		if c.read(key) != want {
			return false
		}
	}
	return true
}

// unheard writes keys, and keeps the event back.
func (c *trial) unheard(keys ...string) (rev int64) {
	c.m.set(func() { c.m.quiet = true })
	rev = c.m.put(keys...)
	c.behind = append(c.behind, c.m.log[len(c.m.log)-1])
	return rev
}

// catchUp delivers what was kept back.
func (c *trial) catchUp() {
	for _, r := range c.behind {
		c.m.say(r)
	}
	c.behind = nil
}

// settle waits until a change that is made now is seen: what the watch had before it has been dealt with.
func (c *trial) settle() {
	c.m.set(func() { c.m.quiet = false })
	want := fmt.Sprintf("z=%d ", c.m.put("z"))
	c.m.eventually("a change is seen", func() bool { return c.read("z") == want })
}

// watches is whether the cache has a watch, inParts whether that asks for the events of a revision in parts.
func (c *trial) watches() bool { return c.begun() > 0 }

func (c *trial) inParts() bool { return c.watches() && c.m.created[0].Fragment }

// begun is how many watches there have been.
func (c *trial) begun() (n int) {
	c.m.set(func() { n = len(c.m.created) })
	return n
}

// broken breaks the watch off, and waits until there is another.
func (c *trial) broken() {
	before := c.begun()
	c.m.cut()
	c.m.eventually("another watch", func() bool { return before == 0 || c.begun() > before })
}

// check has a cache that checks itself do so now.
func (c *trial) check() {
	if f, ok := c.kv.(*Fenced); ok {
		f.check(f.ctx)
	}
}

// crowd has many read at once what has changed, while the members' answers are held, and says who asked them.
func crowd(c *trial) string {
	const n = 100
	c.m.put("a")
	c.settle()
	was, _ := c.m.counted()
	asked := func() int { now, _ := c.m.counted(); return now - was }
	free := make(chan struct{})
	c.m.set(func() {
		c.m.delay = func(r *pb.RangeRequest) {
			if !isBarrier(r) {
				<-free
			}
		}
	})
	var readers sync.WaitGroup
	for range n {
		readers.Go(func() { c.read("a") })
	}
	assert.Eventually(c.m.t, func() bool { return asked() > 0 }, 20*time.Second, time.Millisecond)
	patience := 100 * time.Millisecond
	if _, own := c.kv.(*Fenced); !own && c.watches() {
		patience = 20 * time.Second
	}
	for began := time.Now(); asked() < n && time.Since(began) < patience; {
		time.Sleep(time.Millisecond) // nothing says that no more come
	}
	close(free)
	readers.Wait()
	switch asked := asked(); {
	case asked >= n:
		return "by each"
	case asked <= n/10:
		return "by few"
	default:
		return fmt.Sprintf("%d times", asked)
	}
}
