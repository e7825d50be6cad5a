package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/trial"
)

// uncrossed says whether no read of a go-micro gateway's own crossed a write: a Late error if one did.
func (t *Trial) uncrossed() error {
	if t.Topology.Reading != gateway.GoMicro {
		return nil
	}
	if what := crossed(t.Events(), t.ServicePrefix(), t.Question().Gateways); what != "" {
		return &trial.Late{What: what}
	}
	return nil
}

// crossed says which read of a gateway was on its way at a proxy while a write of the range passed that proxy, and was
// filed behind it: a hit afterwards shows the entry. go-micro's gateways read when a
// watch tells them of an event, and an event can overtake its write. Scenarios make such crossings by holding an RPC;
// where none was held at that proxy it was an accident of timing, and what came of it says nothing about the scenario.
func crossed(events []history.Event, prefix string, gateways []string) (what string) {
	held := map[string]bool{}
	for _, e := range events {
		if f := e.Fault; f != nil && f.Kind == history.Hold && f.Op == history.Fire && f.RPC != "Watch" {
			held[e.Who] = true
		}
	}
	for _, w := range events {
		if w.Write == nil || w.Write.Err != "" || w.Write.Revision == 0 || held[w.Write.Via] ||
			!strings.HasPrefix(w.Write.Key, prefix) {
			continue
		}
		filed := int64(0)
		for _, e := range events {
			r := e.Range
			if r == nil || e.Who != w.Write.Via || r.Key != prefix || r.Revision >= w.Write.Revision || r.Err != "" {
				continue
			}
			switch {
			case r.Source == history.Miss && slices.Contains(gateways, r.Client) && r.Began < w.At && e.At > w.Write.Began:
				filed = r.Revision
			case filed > 0 && r.Source == history.Hit && r.Revision == filed && r.Began > w.At:
				return fmt.Sprintf("a read of a gateway's own, answered at revision %d, crossed the %s of %s at %s, revision %d",
					filed, w.Write.Op, w.Write.Key, e.Who, w.Write.Revision)
			}
		}
	}
	return ""
}
