package probe

import (
	"context"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Verdict is what one answer of a proxy came to.
type Verdict string

// All but Fresh lie. Where several hold, the first in this order is said; the keys are listed with each.
const (
	Identity    Verdict = "identity"    // it was given to an identity that may not read it
	NeverTrue   Verdict = "never-true"  // it differs from what etcd had at its own revision: torn, or of another history
	Frozen      Verdict = "frozen"      // stale, and a linearizable read would not heal it
	Undecidable Verdict = "undecidable" // it differs from truth, and its own revision is compacted
	Ghost       Verdict = "ghost"       // it has a key that truth has no more
	Hidden      Verdict = "hidden"      // it lacks a key that truth has
	Changed     Verdict = "changed"     // it has another value of a key
	Fresh       Verdict = "fresh"
)

// Verdicts are those that there are, the worst first.
func Verdicts() []Verdict {
	return []Verdict{Identity, NeverTrue, Frozen, Undecidable, Ghost, Hidden, Changed, Fresh}
}

// Difference is one key of which an answer and truth say different things.
type Difference struct {
	Key      Key     `json:"key"`
	Is       Verdict `json:"is"`                 // ghost, hidden or changed
	Answered int64   `json:"answered,omitempty"` // the revision of the key's last change, by the answer
	Truth    int64   `json:"truth,omitempty"`    // and by truth
}

// judge compares one answer with a member: with truth, which was read before the answer was asked for, and with what
// etcd had at the answer's own revision where that is needed. It reads at most once.
func (t *truth) judge(ctx context.Context, n *node, a ask, resp *pb.RangeResponse, e *Entry) {
	e.Revision = resp.Header.GetRevision()
	if c := resp.Header.GetClusterId(); c != 0 && c != t.cluster {
		e.Verdict, e.Why = NeverTrue, fmt.Sprintf("it is of cluster %x, and the members are of %x", c, t.cluster)
		return
	}
	now := t.now(ctx, a.req)
	switch {
	case says(now.err, rpctypes.ErrGRPCPermissionDenied):
		e.Verdict, e.Why = Identity, "a member refuses this identity the same read"
		return
	case now.err != nil:
		e.Verdict, e.Why = Undecidable, t.member.addr+" was not read: "+plain(now.err)
		return
	}
	// The keys of an answer have no namespace: the proxy took it off.
	got := &reading{items: itemsOf(resp.Kvs, ""), count: resp.Count, more: resp.More}
	e.Count, e.Keys = resp.Count, t.differ(a.req, got, now)
	if len(e.Keys) == 0 && got.count == now.count {
		e.Verdict = Fresh
		return
	}
	e.Verdict = worst(e.Keys)
	own := t.at(ctx, a.req, e.Revision)
	compacted := says(own.err, rpctypes.ErrGRPCCompacted)
	switch {
	case says(own.err, rpctypes.ErrGRPCFutureRev):
		e.Verdict, e.Why = NeverTrue, fmt.Sprintf("etcd has not reached its revision %d", e.Revision)
	case own.err != nil && !compacted:
		e.Verdict, e.Why = Undecidable, t.member.addr+" was not read: "+plain(own.err)
	case own.err == nil && (len(t.differ(a.req, got, own)) > 0 || got.count != own.count):
		e.Verdict, e.Why = NeverTrue, fmt.Sprintf("etcd had something else at its revision %d", e.Revision)
	case own.err == nil && e.Revision >= t.revision:
		e.Verdict, e.Keys = Fresh, nil // truth has moved on since it was read, and the answer with it
	case n.frozen:
		e.Verdict, e.Why = Frozen, "a compaction has passed through "+n.addr+": it files nothing any more, and keeps this"
	case compacted:
		e.Verdict, e.Why = Undecidable, fmt.Sprintf("revision %d is compacted", e.Revision)
	}
}

// worst is the verdict that a difference is named by. One without keys is of a count.
func worst(all []Difference) Verdict {
	for _, v := range []Verdict{Ghost, Hidden} {
		for _, d := range all {
			if d.Is == v {
				return v
			}
		}
	}
	return Changed
}

// differ are the keys by which an answer differs from what etcd says. A page that is full says nothing about what
// comes behind its last key.
func (t *truth) differ(r *pb.RangeRequest, got, want *reading) (all []Difference) {
	same := func(a, b item) bool {
		if r.KeysOnly {
			a.hash, b.hash = 0, 0
		}
		return a == b
	}
	if slices.EqualFunc(got.items, want.items, same) {
		return nil
	}
	past := func(cut *reading, key string) bool {
		return cut.more && r.SortOrder == pb.RangeRequest_NONE && len(cut.items) > 0 &&
			key > cut.items[len(cut.items)-1].key
	}
	theirs := make(map[string]item, len(want.items))
	for _, i := range want.items {
		theirs[i.key] = i
	}
	for _, i := range got.items {
		w, there := theirs[i.key]
		delete(theirs, i.key)
		switch {
		case !there && past(want, i.key):
		case !there:
			all = append(all, Difference{Key: Key(i.key), Is: Ghost, Answered: i.mod})
		case !same(w, i):
			all = append(all, Difference{Key: Key(i.key), Is: Changed, Answered: i.mod, Truth: w.mod})
		}
	}
	for _, i := range want.items {
		if _, left := theirs[i.key]; left && !past(got, i.key) {
			all = append(all, Difference{Key: Key(i.key), Is: Hidden, Truth: i.mod})
		}
	}
	return all
}

// String is a difference in a line.
func (d Difference) String() string {
	switch d.Is {
	case Ghost:
		return fmt.Sprintf("%s  ghost: answered as of revision %d, and etcd has it no more", d.Key, d.Answered)
	case Hidden:
		return fmt.Sprintf("%s  hidden: etcd has it since revision %d", d.Key, d.Truth)
	}
	return fmt.Sprintf("%s  changed: answered as of revision %d, etcd has revision %d", d.Key, d.Answered, d.Truth)
}
