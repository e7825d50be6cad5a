package verdict

import (
	"fmt"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
)

// Proof is what a history must show of a scenario's fault, or the trial was about something else. Exactly one of Fault,
// Write and Conn is set.
type Proof struct {
	Fault history.FaultKind `json:"fault,omitempty"` // it fired at At, and the change happened under it, see met
	Write string            `json:"write,omitempty"` // an operation that etcd acknowledged by way of At
	Conn  string            `json:"conn,omitempty"`  // what the balancer did to At: "drain", "weights"
	At    string            `json:"at,omitempty"`    // what the node's or link's name begins with
	RPC   string            `json:"rpc,omitempty"`   // of a hold
	Count int               `json:"count,omitempty"` // of a write: at least so many; 0 is one
}

// String is what is to be shown.
func (p Proof) String() string {
	switch {
	case p.Write != "":
		return fmt.Sprintf("a %s that passed %s", p.Write, p.At)
	case p.Conn != "":
		return fmt.Sprintf("the balancer's %s of %s", p.Conn, p.At)
	}
	s := history.Fault{Kind: p.Fault, RPC: p.RPC, Target: p.At}.String()
	if what := p.Fault.Meets(); what != "" {
		return s + ", with " + what
	}
	return s
}

// shown checks that every fault that the scenario is about proves itself.
func (t *trial) shown() string {
	for _, p := range t.Proofs {
		if !t.shows(p) {
			return fmt.Sprintf("the fault does not show: there was to be %s", p)
		}
	}
	return ""
}

func (t *trial) shows(p Proof) bool {
	n := 0
	for i, e := range t.events {
		switch {
		case p.Write != "":
			if w := e.Write; w != nil && w.Op == p.Write && w.Err == "" && strings.HasPrefix(w.Via, p.At) {
				n++
			}
		case p.Conn != "":
			if c := e.Conn; c != nil && c.Op == p.Conn && strings.Contains(c.Proxy+" "+c.Detail, p.At) {
				n++
			}
		case e.Fault != nil && e.Fault.Op == history.Fire && e.Fault.Kind == p.Fault &&
			strings.HasPrefix(e.Fault.Target, p.At) && (p.RPC == "" || p.RPC == e.Fault.RPC):
			if t.met(i, e.Fault) {
				n++
			}
		}
	}
	return n >= max(p.Count, 1)
}

// met says whether the fault that fired with event i met what it counts, and if it lasts whether a change of the
// service was committed under it. A hold of a read is met by the change that passes it; one of a write is the change.
func (t *trial) met(i int, f *history.Fault) bool {
	met, changed := f.Met > 0, false
	for _, e := range t.events[i+1:] {
		// A commit is reported by a watch, which may trail the acknowledgement of its write.
		if c := e.Commit; c != nil && strings.HasPrefix(c.Key, keys.Service(t.Service)) {
			changed = true
		}
		if w := e.Write; w != nil && w.Err == "" && (touches(w, t.Service) || w.Op == "revoke") {
			changed = true
		}
		if e.Fault != nil && (e.Fault.Op == history.End || e.Fault.Kind == history.Restart) && ends(e.Fault, f) {
			met = met || e.Fault.Met > 0
			break
		}
	}
	switch {
	case f.Kind.Momentary():
		return true
	case f.Kind == history.Hold:
		return f.RPC != "Range" || changed
	case f.Kind.Meets() != "":
		return met && changed
	}
	return changed
}
