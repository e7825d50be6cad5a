package verdict

import (
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
)

// healer names what happened between the last wrong answer of a gateway and its first right one that explains the
// difference.
func (t *trial) healer(wrong, right answer) string {
	if wrong.event.Resolve == nil || right.event.Resolve == nil {
		return "the address being answered by the right service again"
	}
	w, r := wrong.event.Resolve, right.event.Resolve
	if w.Source == history.ClientCache && r.Source == history.ClientCache {
		return right.event.Who + "'s watch" // of go-micro, or of etcd's resolver
	}
	proxy := r.Via
	if w.Source == history.Hit || w.Source == history.Miss {
		if r.Via != w.Via && r.Source != history.ClientCache {
			if r.Via == "" {
				return fmt.Sprintf("%s reading from a member instead of %s", right.event.Who, w.Via)
			}
			return fmt.Sprintf("%s coming to %s instead of %s", right.event.Who, r.Via, w.Via)
		}
		proxy = w.Via
	}
	write := ""
	for _, e := range t.events {
		if e.At <= w.Began || e.Seq > right.event.Seq {
			continue
		}
		switch {
		case e.Fault != nil && e.Fault.Op == history.End && t.concerns(e.Fault, proxy, right.event.Who):
			if e.Fault.Kind == history.Hold {
				return fmt.Sprintf("release of the held %s at %s", e.Fault.RPC, e.Fault.Target)
			}
			return "the end of " + e.Fault.String()
		case e.Fault != nil && e.Fault.Op == history.Fire && e.Fault.Target == proxy &&
			(e.Fault.Kind == history.Restart || e.Fault.Kind == history.Stop):
			return string(e.Fault.Kind) + " of " + proxy
		case e.Write != nil && e.Write.Err == "" && e.Write.Via == proxy && write == "" && touches(e.Write, t.Service):
			write = e.Write.Op
		case e.Range != nil && e.Who == proxy && e.Range.Source == history.Miss && e.Range.Err == "" &&
			t.isRead(e.Range, w.List):
			switch {
			case w.Source == history.ClientCache && e.Range.Client == right.event.Who:
				return "go-micro's cache reading again when its TTL was over"
			case write != "":
				return fmt.Sprintf("a miss at %s after a %s passed it", proxy, write)
			case !e.Range.Serializable && e.Range.Client != "":
				return fmt.Sprintf("linearizable read by %s through %s", e.Range.Client, proxy)
			case !e.Range.Serializable:
				return "linearizable read through " + proxy
			default:
				return fmt.Sprintf("a miss at %s, whose entry was gone", proxy)
			}
		}
	}
	switch {
	case w.Source == history.ClientCache:
		return "go-micro's cache reading again when its TTL was over"
	case r.Source == history.ClientCache:
		return right.event.Who + "'s watch" // of go-micro, or of etcd's resolver
	case w.Source == history.Miss || w.Source == history.Member:
		return "a member that had caught up"
	case write != "":
		return fmt.Sprintf("a %s that passed %s", write, proxy)
	case r.Source == history.Miss:
		return fmt.Sprintf("a miss at %s, whose entry was gone", proxy)
	default:
		return "something the history does not show"
	}
}

// concerns says whether a fault was at the proxy or the gateway, or at nothing that is another proxy's: a member, say.
func (t *trial) concerns(f *history.Fault, proxy, gateway string) bool {
	ends := strings.Split(f.Target, "→")
	if slices.Contains(ends, proxy) || slices.Contains(ends, gateway) {
		return true
	}
	for _, e := range t.events {
		if (e.Range != nil || e.Resolve != nil) && slices.Contains(ends, e.Who) {
			return false
		}
	}
	return true
}

// touches says whether a write clears a proxy's cache of the service.
func touches(w *history.Write, service string) bool {
	if w.Op != "put" && w.Op != "delete" && w.Op != "txn" {
		return false
	}
	prefix := keys.Service(service)
	return keys.Overlap(w.Key, w.End, prefix, keys.PrefixEnd(prefix))
}

// isRead says whether a Range asks just what GetService of the service asks, or ListServices: it then has their entry
// in the cache.
func (t *trial) isRead(r *history.Range, list bool) bool {
	key := keys.Service(t.Service)
	if list {
		key = keys.Registry
	}
	return r.Key == key && r.End != "" && r.Shape == ""
}
