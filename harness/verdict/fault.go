package verdict

import (
	"fmt"
	"strings"
	"time"

	"ghostroute/harness/history"
)

// serves says whether fire tells that the fault armed was met. A fault is armed for a node or a pattern and fires on
// a link or a key of it.
func serves(armed, fire *history.Fault) bool {
	return armed.Kind == fire.Kind &&
		strings.HasPrefix(fire.Target, armed.Target) &&
		(armed.RPC == "" || fire.RPC == "" || armed.RPC == fire.RPC) &&
		(armed.Key == "" || fire.Key == "" || strings.HasPrefix(fire.Key, armed.Key))
}

// fired checks that every fault took place.
func (t *trial) fired() string {
	for i, e := range t.events {
		if e.Fault == nil || e.Fault.Op != history.Arm {
			continue
		}
		met := false
		for _, later := range t.events[i+1:] {
			met = met || later.Fault != nil && later.Fault.Op == history.Fire && serves(e.Fault, later.Fault)
		}
		if !met {
			return fmt.Sprintf("a fault never fired: %s was armed and never met", e.Fault)
		}
	}
	return ""
}

// moved says whether truth changed between act and observe.
func (t *trial) moved(act time.Duration) bool {
	for _, s := range t.truths[1:] {
		if s.surely >= act && s.surely <= t.observe {
			return true
		}
	}
	return false
}

// ends says whether f, an end or a restart, is the end of what is open. What fires may be narrower than what was
// armed, as a link of a node is.
func ends(f, open *history.Fault) bool {
	if f.Op != history.End {
		return open.Kind == history.Stop && open.Target == f.Target
	}
	return f.Kind == open.Kind &&
		(f.RPC == "" || open.RPC == "" || f.RPC == open.RPC) &&
		(f.Key == "" || open.Key == "" || strings.HasPrefix(open.Key, f.Key)) &&
		(strings.HasPrefix(open.Target, f.Target) || strings.HasPrefix(f.Target, open.Target))
}
