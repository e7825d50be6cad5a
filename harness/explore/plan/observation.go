package plan

import (
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/text"
)

// Observation is what a machine saw when it took a step. Two machines that agree give equal observations: revisions
// count from the machine's start (a fresh store is at revision 1), and nothing of times or addresses is in it.
type Observation struct {
	Err      string // "" or one of the words below
	Revision int64  // of the answer's header, 0 where there is none
	Answers  []Answer
}

// Answer is one Range that a step had answered, also inside a transaction or inside what go-micro does to register.
type Answer struct {
	Via      string         // the proxy, or the member that was asked directly
	Keys     string         // what was asked, as in a plan
	Shape    string         // how
	Source   history.Source // Hit, Miss or Member
	Revision int64          // the header's
	KVs      []KV           // in the answer's order
	Count    int64
	More     bool
}

// KV is a key in an answer.
type KV struct {
	Key      string // in etcd
	Mod      int64  // revision of its last put
	Create   int64
	Version  int64
	Value    string // "" where only keys were asked for
	HasLease bool   // not compared where only keys were asked for: etcd then leaves it out
}

// What Err can say. A machine translates what it met into these; a word of none of these is a machine's own trouble.
const (
	ErrHeld        = "held"            // the step's RPC is held; what it gives is seen when it is released
	ErrCompacted   = "compacted"       // the revision is gone
	ErrFuture      = "future revision" // the member does not know the revision yet
	ErrDenied      = "permission denied"
	ErrUnavailable = "unavailable" // no answer came: for a write, its outcome is unknown
	ErrNoLease     = "lease not found"
	ErrLeaseExists = "lease exists"
	ErrDuplicate   = "duplicate key" // one transaction writes a key twice
	ErrSenseless   = "senseless"     // the step makes no sense now: a name already in use, nothing there to act upon
)

// Differ says how two observations differ, in one line; "" where they do not.
func (o Observation) Differ(other Observation) string {
	if o.String() == other.String() {
		return ""
	}
	return fmt.Sprintf("%q, not %q", o, other)
}

// Coarse is what can be seen of a step that go-micro took: its reads, each key with its revision, and whether it
// failed.
func (o Observation) Coarse() Observation {
	c := Observation{Err: o.Err}
	for _, a := range o.Answers {
		var kvs []KV
		for _, kv := range a.KVs {
			kvs = append(kvs, KV{Key: kv.Key, Mod: kv.Mod})
		}
		a.KVs = kvs
		c.Answers = append(c.Answers, a)
	}
	return c
}

// String is the observation in one line.
func (o Observation) String() string {
	var w []string
	if o.Err != "" {
		w = append(w, o.Err)
	}
	if o.Revision != 0 {
		w = append(w, fmt.Sprintf("revision %d", o.Revision))
	}
	return strings.Join(append(w, text.Each(o.Answers, Answer.String)...), "; ")
}

// String is the answer in one line.
func (a Answer) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", a.Via, a.Source, a.Keys)
	if a.Shape != "" {
		b.WriteString(" " + a.Shape)
	}
	fmt.Fprintf(&b, " @%d count=%d", a.Revision, a.Count)
	if a.More {
		b.WriteString(" more")
	}
	keysOnly := slices.Contains(strings.Fields(a.Shape), "keys-only")
	for _, kv := range a.KVs {
		fmt.Fprintf(&b, " %s=%s(mod %d create %d version %d", kv.Key, kv.Value, kv.Mod, kv.Create, kv.Version)
		if kv.HasLease && !keysOnly {
			b.WriteString(" leased")
		}
		b.WriteString(")")
	}
	return b.String()
}

// Same says whether two answers hold the same, whichever node gave them and whenever they were true.
func (a Answer) Same(b Answer) bool {
	a.Via, a.Source, a.Revision = b.Via, b.Source, b.Revision
	return a.String() == b.String()
}
