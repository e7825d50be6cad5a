package promise

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ghostroute/harness/history"
)

// early looks for reads that follow an event and are answered what was before it.
func (j *judge) early() (all []Breach) {
	for _, who := range j.Clients {
		n, b := 0, Breach{Promise: Early, Client: who}
		for _, e := range j.events {
			if e.Who != who || e.Range == nil || e.Range.Upon == 0 {
				continue
			}
			if n++; e.Range.Revision < e.Range.Upon {
				b = b.by(e)
			}
		}
		if late := len(b.Events); late > 0 {
			b.Why = fmt.Sprintf("%s read upon %d events, and %d times was answered what was before it", who, n, late)
			all = append(all, b)
		}
	}
	return all
}

// misled looks for clients whose calls fail to the end: half of them, the last among them.
func (j *judge) misled() (all []Breach) {
	for _, who := range j.Clients {
		n, failed, last := 0, Breach{Promise: Misled, Client: who}, ""
		for _, e := range j.events {
			if e.Who != who || e.Request == nil {
				continue
			}
			n++
			if last = e.Request.Err; last != "" {
				failed = failed.by(e)
			}
		}
		if last != "" && 2*len(failed.Events) >= n {
			failed.Why = fmt.Sprintf("%d of %d calls of %s failed, the last with: %s", len(failed.Events), n, who, last)
			all = append(all, failed)
		}
	}
	return all
}

// counters are keys that hold a number, which each write is to make one more.
const counters = "count/"

// overwrites looks for transactions that made of a counter anything but one more than it was.
func (j *judge) overwrites() (all []Breach) {
	was := map[string]history.Event{}
	for _, c := range j.commits {
		key := c.Commit.Key
		if !strings.HasPrefix(key, counters) {
			continue
		}
		before, known := was[key]
		was[key] = c
		at := slices.IndexFunc(j.events, func(e history.Event) bool {
			return e.Write != nil && e.Write.Err == "" && e.Write.Op == "txn" && e.Write.Revision == c.Commit.Revision
		})
		if !known || at < 0 || !j.asks(j.events[at].Who) {
			continue
		}
		from, _ := strconv.Atoi(before.Commit.Value)
		if to, err := strconv.Atoi(c.Commit.Value); err != nil || to != from+1 {
			all = append(all, Breach{Promise: Overwrites, Client: j.events[at].Who, Why: fmt.Sprintf("%s added one to %s, "+
				"which was %s since revision %d, and made it %s", j.events[at].Who, key, before.Commit.Value,
				before.Commit.Revision, c.Commit.Value)}.by(before, j.events[at], c))
		}
	}
	return all
}

// Rounds is how often a client lists and watches in vain before it is called a livelock.
const Rounds = 4

// lists looks for answers of a revision that etcd has not, and for clients whose list and watch never meet: each list
// is answered at one revision, and each watch from the next is refused as compacted.
func (j *judge) lists() (all []Breach) {
	top, since := Reached(j.events)
	for _, e := range j.events {
		if e.Range != nil && j.asks(e.Who) && e.Seq > since && e.Range.Revision > top && top > 0 {
			all = append(all, Breach{Promise: Ahead, Client: e.Who, Why: fmt.Sprintf("%s listed and was answered %v of "+
				"revision %d, and etcd is at %d", e.Who, e.Range.Keys, e.Range.Revision, top)}.by(e))
			break
		}
	}
	for _, who := range j.Clients {
		n, revision, was := 0, int64(0), []history.Event(nil)
		for _, e := range j.events {
			if e.Who != who {
				continue
			}
			switch w := e.Watch; {
			case e.Range != nil && e.Range.Revision != revision:
				n, revision, was = 0, e.Range.Revision, nil
			case w != nil && w.Op == history.WatchEnd && w.Compacted > 0 && w.From == revision+1:
				n++
				was = append(was, e)
			case w != nil && (w.Op == history.WatchEvents || w.Op == history.WatchCreated && w.From == 0):
				n, was = 0, nil
			}
			if n == Rounds { // whatever else it is told later
				all = append(all, Breach{Promise: Livelock, Client: who, Why: fmt.Sprintf(
					"%s listed %d times and was answered revision %d each time, and each watch from %d ended: compacted up to %d",
					who, n, revision, revision+1, was[n-1].Watch.Compacted)}.by(was...))
				break
			}
		}
	}
	return all
}

// sessions looks at what clients did besides watching.
func (j *judge) sessions() (all []Breach) {
	for _, who := range j.Clients {
		closed, hung := 0, Breach{Promise: Hangs, Client: who}
		for _, e := range j.events {
			w := e.Write
			switch {
			case w == nil || e.Who != who:
			case w.Op == Close:
				closed++
				if w.Err != "" {
					hung = hung.by(e)
				}
			case w.Op == Sync && w.Err != "":
				all = append(all, Breach{Promise: Astray, Client: who, Why: fmt.Sprintf(
					"%s asked who the members are, was told %s, and cannot ask any more: %s", who, w.Key, w.Err)}.by(e))
			}
		}
		if n := len(hung.Events); n > 0 {
			hung.Why = fmt.Sprintf("%d of %d clients of %s were closed and did not end", n, closed, who)
			all = append(all, hung)
		}
	}
	return all
}

// What clients do besides writing and watching is recorded as a history.Write of one of these operations.
const (
	Close    = "close"     // a client is closed; Err is that it did not end
	Sync     = "sync"      // a client takes its endpoints from the answer, and asks once more; Key is the endpoints
	Keep     = "keep"      // a client begins to keep a lease alive; Key is Leader where it requires one
	Kept     = "kept"      // it is told that it is renewed
	Lapsed   = "lapsed"    // it is told that it is over
	NoLeader = "no-leader" // Key of such a Keep
)

// leases looks at leases that clients keep alive: one that is over is told to be, one that is not is not.
func (j *judge) leases() (all []Breach) {
	type kept struct {
		who           string
		begun, lapsed *history.Event
		leader        bool
	}
	var order []int64
	of, revoked := map[int64]*kept{}, map[int64]history.Event{}
	for i, e := range j.events {
		w := e.Write
		if w == nil || w.Lease == 0 || w.Err != "" {
			continue
		}
		switch {
		case w.Op == "revoke":
			revoked[w.Lease] = e
		case !j.asks(e.Who):
		case w.Op == Keep:
			of[w.Lease] = &kept{who: e.Who, begun: &j.events[i], leader: w.Key == NoLeader}
			order = append(order, w.Lease)
		case w.Op == Lapsed && of[w.Lease] != nil:
			of[w.Lease].lapsed = &j.events[i]
		}
	}
	leaderless, told := j.toldOfNoLeader()
	for n, id := range order {
		k := of[id]
		b := Breach{Client: k.who}.by(*k.begun)
		gone, over := revoked[id]
		switch {
		case over && k.lapsed == nil:
			b.Promise, b.Why = Ended, fmt.Sprintf("%s's lease %d is over, and it was not told", k.who, n+1)
			b = b.by(gone)
		case told && k.leader && k.lapsed == nil:
			b.Promise, b.Why = Leaderless, fmt.Sprintf("%s keeps lease %d alive, requires a leader, and was not told that its "+
				"member has none; %s was", k.who, n+1, leaderless.Who)
			b = b.by(leaderless)
		case !over && j.expired(id) != nil:
			gone := j.expired(id)
			b.Promise, b.Why = Torn, fmt.Sprintf("%s kept lease %d alive, and it ended: %s was deleted at revision %d",
				k.who, n+1, gone.Commit.Key, gone.Commit.Revision)
			b = b.by(*gone)
		case !over && k.lapsed != nil && !(told && k.leader):
			b.Promise, b.Why = Torn, fmt.Sprintf("%s was told that its lease %d is over, and it is not", k.who, n+1)
			b = b.by(*k.lapsed)
		default:
			continue
		}
		all = append(all, b)
	}
	return all
}

// expired is the commit by which a lease that nobody revoked took a key along, nil where there is none. A key that is
// deleted by a client is not in the trials.
func (j *judge) expired(lease int64) *history.Event {
	has := ""
	for i, e := range j.commits {
		switch {
		case e.Commit.Lease == lease && e.Commit.Op == "put":
			has = e.Commit.Key
		case has != "" && e.Commit.Key == has && e.Commit.Op == "delete":
			return &j.commits[i]
		}
	}
	return nil
}

// A proxy that is refused may ask again later: not within atOnce, more often than that. Its watch server and its lease
// server ask each for itself, so now and then the one comes just after the other was refused.
const (
	often  = 8
	atOnce = 100 * time.Millisecond
)

// hammered counts what proxies ask for again at once after a refusal.
func (j *judge) hammered() (all []Breach) {
	for _, p := range j.Proxies {
		refused, n := map[string]history.Event{}, map[string]int{}
		for _, e := range j.events {
			w := e.Watch
			if e.Who != p || w == nil {
				continue
			}
			last, was := refused[w.Key]
			switch {
			case w.Op == history.WatchEnd && w.Reason != "":
				refused[w.Key] = e
			case w.Op == history.WatchAsk && was && e.At-last.At < atOnce:
				n[w.Key]++
			}
		}
		for key, last := range refused {
			if n[key] > often {
				all = append(all, Breach{Promise: Hammered, Client: p, Why: fmt.Sprintf("%s asked for %s again at once, %d times, "+
					"and was told each time: %s", p, key, n[key], last.Watch.Reason)}.by(last))
			}
		}
	}
	return all
}
