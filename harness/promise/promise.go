// Package promise judges what clients were told by what they hold open at etcd: watches and leases. Package verdict
// asks whether an answer agrees with truth; this one asks whether etcd's word was kept. It is a pure function of a
// history.
//
// The promises are etcd's own (its API guarantees, and what client/v3 documents). A verdict is
//
//	kept     every promise was kept to every client that was asked about
//	broken   some were not, by the names below
//	unknown  a premise failed: the fault does not show, or it is too soon to call a silence one
//
// A silence is a breach only when patience is over, and patience is longer than anything on the stage takes to speak.
package promise

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/text"
)

// Name is a way in which etcd's word is broken.
type Name string

// The breaches. Promises says what each breaks.
const (
	Silent     Name = "silent"
	Lost       Name = "lost"
	Again      Name = "again"
	Stranger   Name = "stranger"
	Refused    Name = "refused"
	Unanswered Name = "unanswered"
	Wordless   Name = "wordless"
	Belied     Name = "belied"
	Untrue     Name = "untrue"
	Leaderless Name = "leaderless"
	Ahead      Name = "ahead"
	Early      Name = "early"
	Livelock   Name = "livelock"
	Hangs      Name = "hangs"
	Ended      Name = "ended"
	Torn       Name = "torn"
	Hammered   Name = "hammered"
	Astray     Name = "astray"
	Misled     Name = "misled"
	Overwrites Name = "overwrites"
)

// Promises are what the breaches break, in the order in which they are told.
var Promises = []struct {
	Name Name
	Text string
}{
	{Silent, "what is committed in a watch's range is delivered, or the watch ends"},
	{Lost, "no event of a watch's range is left out"},
	{Again, "each event comes once, in the order of truth"},
	{Stranger, "a watch is told of its own range only"},
	{Refused, "who may watch is not refused"},
	{Unanswered, "a client that asks how far its watch is, is told"},
	{Belied, "a watch that ended for one reason is told of no other"},
	{Untrue, "a watch ends for a reason that is so"},
	{Wordless, "a watch that ends says why"},
	{Leaderless, "a watch that requires a leader ends when its member has none"},
	{Ahead, "no list and no watch is said to have reached a revision that etcd has not reached"},
	{Livelock, "a list, and a watch from the next revision, meet"},
	{Hangs, "a client that is closed ends"},
	{Ended, "a lease that is over is told to be over"},
	{Torn, "a lease that is renewed in time lives on"},
	{Hammered, "what is refused is not asked for again at once"},
	{Early, "who reads upon an event comes to see it"},
	{Astray, "a client goes on asking where it was told to ask"},
	{Misled, "who resolves a service that runs comes to call it"},
	{Overwrites, "who adds to a counter alone adds to what it is"},
}

// Patience is how long a client may be told nothing: longer than anything on a stage takes to speak.
const Patience = 1500 * time.Millisecond

// Silence says whether it is a breach that time alone shows.
func (n Name) Silence() bool {
	return slices.Contains([]Name{Silent, Leaderless, Ended, Unanswered}, n)
}

// Question says what is asked of a history.
type Question struct {
	Clients  []string // whose watches and leases are judged
	Refused  []string // those of them whom etcd denies what they ask for: they are to be refused
	Proxies  []string // proxies that are judged by what they ask of their members
	Patience time.Duration
	Proofs   []Proof
}

// Proof is what a history must show of a scenario's fault, or the trial was about something else.
type Proof struct {
	What  string
	Shows func(history.Event) bool
}

// Breach is a promise that was not kept to a client.
type Breach struct {
	Promise Name
	Client  string
	Why     string
	Events  []int // the Seq of the events that show it; of a watch's first that it was asked for
}

// Verdict is what the judge says.
type Verdict struct {
	Outcome  string // "kept", "broken" or "unknown"
	Breaches []Breach
	Why      string
}

// Label is the verdict in a few words, the form in which expected verdicts are written: "broken silent lost".
func (v Verdict) Label() string {
	names := []string{v.Outcome}
	for _, p := range Promises {
		if slices.ContainsFunc(v.Breaches, func(b Breach) bool { return b.Promise == p.Name }) {
			names = append(names, string(p.Name))
		}
	}
	return strings.Join(names, " ")
}

// String is the label, and the reasons.
func (v Verdict) String() string {
	if v.Why != "" {
		return v.Label() + ": " + v.Why
	}
	return v.Label() + ": " + strings.Join(text.Each(v.Breaches, func(b Breach) string { return b.Why }), "; ")
}

// Judge reaches a verdict on events.
func Judge(events []history.Event, q Question) Verdict {
	j := newJudge(events, q)
	for _, p := range q.Proofs {
		if !slices.ContainsFunc(j.events, p.Shows) {
			return Verdict{Outcome: "unknown", Why: "the fault does not show: there was to be " + p.What}
		}
	}
	all := slices.Concat(j.watches(), j.leaderless(), j.lists(), j.early(), j.misled(), j.overwrites(), j.sessions(),
		j.leases(), j.hammered())
	switch {
	case len(all) == 0:
		return Verdict{Outcome: "kept", Why: fmt.Sprintf("to %s every promise was kept", text.And(q.Clients))}
	case j.soon && slices.ContainsFunc(all, func(b Breach) bool { return b.Promise.Silence() }):
		return Verdict{Outcome: "unknown", Breaches: all, Why: "patience was not over: it is too soon to call a silence one"}
	}
	return Verdict{Outcome: "broken", Breaches: all}
}

// judge is a history, looked through once.
type judge struct {
	Question
	events  []history.Event
	commits []history.Event
	soon    bool // patience is not over
}

func newJudge(events []history.Event, q Question) *judge {
	j := &judge{Question: q, soon: true}
	var observe time.Duration
	for _, e := range events {
		if s := e.Step; s != nil {
			switch s.Phase {
			case history.PhaseObserve:
				observe = e.At
			case history.PhaseEnd:
				j.soon = observe == 0 || e.At-observe < q.Patience
				return j
			}
		}
		j.events = append(j.events, e)
		if e.Commit != nil {
			j.commits = append(j.commits, e)
		}
	}
	return j
}

func (j *judge) asks(who string) bool { return slices.Contains(j.Clients, who) }
