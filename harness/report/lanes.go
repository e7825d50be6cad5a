package report

import (
	"maps"
	"slices"
	"strings"

	"ghostroute/harness/history"
)

// lane is one node's line.
type lane struct {
	Name string `json:"n"`
	Kind string `json:"k"` // one of laneKinds
}

// laneKinds are in the order of the lanes: clients on top, then the proxies they go through, then etcd, so that a
// miss is seen to go further than a hit.
var laneKinds = []string{"gateway", "writer", "balancer", "proxy", "member", "truth"}

// ofMembers are the faults that only a member can have.
var ofMembers = []history.FaultKind{history.CutPeer, history.Kill, history.MoveLeader}

// lay finds the lanes from what the events say that each node did. A member has one only where a fault is at it.
func (d *drafter) lay(events []history.Event) {
	lanes := map[string]string{"truth": "truth"}
	known := map[string]string{} // nodes that need no lane unless a fault is at them
	claim := func(in map[string]string, kind, name string) {
		if _, taken := in[name]; !taken && name != "" {
			in[name] = kind
		}
	}
	for _, e := range events {
		switch {
		case e.Range != nil:
			claim(lanes, "proxy", e.Who)
			claim(known, "member", e.Range.Member)
		case e.Resolve != nil && !d.other(e):
			claim(lanes, "gateway", e.Who)
			claim(lanes, "proxy", e.Resolve.Via)
		case e.Request != nil:
			claim(lanes, "gateway", e.Who)
		case e.Conn != nil:
			claim(known, "proxy", e.Conn.Proxy)
			if e.Conn.Op != "open" && e.Conn.Op != "close" {
				claim(lanes, "balancer", e.Who)
			}
		case e.Commit != nil:
			claim(known, "member", e.Who)
		case e.Fault != nil && slices.Contains(ofMembers, e.Fault.Kind):
			claim(known, "member", e.Fault.Target)
		}
	}
	writers := map[string]bool{} // clients that only write, instances before all, share a lane
	for _, e := range events {
		who := e.Who
		if e.Fault != nil && e.Fault.Kind == history.Crash {
			who = e.Fault.Target
		} else if e.Write == nil || quiet(e.Write) {
			continue
		}
		if lanes[who] == "" && known[who] == "" {
			writers[who] = true
		}
	}
	shared := "writers"
	if len(writers) == 1 {
		shared = slices.Collect(maps.Keys(writers))[0]
	}
	if len(writers) > 0 {
		lanes[shared] = "writer"
	}
	for _, e := range events {
		if e.Fault == nil {
			continue
		}
		for _, name := range owners(e.Fault.Target) {
			if kind := known[name]; kind != "" {
				claim(lanes, kind, name)
				break
			}
		}
	}
	for _, kind := range laneKinds {
		for _, name := range slices.Sorted(maps.Keys(lanes)) {
			if lanes[name] == kind {
				d.lanes[name] = len(d.Lanes)
				d.Lanes = append(d.Lanes, lane{name, kind})
			}
		}
	}
	for name := range writers {
		d.lanes[name] = d.lanes[shared]
	}
}

// owners are the names under which the node that a fault is at may be known: the target, or the node whose link it is.
func owners(target string) []string {
	node, _, _ := strings.Cut(target, "→")
	from, _, _ := strings.Cut(target, "-") // the explorer's plans write a link "p1-m1"
	return []string{target, node, from}
}

// lane is the place of the first of these nodes that has a lane, -1 where none has.
func (d *drafter) lane(names ...string) int {
	for _, n := range names {
		if l, ok := d.lanes[n]; ok {
			return l
		}
	}
	return -1
}

// whose is what a mark's label begins with where the lane does not say whose it is.
func (d *drafter) whose(lane int, who string) string {
	if lane < 0 || d.Lanes[lane].Kind != "writer" || d.Lanes[lane].Name == who {
		return ""
	}
	return who + " "
}

// quiet are writes that change no key.
func quiet(w *history.Write) bool { return w.Op == "keepalive" || w.Op == "grant" }
