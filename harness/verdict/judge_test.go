package verdict_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

// as says that every answer of the story was read by go-micro's gateway.
func goMicro(s *story) *story {
	for _, e := range s.events {
		if e.Resolve != nil {
			e.Resolve.Reading = "go-micro"
		}
	}
	return s
}

func users(q *verdict.Question) { q.Reading = "go-micro" }

func list(r *history.Resolve) { r.List = true }

var refusal = "etcdserver: permission denied"

// trial is a history written by hand, and the verdict it must get. why and healed are parts of the sentence.
type trial struct {
	name     string
	story    *story
	question verdict.Question
	want     string
	why      string
	healed   string
}

var trials = []trial{
	// fresh
	{"every gateway is answered truth", deregistered().hit("g1", "p1", 3, "v2-a").miss("g2", "p2", "v2-a"), asked,
		"fresh", "none of the 2 answers of g1 and g2", ""},
	{"an answer that began before the acknowledgement does not count",
		incident().act().hit("g2", "p2", 1, "v1-a").put("p1", "v2-a").del("p1", "v1-a").observe().
			miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a"),
		asked, "fresh", "none of the 2", ""},
	{"nor one that began before it and came behind it",
		incident().act().put("p1", "v2-a").del("p1", "v1-a").observe().miss("g1", "p1", "v2-a").
			hit("g2", "p2", 1, "v1-a").as(func(r *history.Resolve) { r.Began -= 3 * time.Millisecond }).
			miss("g2", "p2", "v2-a"),
		asked, "fresh", "none of the 2", ""},
	{"a service that was never registered, and stays so for another's registration",
		(&story{}).commitPut("x-1").miss("g1", "p1", "x-1").miss("g2", "p2", "x-1").act().del("p1", "x-1").observe().
			miss("g1", "p1").miss("g2", "p2"),
		asked, "fresh", "nothing", ""},
	{"truth moves on after observe and answers follow it",
		deregistered().miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a").put("p1", "v3-a").
			miss("g1", "p1", "v2-a", "v3-a").miss("g2", "p2", "v2-a", "v3-a"),
		asked, "fresh", "none of the 4", ""},
	{"an answer on its way while truth moves may show either",
		deregistered().miss("g1", "p1", "v2-a").put("p1", "v3-a").miss("g2", "p2", "v2-a").
			as(func(r *history.Resolve) { r.Began -= 3 * time.Millisecond; r.Revision = 3 }),
		asked, "fresh", "none of the 2", ""},
	{"a commit that is reported after its answer is no contradiction",
		deregistered().miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a").read("g2", "p2", history.Hit, 3).
			as(func(r *history.Resolve) { r.Revision = 0 }).commitDel("v2-a").miss("g1", "p1").miss("g2", "p2"),
		asked, "fresh", "none of the 5", ""},
	{"registered again with nothing changed",
		incident().act().del("p1", "v1-a").put("p1", "v1-a").observe().hit("g1", "p1", 3, "v1-a").
			hit("g2", "p2", 1, "v1-a"),
		asked, "fresh", "", ""},
	{"truth told by linearizable reads alone",
		(&story{rev: 5}).truth("v1-a").miss("g1", "p1", "v1-a").miss("g2", "p2", "v1-a").act().elsewhere().truth().
			observe().miss("g1", "p1").miss("g2", "p2"),
		asked, "fresh", "", ""},
	{"a key that is not written as go-micro writes them, read and then deleted", oddKey().miss("g1", "p1").
		miss("g2", "p2"), asked, "fresh", "", ""},
	{"a follower that came late, with a read that says what was there",
		(&story{rev: 5}).truth("v1-a").miss("g1", "p1", "v1-a").miss("g2", "p2", "v1-a").act().del("p1", "v1-a").
			observe().miss("g1", "p1").miss("g2", "p2"),
		asked, "fresh", "", ""},
	{"what comes after the end is tidying up",
		deregistered().miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a").end().hit("g2", "p2", 1, "v1-a").
			fault("arm", "hold", "p1", "Put"),
		asked, "fresh", "", ""},
	{"the other reading and other services are not asked about",
		deregistered().miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a").
			hit("g2", "p2", 1, "v1-a").as(func(r *history.Resolve) { r.Reading = "go-micro" }).
			hit("g2", "p2", 1, "v1-a").as(func(r *history.Resolve) { r.Service = "other" }),
		asked, "fresh", "none of the 2", ""},
	{"a fault that fired and ended",
		incident().act().fault("arm", "hold", "p2", "Range").fault("fire", "hold", "p2", "Range").put("p1", "v2-a").
			del("p1", "v1-a").observe().fault("end", "hold", "p2", "Range").release().miss("g1", "p1", "v2-a").
			miss("g2", "p2", "v2-a"),
		asked, "fresh", "", ""},
	{"a refusal is the right answer for who is denied",
		incident().act().observe().hit("g1", "p1", 1, "v1-a").fails("g2", "p2", refusal),
		but(func(q *verdict.Question) { q.Denied, q.Unchanged = []string{"g2"}, true }), "fresh", "g2 was refused", ""},
	{"an instance whose Register returned nil and that is there",
		incident().act().del("p1", "v1-a").put("p1", "v1-a").observe().hit("g1", "p1", 3, "v1-a").
			miss("g2", "p2", "v1-a"),
		but(func(q *verdict.Question) { q.Registered = []string{"v1-a"} }), "fresh", "", ""},

	// heals
	{"a linearizable read by a neighbour",
		deregistered().miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").
			ranged("p2", "g3", history.Miss, false, 3, prefix, "v2-a").hit("g2", "p2", 3, "v2-a"),
		asked, "heals ghost",
		"g2 was answered with the ghost of v1-a and without v2-a: hit at p2, an entry of revision 1; truth is at 3",
		"linearizable read by g3 through p2"},
	{"a look that reads another range does not heal, the miss after a write does",
		deregistered().miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").
			ranged("p2", "g3", history.Miss, false, 3, "/micro/registry/").
			put("p2", "v2-a@10.0.0.9:9").ranged("p2", "g2", history.Miss, true, 4, prefix, "v2-a").
			miss("g2", "p2", "v2-a@10.0.0.9:9").miss("g1", "p1", "v2-a@10.0.0.9:9"),
		asked, "heals ghost", "", "a miss at p2 after a put passed it"},
	{"the entry was gone",
		deregistered().miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").
			ranged("p2", "g2", history.Miss, true, 3, prefix, "v2-a").miss("g2", "p2", "v2-a"),
		asked, "heals ghost", "", "a miss at p2, whose entry was gone"},
	{"what came before the last wrong answer did not heal it",
		deregistered().miss("g1", "p1", "v2-a").ranged("p2", "g3", history.Miss, false, 3, prefix, "v2-a").
			hit("g2", "p2", 1, "v1-a").ranged("p2", "g2", history.Miss, true, 3, prefix, "v2-a").
			miss("g2", "p2", "v2-a"),
		asked, "heals ghost", "", "a miss at p2, whose entry was gone"},
	{"the proxy was restarted",
		deregistered().miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").fault("fire", "restart", "p2", "").
			ranged("p2", "g2", history.Miss, true, 3, prefix, "v2-a").miss("g2", "p2", "v2-a"),
		asked, "heals ghost", "", "restart of p2"},
	{"another proxy's restart is not what healed it",
		deregistered().miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").fault("fire", "restart", "p1", "").
			ranged("p2", "g2", history.Miss, true, 3, prefix, "v2-a").miss("g2", "p2", "v2-a"),
		asked, "heals ghost", "", "a miss at p2, whose entry was gone"},
	{"a held watch is let go",
		incident().act().fault("arm", "hold", "p2", "Watch").put("p1", "v2-a").fault("fire", "hold", "p2", "Watch").
			del("p1", "v1-a").observe().
			miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").release().fault("end", "hold", "p2", "Watch").
			miss("g2", "p2", "v2-a").hit("g1", "p1", 3, "v2-a"),
		asked, "heals ghost", "", "release of the held Watch at p2"},
	{"a member catches up",
		incident().act().fault("fire", "cut-peer", "m3", "").put("p1", "v2-a").del("p1", "v1-a").observe().
			miss("g1", "p1", "v2-a").read("g2", "", history.Member, 1, "v1-a").fault("end", "cut-peer", "m3", "").
			read("g2", "", history.Member, 3, "v2-a").miss("g1", "p1", "v2-a"),
		asked, "heals ghost", "g2 was answered with the ghost of v1-a and without v2-a: from a member, revision 1",
		"the end of cut-peer at m3"},
	{"a gateway comes to another proxy",
		deregistered().miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").hit("g2", "p1", 3, "v2-a"),
		asked, "heals ghost", "", "g2 coming to p1 instead of p2"},
	{"a gateway's watch",
		goMicro(incident().act().put("p1", "v2-a").del("p1", "v1-a").observe().client("g1", "v1-a").
			client("g1", "v2-a").miss("g2", "p2", "v2-a")),
		but(users), "heals ghost", "from its own cache", "g1's watch"},
	{"go-micro's cache reads again",
		goMicro(incident().act().put("p1", "v2-a").del("p1", "v1-a").observe().client("g1", "v1-a").
			miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a")),
		but(users), "heals ghost", "", "go-micro's cache reading again when its TTL was over"},
	{"hidden, then not",
		incident().act().put("p1", "v1-b").observe().miss("g1", "p1", "v1-a", "v1-b").hit("g2", "p2", 1, "v1-a").
			miss("g2", "p2", "v1-a", "v1-b"),
		asked, "heals hidden", "without v1-b", ""},
	{"a request that went to another service, and then did not",
		deregistered().miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a").called("g2", "billing", "b-1").
			called("g2", "hello", "v2-a"),
		asked, "heals ghost", "g2 asked for hello and was answered 200 by billing", "the right service again"},

	// stale
	{"the incident",
		deregistered().miss("g1", "p1", "v2-a").ranged("p2", "g2", history.Hit, true, 1, prefix, "v1-a").
			hit("g2", "p2", 1, "v1-a").recorded(),
		asked, "stale ghost",
		"g2 was answered with the ghost of v1-a and without v2-a: hit at p2, an entry of revision 1; truth is at 3; " +
			"nothing", ""},
	{"an empty answer that was kept",
		(&story{rev: 1}).truth().miss("g1", "p1").miss("g2", "p2").act().put("p1", "v1-a").observe().
			miss("g1", "p1", "v1-a").hit("g2", "p2", 1),
		asked, "stale hidden", "g2 was answered without v1-a: hit at p2, an entry of revision 1", ""},
	{"the same id at another address is a ghost",
		incident().act().put("p1", "v1-a@10.0.0.7:1").observe().miss("g1", "p1", "v1-a@10.0.0.7:1").
			hit("g2", "p2", 1, "v1-a"),
		asked, "stale ghost", "the ghost of v1-a", ""},
	{"healed for GetService and not for ListServices",
		incident().miss("g2", "p2", "v1-a").as(list).act().put("p1", "v2-a").del("p1", "v1-a").observe().
			miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").hit("g2", "p2", 1, "v1-a").as(list).
			miss("g2", "p2", "v2-a").hit("g2", "p2", 1, "v1-a").as(list),
		asked, "stale ghost", "hit at p2, an entry of revision 1", ""},
	{"what was held was let go, and it stayed",
		incident().act().fault("arm", "hold", "p2", "Watch").put("p1", "v2-a").fault("fire", "hold", "p2", "Watch").
			del("p1", "v1-a").observe().
			miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").fault("end", "hold", "p2", "Watch").release().
			hit("g2", "p2", 1, "v1-a").hit("g1", "p1", 3, "v2-a"),
		asked, "stale ghost", "", ""},
	{"a proxy that was stopped and restarted before",
		incident().act().fault("fire", "stop", "p1", "").fault("fire", "restart", "p1", "").put("p1", "v2-a").
			del("p1", "v1-a").observe().miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a"),
		asked, "stale ghost", "", ""},
	{"longer than the topology takes to heal",
		deregistered().miss("g1", "p1", "v2-a").wait(time.Second).hit("g2", "p2", 1, "v1-a"),
		but(func(q *verdict.Question) { q.HealsWithin = time.Second }), "stale ghost", "", ""},
	{"one gateway proven, another not",
		deregistered().read("g1", "", history.Miss, 1, "v1-a").hit("g2", "p2", 1, "v1-a"),
		asked, "stale ghost", "g2 was answered", ""},
	{"a lease that ended",
		incident().act().commitDel("v1-a").observe().hit("g1", "p1", 1, "v1-a").hit("g2", "p2", 1, "v1-a"),
		asked, "stale ghost",
		"g1 was answered with the ghost of v1-a: hit at p1, an entry of revision 1; truth is at 2", ""},
	{"go-micro's cache read a ghost when its TTL was over",
		goMicro(deregistered().miss("g1", "p1", "v2-a").client("g2", "v2-a").hit("g2", "p2", 1, "v1-a").
			client("g2", "v1-a")),
		but(users), "stale ghost",
		"g2 was answered with the ghost of v1-a and without v2-a: from its own cache; truth is at 3; " +
			"go-micro's cache took it from the registry (hit at p2, an entry of revision 1)", ""},
	{"the proxy's record of go-micro's read will do",
		goMicro(deregistered().miss("g1", "p1", "v2-a").client("g2", "v2-a").
			ranged("p2", "g2", history.Hit, true, 1, prefix, "v1-a").client("g2", "v1-a").recorded()),
		but(users), "stale ghost", "took it from the registry (hit at p2, an entry of revision 1)", ""},
	{"go-micro's cache keeps its expired copy",
		goMicro(incident().act().del("p1", "v1-a").observe().miss("g1", "p1").
			ranged("p2", "g2", history.Miss, true, 2, prefix).client("g2", "v1-a").recorded()),
		but(users), "stale ghost",
		"the registry answered not found (miss at p2, revision 2), and go-micro's cache keeps its expired copy",
		""},
	{"go-micro's gateway says itself that it was told otherwise",
		goMicro(incident().act().del("p1", "v1-a").observe().miss("g1", "p1").miss("g2", "p2", "v1-a")),
		but(users), "stale ghost", "keeps its expired copy on any error", ""},
	{"go-micro's cache outlives its TTL",
		goMicro(deregistered().miss("g1", "p1", "v2-a").wait(time.Minute).client("g2", "v1-a")),
		but(func(q *verdict.Question) { users(q); q.HealsWithin = time.Minute }), "stale ghost",
		"filled (miss at p2, revision 1), has not been since", ""},
	{"another identity is answered from the cache",
		(&story{}).put("p1", "v1-a").miss("g1", "p1", "v1-a").fails("g2", "p1", refusal).act().
			hit("g1", "p1", 1, "v1-a").observe().hit("g1", "p1", 1, "v1-a").hit("g2", "p1", 1, "v1-a"),
		but(func(q *verdict.Question) { q.Denied, q.Unchanged = []string{"g2"}, true }), "stale leak",
		"g2 was answered with v1-a, which truth denies it: hit at p1, an entry of revision 1", ""},
	{"Register put nothing and returned nil",
		incident().act().del("p1", "v1-a").ranged("p2", "v1-a", history.Hit, true, 1, prefix+"hello-v1-a", "v1-a").
			kept("p2", "v1-a").observe().miss("g1", "p1").miss("g2", "p2"),
		but(func(q *verdict.Question) { q.Registered = []string{"v1-a"} }), "stale hidden",
		"was told that it is there (hit at p2, an entry of revision 1)", ""},

	// unknown
	{"no history", &story{}, asked, "unknown", "truth about hello is not known", ""},
	{"no gateway", deregistered(), but(func(q *verdict.Question) { q.Gateways = nil }), "unknown", "names no gateway",
		""},
	{"truth was never read",
		(&story{}).miss("g1", "p1", "v1-a").miss("g2", "p2", "v1-a").act().observe().miss("g1", "p1").
			miss("g2", "p2"), asked, "unknown", "truth about hello is not known", ""},
	{"truth contradicts itself", deregistered().truth("v1-a").miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a"),
		asked, "unknown",
		"truth contradicts itself: a linearizable read at revision 3 names v1-a, but what came before it leaves v2-a",
		""},
	{"two reads at one revision contradict each other",
		(&story{rev: 5}).truth("v1-a").miss("g1", "p1", "v1-a").miss("g2", "p2", "v1-a").act().truth().observe().
			miss("g1", "p1").miss("g2", "p2"),
		asked, "unknown", "truth contradicts itself", ""},
	{"commits are missing",
		deregistered().fault("end", "compact", "m1", "").miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a"), asked,
		"unknown", "commits are missing", ""},
	{"the put that a delete undoes was not seen, and no read tells",
		(&story{rev: 1}).miss("g1", "p1", "v1-a").miss("g2", "p2", "v1-a").act().commitDel("v1-a").observe().
			miss("g1", "p1").miss("g2", "p2"), asked, "unknown", "is not known", ""},
	{"a gateway never read",
		(&story{}).put("p1", "v1-a").miss("g1", "p1", "v1-a").act().del("p1", "v1-a").observe().miss("g1", "p1"),
		asked, "unknown", "g2 never read hello as reading each-request", ""},
	{"a gateway only read after the act began",
		(&story{}).put("p1", "v1-a").miss("g1", "p1", "v1-a").act().miss("g2", "p2", "v1-a").del("p1", "v1-a").
			observe().miss("g1", "p1").miss("g2", "p2"), asked, "unknown",
		"g2 had not seen truth before the act", ""},
	{"a gateway's read failed before the act",
		(&story{}).put("p1", "v1-a").miss("g1", "p1", "v1-a").fails("g2", "p2", "deadline exceeded").act().
			del("p1", "v1-a").observe().miss("g1", "p1").miss("g2", "p2"), asked, "unknown",
		"its GetService failed: deadline exceeded", ""},
	{"a gateway was wrong before the act",
		incident().hit("g2", "p2", 1).act().del("p1", "v1-a").observe().miss("g1", "p1").hit("g2", "p2", 1, "v1-a"),
		asked, "unknown",
		"g2 had not seen truth before the act: g2 was answered without v1-a: hit at p2, an entry of revision 1", ""},
	{"a gateway that lists had never listed",
		deregistered().miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a").miss("g2", "p2", "v2-a").as(list), asked,
		"unknown", "no answer to its ListServices", ""},
	{"a fault was armed and never fired",
		incident().act().fault("arm", "hold", "p2", "Range").put("p1", "v2-a").del("p1", "v1-a").observe().
			miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a"), asked, "unknown",
		"a fault never fired: hold of Range at p2", ""},
	{"a fault that fired elsewhere, before, or as another RPC does not count",
		incident().act().fault("fire", "hold", "p2", "Range").fault("arm", "hold", "p2", "Range").
			fault("fire", "hold", "p1", "Range").fault("fire", "hold", "p2", "Put").
			put("p1", "v2-a").del("p1", "v1-a").observe().miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a"), asked,
		"unknown", "a fault never fired: hold of Range at p2", ""},
	{"the change was never acknowledged",
		incident().act().put("p1", "v2-a").del("p1", "v1-a").miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a"),
		asked, "unknown", "no step of phase observe", ""},
	{"the change never reached truth", incident().act().observe().miss("g1", "p1", "v1-a").miss("g2", "p2", "v1-a"),
		asked, "unknown", "the change never reached truth", ""},
	{"a gateway was not asked afterwards", deregistered().miss("g1", "p1", "v2-a"), asked, "unknown",
		"g2 was not asked after", ""},
	{"a gateway was not answered afterwards", deregistered().miss("g1", "p1", "v2-a").
		fails("g2", "p2", "connection refused"), asked, "unknown",
		"g2 was not answered after the change was acknowledged: its GetService failed: connection refused", ""},
	{"a refusal is no answer for who may read", deregistered().miss("g1", "p1", "v2-a").fails("g2", "p2", refusal),
		asked, "unknown", "permission denied", ""},
	{"wrong, and then nothing but errors", deregistered().miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").
		fails("g2", "p2", "unavailable").fails("g2", "p2", "unavailable"), asked, "unknown ghost",
		"its last 2 reads failed", ""},
	{"what was held is still held",
		incident().act().fault("arm", "hold", "p2", "Watch").put("p1", "v2-a").fault("fire", "hold", "p2", "Watch").
			del("p1", "v1-a").observe().miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a"),
		asked, "unknown ghost", "it may yet heal: hold of Watch at p2 has not ended", ""},
	{"nobody asked after the release",
		incident().act().fault("arm", "hold", "p2", "Watch").put("p1", "v2-a").fault("fire", "hold", "p2", "Watch").
			del("p1", "v1-a").observe().
			miss("g1", "p1", "v2-a").hit("g2", "p2", 1, "v1-a").fault("end", "hold", "p2", "Watch").release(),
		asked, "unknown", "no answer of g1 to GetService began after the release", ""},
	{"a hold that ended and nobody asked since, fresh as it looks",
		incident().act().fault("arm", "hold", "p2", "Range").fault("fire", "hold", "p2", "Range").put("p1", "v2-a").
			del("p1", "v1-a").observe().
			miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a").fault("end", "hold", "p2", "Range"),
		asked, "unknown", "began after the end of hold of Range at p2", ""},
	{"a member is cut off",
		incident().act().fault("fire", "cut-peer", "m3", "").put("p1", "v2-a").del("p1", "v1-a").observe().
			miss("g1", "p1", "v2-a").read("g2", "", history.Member, 1, "v1-a"),
		asked, "unknown ghost", "the member that answered lags", ""},
	{"a miss that is not older than truth", deregistered().miss("g1", "p1", "v2-a").
		read("g2", "p2", history.Miss, 3, "v1-a"), asked, "unknown ghost", "contradict each other", ""},
	{"a hit that is not older than truth", deregistered().miss("g1", "p1", "v2-a").hit("g2", "p2", 3, "v1-a"), asked,
		"unknown ghost", "contradict each other", ""},
	{"a hit without a revision", deregistered().miss("g1", "p1", "v2-a").hit("g2", "p2", 0, "v1-a"), asked,
		"unknown ghost", "does not say its entry's revision", ""},
	{"no provenance", deregistered().miss("g1", "p1", "v2-a").read("g2", "", "", 0, "v1-a"), asked, "unknown ghost",
		"the answer has no provenance", ""},
	{"asked for less long than the topology takes to heal", deregistered().miss("g1", "p1", "v2-a").
		hit("g2", "p2", 1, "v1-a"),
		but(func(q *verdict.Question) { q.HealsWithin = time.Second }), "unknown ghost",
		"the topology may take 1s to heal", ""},
	{"go-micro's copy is from before the change and its TTL may yet run out",
		goMicro(deregistered().miss("g1", "p1", "v2-a").client("g2", "v1-a")), but(users), "unknown ghost",
		"filled (miss at p2, revision 1) before the change was acknowledged, and will read again", ""},
	{"go-micro's copy came from nowhere",
		goMicro((&story{}).put("p1", "v1-a").client("g1", "v1-a").client("g2", "v1-a").act().del("p1", "v1-a").
			observe().miss("g1", "p1").client("g2", "v1-a")), but(users), "unknown ghost",
		"no read shows how", ""},
	{"go-micro was told truth, of instances, and answers otherwise",
		goMicro(deregistered().miss("g1", "p1", "v2-a").miss("g2", "p2", "v1-a")), but(users), "unknown ghost",
		"yet it answers otherwise", ""},
	{"who is denied was answered, but by etcd itself",
		(&story{}).put("p1", "v1-a").miss("g1", "p1", "v1-a").fails("g2", "p1", refusal).act().observe().
			hit("g1", "p1", 1, "v1-a").miss("g2", "p1", "v1-a"),
		but(func(q *verdict.Question) { q.Denied, q.Unchanged = []string{"g2"}, true }), "unknown leak",
		"it is truth that does not deny it", ""},
	{"Register returned nil, nothing is there, and nobody lied to it",
		incident().act().del("p1", "v1-a").observe().miss("g1", "p1").miss("g2", "p2"),
		but(func(q *verdict.Question) { q.Registered = []string{"v1-a"} }), "unknown hidden", "missing from etcd too",
		""},
	{"the fault that it is about does not show",
		deregistered().miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a"),
		but(func(q *verdict.Question) { q.Proofs = []verdict.Proof{{Write: "compact", At: "p1"}} }), "unknown",
		"the fault does not show: there was to be a compact that passed p1", ""},
	{"a request that went to another service and nothing since",
		deregistered().miss("g1", "p1", "v2-a").miss("g2", "p2", "v2-a").called("g2", "billing", "b-1").
			miss("g2", "p2", "v2-a"),
		asked, "unknown ghost", "do not tell where that address came from", ""},
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range trials {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := verdict.Judge(c.story.events, c.question)
			require.Equal(t, c.want, v.Label(), "%s", v.Why)
			require.Contains(t, v.Why, c.why)
			require.Contains(t, v.HealedBy, c.healed)
			require.NotContains(t, v.String(), "%!", "a sentence is badly formatted")
			if v.Outcome == verdict.Heals {
				require.Positive(t, v.After)
				require.NotEmpty(t, v.HealedBy)
				require.NotContains(t, v.HealedBy, "does not show")
			}
			if v.Outcome != verdict.Unknown {
				require.NotEmpty(t, v.Evidence)
				for _, e := range v.Evidence {
					require.NotEmpty(t, e.Events)
					for _, seq := range e.Events {
						require.Equal(t, seq, c.story.events[seq-1].Seq)
					}
				}
			}
		})
	}
}

func TestHealsAfter(t *testing.T) {
	t.Parallel()
	s := deregistered()
	acknowledged := s.now
	s.hit("g1", "p1", 1, "v1-a").hit("g2", "p2", 1, "v1-a").miss("g2", "p2", "v2-a").wait(40*time.Millisecond).
		miss("g1", "p1", "v2-a")
	v := verdict.Judge(s.events, asked)
	require.Equal(t, "heals ghost", v.Label())
	require.Equal(t, s.now-acknowledged, v.After, "the last gateway to agree counts")
	require.Contains(t, v.Why, "g1 was answered", "and it is the one the sentence tells of")
	require.Len(t, v.Evidence, 2)
}

func TestEvidence(t *testing.T) {
	t.Parallel()
	s := deregistered().miss("g1", "p1", "v2-a").ranged("p2", "g2", history.Hit, true, 1, prefix, "v1-a").
		hit("g2", "p2", 1, "v1-a").
		recorded()
	v := verdict.Judge(s.events, asked)
	require.Equal(t, []verdict.Evidence{{Gateway: "g2", Proxy: "p2", Source: history.Hit, Service: "hello",
		Revision: 1, Truth: 3,
		Ghosts: []string{"v1-a"}, Hidden: []string{"v2-a"}, Events: []int{s.events[len(s.events)-1].Seq,
			s.events[len(s.events)-2].Seq}}}, v.Evidence)
}

func TestCompare(t *testing.T) {
	t.Parallel()
	s := deregistered().
		ranged("p2", "g2", history.Hit, true, 1, prefix, "v1-a").
		ranged("p2", "g2", history.Miss, false, 3, prefix, "v2-a").
		ranged("p2", "g2", history.Miss, true, 3, prefix+"hello-v1-a").
		ranged("p2", "g2", history.Hit, true, 1, prefix+"hello-v1-a", "v1-a").
		ranged("p2", "g2", history.Miss, true, 3, "/micro/registry/other/").
		hit("g2", "p2", 1, "v1-a").
		fails("g2", "p2", "unavailable").
		called("g2", "billing", "b-1")
	got := verdict.Compare(s.events, verdict.Question{Service: "hello"})
	n := len(s.events)
	at := func(back int) verdict.Answer { return got[s.events[n-back].Seq] }
	require.Equal(t, verdict.Answer{Wrong: true, Symptom: verdict.Ghost, Ghosts: []string{"v1-a"},
		Hidden: []string{"v2-a"}, Truth: 3}, at(8))
	require.Equal(t, verdict.Answer{Right: true, Truth: 3}, at(7))
	require.True(t, at(6).Right, "the key is gone and the answer says so")
	require.Equal(t, []string{"v1-a"}, at(5).Ghosts)
	require.NotContains(t, got, s.events[n-4].Seq, "another service's range says nothing")
	require.True(t, at(3).Wrong)
	require.Equal(t, verdict.Answer{}, at(2), "an error is no answer")
	require.Equal(t, []string{"b-1"}, at(1).Ghosts)
}

func TestTruths(t *testing.T) {
	t.Parallel()
	s := deregistered().truth("v2-a")
	truths, err := verdict.Truths(s.events, "hello")
	require.NoError(t, err)
	var revisions []int64
	for _, tr := range truths {
		revisions = append(revisions, tr.Revision)
	}
	require.Equal(t, []int64{0, 1, 2, 3}, revisions, "nothing, v1-a, both, v2-a; reading it again changes nothing")
	require.Equal(t, endpoints([]string{"v1-a", "v2-a"}), truths[2].Endpoints)
	require.Equal(t, time.Millisecond, truths[1].From)

	_, err = verdict.Truths(deregistered().truth("v1-a").events, "hello")
	require.ErrorContains(t, err, "names v1-a")
}
