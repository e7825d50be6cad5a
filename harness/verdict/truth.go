package verdict

import (
	"encoding/json"
	"fmt"
	"path"
	"sort"
	"strings"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
)

// state is what truth was for a while: the service's keys and the endpoints they name.
type state struct {
	revision int64 // at which it began
	keys     map[string][]history.Endpoint

	// earliest and surely bound the moment it began: earliest is when the write that made it was sent, surely the first event
	// that shows its revision, or a later one, to exist. A commit is reported by a watch, which may trail both.
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

// at returns the indices of the states that may have been true at some moment from began to ended. It is empty if truth is not
// known that early.
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

// fold derives truth from the commits a member's watch reported and from linearizable reads on a member. It fails where the two
// contradict each other, since one of them is then not truth.
func fold(events []history.Event, service string) (truths, error) {
	prefix := keys.Service(service)
	type change struct {
		revision int64
		truth    *history.Truth
		commits  []*history.Commit
	}
	for _, e := range events {
		if f := e.Fault; f != nil && f.Kind == history.Compact && f.Op == history.End {
			return nil, fmt.Errorf("commits are missing: %s", f.Detail) // harness/etcd/follow.go: compacted before they were seen
		}
	}
	byRevision := map[int64]*change{}
	var reads []*change
	follows, last := false, int64(0)
	for _, e := range events {
		switch {
		case e.Commit != nil:
			follows, last = true, max(last, e.Commit.Revision)
			if strings.HasPrefix(e.Commit.Key, prefix) {
				c := byRevision[e.Commit.Revision]
				if c == nil {
					c = &change{revision: e.Commit.Revision}
					byRevision[c.revision] = c
				}
				c.commits = append(c.commits, e.Commit)
			}
		case e.Truth != nil && e.Truth.Err == "" && e.Truth.Service == service:
			reads = append(reads, &change{revision: e.Truth.Revision, truth: e.Truth})
		}
	}
	changes := reads
	for _, c := range byRevision {
		changes = append(changes, c)
	}
	sort.SliceStable(changes, func(i, j int) bool {
		a, b := changes[i], changes[j]
		if a.revision != b.revision {
			return a.revision < b.revision
		}
		return a.truth == nil && b.truth != nil // a read at revision r has seen the commits of r
	})

	sent := map[int64]time.Duration{}
	for _, e := range events {
		if w := e.Write; w != nil && w.Err == "" && w.Revision > 0 {
			if t, ok := sent[w.Revision]; !ok || w.Began < t {
				sent[w.Revision] = w.Began
			}
		}
	}
	shown := revisionsShown(events)

	var ts truths
	current := map[string][]history.Endpoint{}
	upTo := int64(0)               // the revision that current is of
	known, certain := false, false // certain: from a read or a put, and not only from a follower having been silent
	if follows {
		// A follower that began before the first registration has seen every key come.
		known = true
		ts = append(ts, state{keys: current, sent: true})
	}
	for _, c := range changes {
		next := map[string][]history.Endpoint{}
		if c.truth != nil {
			for _, e := range c.truth.Endpoints {
				k := keys.Node(service, e.ID)
				next[k] = append(next[k], e)
			}
			if known && (follows && c.revision <= last || c.revision == upTo) && !same(flat(next), flat(current)) {
				if certain {
					return nil, fmt.Errorf("a linearizable read at r%d names %s, but what came before it leaves %s", c.revision, ids(flat(next)), ids(flat(current)))
				}
				ts = nil // the follower came late: truth is known from this read on
			}
			if known && len(ts) > 0 && same(flat(next), flat(current)) {
				next = current // with the keys as they were written
			}
			known, certain = true, true
		} else {
			for k, v := range current {
				next[k] = v
			}
			for _, commit := range c.commits {
				if commit.Op != "delete" {
					next[commit.Key] = decode(commit)
					certain = true
				} else if _, ok := next[commit.Key]; !ok && known {
					known, ts = false, nil // its put was not seen, so others may not have been either
				} else {
					delete(next, commit.Key)
				}
			}
		}
		before := current
		current, upTo = next, c.revision
		if !known || len(ts) > 0 && len(next) == len(before) && same(flat(next), flat(before)) {
			continue // not known yet, or the same endpoints said again
		}
		s := state{revision: c.revision, keys: next, surely: shown.first(c.revision)}
		s.earliest = s.surely
		if t, ok := sent[c.revision]; ok && t <= s.surely {
			s.earliest, s.sent = t, true
		}
		ts = append(ts, s)
	}
	return ts, nil
}

// decode returns the endpoints a committed value names, as go-micro's GetService would. A value that was not recorded leaves the
// id from the key; a value that go-micro cannot read names nothing.
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
		endpoints = append(endpoints, history.Endpoint{ID: strings.TrimPrefix(n.ID, prefix), Version: service.Version, Address: n.Address})
	}
	return endpoints
}

func flat(keys map[string][]history.Endpoint) []history.Endpoint {
	return state{keys: keys}.endpoints()
}

// alike says whether a and b are the same endpoint. What one of them does not say it is not asked for.
func alike(a, b history.Endpoint) bool {
	return a.ID == b.ID &&
		(a.Address == b.Address || a.Address == "" || b.Address == "") &&
		(a.Version == b.Version || a.Version == "" || b.Version == "")
}

// lacking returns the ids of the endpoints of a that b lacks, sorted and each once.
func lacking(a, b []history.Endpoint) []string {
	var missing []string
	for _, x := range a {
		found := false
		for _, y := range b {
			found = found || alike(x, y)
		}
		if !found && !contains(missing, x.ID) {
			missing = append(missing, x.ID)
		}
	}
	sort.Strings(missing)
	return missing
}

func same(a, b []history.Endpoint) bool {
	return len(lacking(a, b)) == 0 && len(lacking(b, a)) == 0
}

// ids names endpoints in a sentence.
func ids(endpoints []history.Endpoint) string {
	if len(endpoints) == 0 {
		return "nothing"
	}
	names := make([]string, len(endpoints))
	for i, e := range endpoints {
		names[i] = e.ID
	}
	return and(names)
}

// revisions is when each revision was first shown to exist.
type revisions []struct {
	revision int64
	at       time.Duration
}

// revisionsShown collects them: any answer that carries a revision proves that the store had reached it when the answer came.
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

// Truths is what was true of a service, one truth after another, as Judge derives it from commits and from linearizable reads on
// members. It fails where these contradict each other.
func Truths(events []history.Event, service string) ([]Truth, error) {
	states, err := fold(inOrder(events), service)
	var all []Truth
	for _, s := range states {
		all = append(all, Truth{Revision: s.revision, From: s.surely, Endpoints: s.endpoints()})
	}
	return all, err
}
