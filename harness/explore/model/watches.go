package model

import (
	"slices"
	"strings"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/promise"
)

// The causes by which a promise about watches is broken. They are not foretold but read off a history that has what the
// proxies' own watches were told (proxy.Config.Watched): Told says how.
const (
	SharedStream Cause = "a watch refused upstream, with the token of who watched first"
	StreamAgain  Cause = "a watch refused upstream when it was asked for again, with its client's old token"
	Corpse       Cause = "a watch that joined one which is over"
	EndOfAnother Cause = "a watch that joined one which lags, and is told its end"
	LeaderWish   Cause = "a wish for a leader that no proxy hears"
	StaleList    Cause = "a list from the cache, older than what is compacted"
	CreatedAhead Cause = "a Created that the proxy makes itself"
	OwnStream    Cause = "a watch on a stream of its client's that was opened with a token which is over"
)

// WatchCauses are all of them that are known, in a fixed order.
func WatchCauses() []Cause {
	return []Cause{SharedStream, StreamAgain, Corpse, EndOfAnother, LeaderWish, StaleList, CreatedAhead,
		OwnStream}
}

// watchCauses are each cause's check and line.
var watchCauses = map[Cause]struct{ breaks, where string }{
	SharedStream: {"delivery", "watch_broadcast.go:66, util.go:37: a token goes upstream as a context's value, and " +
		"etcd's client finds its stream by metadata (client/v3/watch.go:1086): all share the first one's; " +
		"watcher.go:107 drops the refusal"},
	StreamAgain: {"delivery", "watch_broadcast.go:66: the token is the one that the watch was asked for with, for ever; " +
		"a stream that is opened anew is refused with it, and watcher.go:107 drops the refusal"},
	Corpse: {"delivery", "watch_broadcast.go:71: the loop ends with the upstream watch, and the broadcast stays listed; " +
		"watch_broadcast.go:97 and watch_broadcasts.go:67 let others join it"},
	EndOfAnother: {"reason", "watch_broadcast.go:97: whoever begins later joins, before the member has looked where the " +
		"upstream watch begins; watch_broadcast.go:88 passes on to all that this is compacted"},
	LeaderWish: {"leader", "watch.go:112: the wish is looked for in a server's outgoing metadata"},
	StaleList: {"meeting", "kv.go:49: a serializable list is answered from the cache however old it is, " +
		"and watch_broadcast.go:88 passes on that its next revision is compacted"},
	CreatedAhead: {"ahead", "watch_broadcast.go:115: a Created that the proxy makes itself has the revision " +
		"that was asked for"},
	OwnStream: {"reason", "etcd's own, with a proxy and without: client/v3/watch.go:343 takes the stream that there is, " +
		"and only one that is opened has a new token (client/v3/retry_interceptor.go:118)"},
}

// Told says why promises about watches were broken: each cause once. places are where each watch was asked for, by the
// Seq of the record of that. What nothing in the history explains is Unexplained.
func Told(p plan.Plan, events []history.Event, places map[int]string, broken []promise.Breach) (list []Finding) {
	for _, b := range broken {
		f := Finding{Cause: told(events, places, b), Plan: p, Plans: 1}
		if f.Cause != "" && !slices.ContainsFunc(list, func(g Finding) bool { return g.Cause == f.Cause }) {
			list = append(list, f)
		}
	}
	return list
}

func told(events []history.Event, places map[int]string, b promise.Breach) Cause {
	at := places[b.Events[0]]
	switch {
	case b.Promise == promise.Livelock:
		return StaleList
	case b.Promise == promise.Refused && strings.Contains(b.Why, "invalid auth token"):
		return OwnStream
	}
	if !strings.HasPrefix(at, "p") {
		return ""
	}
	asked := events[b.Events[0]-1].Watch
	switch b.Promise {
	case promise.Leaderless:
		return LeaderWish
	case promise.Ahead:
		return CreatedAhead
	}
	// What the proxy's own watches of the range were told last, by stream and first revision.
	type upstream struct {
		stream string
		from   int64
	}
	ends := map[upstream]history.Watch{}
	for _, e := range events {
		if u := e.Watch; e.Who == at && u != nil && u.Key == asked.Key && u.End == asked.End {
			ends[upstream{u.Watch, u.From}] = *u
		}
	}
	var found []Cause
	for _, u := range ends {
		refused := strings.Contains(u.Reason, "permission denied") || strings.Contains(u.Reason, "invalid auth token")
		switch {
		case b.Promise == promise.Untrue && u.Compacted > 0 && u.From < asked.From:
			found = append(found, EndOfAnother)
		case b.Promise != promise.Silent:
		case refused && u.As != b.Client:
			found = append(found, SharedStream)
		case refused:
			found = append(found, StreamAgain)
		case u.Compacted > 0:
			found = append(found, Corpse)
		}
	}
	for _, c := range WatchCauses() {
		if slices.Contains(found, c) {
			return c
		}
	}
	return ""
}
