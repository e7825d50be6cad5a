// Package verdict judges a history: did every gateway see truth after a change, or a ghost, or not what it should?
//
// It is a pure function of the events. It never touches a running bench, so a history that was saved is judged again
// exactly as it was judged the first time (Again). The rules are in README.md; where a premise of them does not hold
// the verdict is Unknown and says which, because a test that proves nothing must not look green.
package verdict

import (
	"fmt"
	"slices"
	"time"

	"ghostroute/harness/history"
)

// Outcome is what became of the gateways' answers after the change.
type Outcome string

const (
	Fresh   Outcome = "fresh"   // no answer that began after the change was acknowledged disagreed with truth
	Heals   Outcome = "heals"   // some did, and every gateway agreed before patience ended
	Stale   Outcome = "stale"   // some gateway still disagreed at the end, and provenance says why
	Unknown Outcome = "unknown" // a premise failed, or nothing explains what was seen
)

// Symptom is how an answer disagreed with truth.
type Symptom string

const (
	None   Symptom = ""
	Ghost  Symptom = "ghost"  // an endpoint was answered that truth no longer has
	Hidden Symptom = "hidden" // an endpoint that truth has was not answered
	Leak   Symptom = "leak"   // an identity was answered what truth denies it
)

// Verdict is the outcome of one trial by one reading, with what proves it.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	Symptom Symptom `json:"symptom,omitempty"`
	// heals: from the acknowledgement until the last gateway agreed, in ns
	After time.Duration `json:"after,omitempty"`
	// heals: what came between the last wrong answer and the first right one
	HealedBy string     `json:"healed_by,omitempty"`
	Why      string     `json:"why"` // one sentence, with gateway, proxy, hit or miss, and revisions
	Evidence []Evidence `json:"evidence,omitempty"`
}

// Label is the verdict in one or two words, the form in which expected verdicts are written: "fresh", "stale ghost".
func (v Verdict) Label() string {
	if v.Symptom == None {
		return string(v.Outcome)
	}
	return string(v.Outcome) + " " + string(v.Symptom)
}

// String is the label and the sentence.
func (v Verdict) String() string { return v.Label() + ": " + v.Why }

// Evidence is what one gateway was answered, and where that answer came from.
type Evidence struct {
	Gateway  string         `json:"gateway"`
	Proxy    string         `json:"proxy,omitempty"`    // the proxy that answered; "" where none did
	Source   history.Source `json:"source,omitempty"`   // hit, miss, member or client
	Service  string         `json:"service"`            // what was asked for
	Revision int64          `json:"revision,omitempty"` // the answer was true at; 0 where that is not known
	Truth    int64          `json:"truth,omitempty"`    // the revision at which the truth it is compared with began
	Ghosts   []string       `json:"ghosts,omitempty"`   // instance ids answered that truth lacks, or denies
	Hidden   []string       `json:"hidden,omitempty"`   // instance ids that truth has and the answer lacks
	Note     string         `json:"note,omitempty"`     // e.g. how go-micro's cache came by its copy
	Events   []int          `json:"events"`             // the Seq of the events this rests on
}

// Question says what is asked of a history. Service and Gateways are needed; the rest narrows or widens what counts.
type Question struct {
	Service  string   `json:"service"`
	Gateways []string `json:"gateways"`          // every one of them must have seen truth before and answered after
	Reading  string   `json:"reading,omitempty"` // "each-request" or "go-micro": only such answers count; "" takes all

	// Denied are the gateways whose identity truth denies the service from the observe step on. A refusal is the right
	// answer for them, and any other answer a Leak.
	Denied []string `json:"denied,omitempty"`

	// Registered are instance ids whose Register has returned nil by the observe step: an answer that lacks one is
	// Hidden even where etcd lacks it too, because go-micro skips the Put when a stale lookup tells it that the key
	// is there.
	Registered []string `json:"registered,omitempty"`

	// Unchanged says that the scenario changes no endpoint of Service (but a permission, or a leader). Otherwise
	// truth must have moved between act and observe, or nothing was tested.
	Unchanged bool `json:"unchanged,omitempty"`

	// Requests says that requests are judged and not reads: one that fails while truth has an instance dialled a Ghost.
	Requests bool `json:"requests,omitempty"`

	// Proofs are what the history must show of the scenario's fault: without it the trial was about something else.
	Proofs []Proof `json:"proofs,omitempty"`

	// HealsWithin is the longest that the topology may take to heal by itself: a proxy's TTL, a scrubber's interval,
	// the TTL of go-micro's cache. An answer counts as stale only if it began later than this after the change, or
	// after the last release.
	HealsWithin time.Duration `json:"heals_within,omitempty"`
}

func (q Question) denies(gateway string) bool { return slices.Contains(q.Denied, gateway) }

// unknown is the verdict when a premise failed.
func unknown(format string, args ...any) Verdict {
	return Verdict{Outcome: Unknown, Why: fmt.Sprintf(format, args...)}
}
