package verdict

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"sort"
	"strings"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/text"
)

// state is what truth was for a while: the service's keys and the endpoints they name.
type state struct {
	revision int64 // at which it began
	keys     map[string][]history.Endpoint

	// earliest and surely bound the moment it began: earliest is when the write that made it was sent, surely the
	// first event that shows its revision, or a later one, to exist. A commit is reported by a watch, which may trail
	// both.
	earliest, surely time.Duration
	sent             bool // earliest is known; otherwise it equals surely and the state may have begun before it
}

// endpoints are those of all keys, sorted by id.
func (s state) endpoints() []history.Endpoint {
	var all []history.Endpoint
	for _, e := range s.keys {
		all = append(all, e...)
	}
	sort.Slice(all, func(i, j int) bool {
		return all[i].ID < all[j].ID || all[i].ID == all[j].ID && all[i].Address < all[j].Address
	})
	return all
}

func (s state) has(id string) bool {
	for _, e := range s.endpoints() {
		if e.ID == id {
			return true
		}
	}
	return false
}

// truths is what truth was, one state after another.
type truths []state

// at returns the indices of the states that may have been true at some moment from began to ended. It is empty if
// truth is not known that early.
func (ts truths) at(began, ended time.Duration) (from, to int) {
	for i, s := range ts {
		if s.earliest > ended {
			break
		}
		if i+1 < len(ts) && ts[i+1].surely < began {
			from = i + 1
		}
		to = i + 1
	}
	return from, to
}

// fold derives truth from the commits a member's watch reported and from linearizable reads on a member. It fails
// where the two contradict each other, since one of them is then not truth.
func fold(events []history.Event, service string) (truths, error) {
	for _, e := range events {
		if f := e.Fault; f != nil && f.Kind == history.Compact && f.Op == history.End {
			// harness/etcd/follow.go: they were compacted before the watch had seen them.
			return nil, fmt.Errorf("commits are missing: %s", f.Detail)
		}
	}
	changes, followed := changesOf(events, service)
	sent, shown := writesSent(events), revisionsShown(events)
	f := folding{service: service, followed: followed, current: map[string][]history.Endpoint{}}
	if followed > 0 { // a follower that began before the first registration has seen every key come
		f.known, f.truths = true, truths{{keys: f.current, sent: true}}
	}
	for _, c := range changes {
		before := f.current
		if err := f.apply(c); err != nil {
			return nil, err
		}
		again := len(f.truths) > 0 && len(f.current) == len(before) && same(flat(f.current), flat(before))
		if !f.known || again {
			continue
		}
		s := state{revision: c.revision, keys: f.current, surely: shown.first(c.revision)}
		s.earliest = s.surely
		if t, ok := sent[c.revision]; ok && t <= s.surely {
			s.earliest, s.sent = t, true
		}
		f.truths = append(f.truths, s)
	}
	return f.truths, nil
}

// change is what the history tells of the service at a revision: the keys committed at it, or a linearizable read of
// it.
type change struct {
	revision int64
	commits  []*history.Commit
	read     *history.Truth
}

// changesOf are the changes in order of truth, and the last revision that a follower reported, of whatever key; 0
// where none did.
func changesOf(events []history.Event, service string) (changes []change, followed int64) {
	prefix, at := keys.Service(service), map[int64]int{}
	for _, e := range events {
		switch {
		case e.Commit != nil:
			followed = max(followed, e.Commit.Revision)
			if !strings.HasPrefix(e.Commit.Key, prefix) {
				continue
			}
			i, ok := at[e.Commit.Revision]
			if !ok {
				i = len(changes)
				at[e.Commit.Revision], changes = i, append(changes, change{revision: e.Commit.Revision})
			}
			changes[i].commits = append(changes[i].commits, e.Commit)
		case e.Truth != nil && e.Truth.Err == "" && e.Truth.Service == service:
			changes = append(changes, change{revision: e.Truth.Revision, read: e.Truth})
		}
	}
	sort.SliceStable(changes, func(i, j int) bool {
		a, b := changes[i], changes[j]
		if a.revision != b.revision {
			return a.revision < b.revision
		}
		return a.read == nil && b.read != nil // a read at revision r has seen the commits of r
	})
	return changes, followed
}

// folding is truth while it is folded, change by change.
type folding struct {
	service  string
	followed int64
	truths   truths
	current  map[string][]history.Endpoint // truth's keys
	upTo     int64                         // the revision that current is of
	known    bool                          // current is all there is
	certain  bool                          // from a read or a put, and not only from a follower having been silent
}

func (f *folding) apply(c change) error {
	if c.read != nil {
		return f.applyRead(c)
	}
	next := maps.Clone(f.current)
	for _, commit := range c.commits {
		if commit.Op != "delete" {
			next[commit.Key], f.certain = decode(commit), true
		} else if _, ok := next[commit.Key]; !ok && f.known {
			f.known, f.truths = false, nil // its put was not seen, so others may not have been either
		} else {
			delete(next, commit.Key)
		}
	}
	f.current, f.upTo = next, c.revision
	return nil
}

func (f *folding) applyRead(c change) error {
	next := map[string][]history.Endpoint{}
	for _, e := range c.read.Endpoints {
		k := keys.Node(f.service, e.ID)
		next[k] = append(next[k], e)
	}
	was, is := flat(f.current), flat(next)
	switch agrees := same(is, was); {
	case f.known && !agrees && (c.revision <= f.followed || c.revision == f.upTo):
		if f.certain {
			return fmt.Errorf("a linearizable read at revision %d names %s, but what came before it leaves %s",
				c.revision, ids(is), ids(was))
		}
		f.truths = nil // the follower came late: truth is known from this read on
	case f.known && agrees && len(f.truths) > 0:
		next = f.current // with the keys as they were written
	}
	f.current, f.upTo, f.known, f.certain = next, c.revision, true, true
	return nil
}

// writesSent is when the write that made each revision was sent, as far as its client said.
func writesSent(events []history.Event) map[int64]time.Duration {
	sent := map[int64]time.Duration{}
	for _, e := range events {
		if w := e.Write; w != nil && w.Err == "" && w.Revision > 0 {
			if t, ok := sent[w.Revision]; !ok || w.Began < t {
				sent[w.Revision] = w.Began
			}
		}
	}
	return sent
}

// decode returns the endpoints a committed value names, as go-micro's GetService would. A value that was not recorded
// leaves the id from the key; a value that go-micro cannot read names nothing.
func decode(c *history.Commit) []history.Endpoint {
	// go-micro names a node "service-id"; an answer's ID is without the service (harness/registry, NodeID).
	prefix := path.Base(path.Dir(c.Key)) + "-"
	if c.Value == "" {
		return []history.Endpoint{{ID: strings.TrimPrefix(path.Base(c.Key), prefix)}}
	}
	var service struct {
		Version string
		Nodes   []struct {
			ID      string `json:"id"`
			Address string
		}
	}
	if json.Unmarshal([]byte(c.Value), &service) != nil {
		return nil
	}
	var endpoints []history.Endpoint
	for _, n := range service.Nodes {
		id := strings.TrimPrefix(n.ID, prefix)
		endpoints = append(endpoints, history.Endpoint{ID: id, Version: service.Version, Address: n.Address})
	}
	return endpoints
}

func flat(keys map[string][]history.Endpoint) []history.Endpoint {
	return state{keys: keys}.endpoints()
}

func same(a, b []history.Endpoint) bool {
	ghosts, hidden := history.Compare(a, b)
	return len(ghosts)+len(hidden) == 0
}

// ids names endpoints in a sentence.
func ids(endpoints []history.Endpoint) string {
	if len(endpoints) == 0 {
		return "nothing"
	}
	return text.And(history.IDs(endpoints))
}

// revisions is when each revision was first shown to exist.
type revisions []struct {
	revision int64
	at       time.Duration
}

// revisionsShown collects them: any answer that carries a revision proves that the store had reached it when the
// answer came.
func revisionsShown(events []history.Event) revisions {
	var rs revisions
	highest := int64(0)
	for _, e := range events {
		r := int64(0)
		switch {
		case e.Commit != nil:
			r = e.Commit.Revision
		case e.Truth != nil:
			r = e.Truth.Revision
		case e.Write != nil && e.Write.Err == "":
			r = e.Write.Revision
		case e.Range != nil && e.Range.Err == "":
			r = e.Range.Revision
		case e.Resolve != nil && e.Resolve.Err == "":
			r = e.Resolve.Revision
		}
		if r > highest {
			highest = r
			rs = append(rs, struct {
				revision int64
				at       time.Duration
			}{r, e.At})
		}
	}
	return rs
}

func (rs revisions) first(revision int64) time.Duration {
	i := sort.Search(len(rs), func(i int) bool { return rs[i].revision >= revision })
	if i == len(rs) {
		return 0
	}
	return rs[i].at
}

// Truth is what truth was from a moment on.
type Truth struct {
	Revision  int64              // at which it began
	From      time.Duration      // when it was first shown to be so
	Endpoints []history.Endpoint // sorted by ID
}

// Truths is what was true of a service, one truth after another, as Judge derives it from commits and from
// linearizable reads on members. It fails where these contradict each other.
func Truths(events []history.Event, service string) ([]Truth, error) {
	states, err := fold(inOrder(events), service)
	var all []Truth
	for _, s := range states {
		all = append(all, Truth{Revision: s.revision, From: s.surely, Endpoints: s.endpoints()})
	}
	return all, err
}
