// Package sample makes up a run of the matrix: rows, columns and histories of the size and kind that a real one has, the same each
// time. The report's tests and the browser's look at it. Its verdicts are the judge's, on histories that never happened.
package sample

import (
	"fmt"
	"slices"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/report"
	"ghostroute/harness/verdict"
)

// Evil is a name that an instance could choose: it must come out of every writer as text.
const Evil = `v1-<img src=x onerror=alert(1)>'"&`

// scenarios are name, theme, title, where it was seen.
var scenarios = [][4]string{
	{"deregister-other-proxy", "Deregistration", "Deregister through another proxy", "the incident; etcd issues 10909, 14665"},
	{"deregister-same-proxy", "Deregistration", "Deregister through the same proxy", "control"},
	{"direct-delete", "Deregistration", "Delete made directly on a member", "etcd issue 14665"},
	{"txn-delete", "Deregistration", "A transaction that deletes", ""},
	{"rollout", "Deregistration", "Rollout: v2 comes, v1 goes", "the incident"},
	{"crash", "Leases", "An instance crashes and its lease expires", ""},
	{"revoke-same-proxy", "Leases", "Lease revoked through the same proxy", ""},
	{"scale-up", "Registration", "A second instance registers", ""},
	{"first-registration", "Registration", "First registration after an empty read", ""},
	{"restart-same-id", "Registration", "Restart with the same id through a stale proxy", "go-micro registry/etcd registerNode"},
	{"reused-address", "Registration", "Another service reuses the address", ""},
	{"write-held", "Races", "A read passes while the write is held", "PR 21870"},
	{"range-held", "Races", "A Range answer is held while a delete passes", ""},
	{"range-held-linearizable", "Races", "The same with a linearizable reader", ""},
	{"watch-held", "Races", "The watch is held while instances deregister", ""},
	{"lagging-member", "Members and proxies", "A lagging member is read and cached", ""},
	{"proxy-cut-off", "Members and proxies", "Proxy cut off from etcd, then back", ""},
	{"member-restart", "Members and proxies", "A member is killed and restarted", ""},
	{"leader-moved", "Members and proxies", "The leader moves", ""},
	{"proxy-restart", "Members and proxies", "The proxy restarts", ""},
	{"drain", "Members and proxies", "The balancer drains one proxy", ""},
	{"compaction", "Cache keys", "Compaction through another proxy", ""},
	{"read-from-key", "Cache keys", "A read from a key on", "etcd issue 22397"},
	{"lru", "Cache keys", "More ranges than the cache holds", ""},
	{"list-and-get", "Cache keys", "ListServices against GetService", ""},
	{"half-fixed", "Fleets", "One gateway linearizable, two not", "the incident"},
	{"ttl-resurrection", "Fleets", "go-micro’s cache forgets, and reads the ghost again", ""},
	{"auth-other", "Identity", "Another identity reads what was cached", "etcd issue 22065"},
}

// fixes are name, title, source, claim, what it gives up.
var fixes = [][5]string{
	{"none", "No fix", "go-micro v2.9.1 and etcd as shipped", "", ""},
	{"get-linearizable", "GetService linearizable", "the incident’s first cure", "GetService asks etcd each time.", "Every GetService goes to the leader."},
	{"all-linearizable", "Every registry read linearizable", "", "No registry read is served from a cache.", "Every read goes to the leader."},
	{"one-proxy", "One proxy, by weights", "the incident’s last cure", "Every write passes the one cache that is read.", "The proxy is a single point of failure."},
	{"one-proxy-drained", "One proxy, by weights, others drained", "", "As above, and old connections leave too.", "The proxy is a single point of failure."},
	{"no-proxy", "No proxy", "", "Nothing caches between client and etcd.", "Clients know the members."},
	{"l4-gateway", "etcd’s L4 gateway", "server/v3/proxy/tcpproxy", "A proxy that caches nothing.", "No coalescing of watches and leases."},
	{"ordering", "--experimental-serializable-ordering", "etcd", "A read never goes back in time.", ""},
	{"leasing", "--experimental-leasing-prefix", "etcd", "Keys are leased, so that caches are told.", "Writes wait for lease holders."},
	{"affinity", "Source-affinity balancing", "", "A client stays with its proxy.", "Load is uneven."},
	{"deregister-everywhere", "Deregister through every proxy", "", "Every cache sees the delete.", "Clients know the proxies."},
	{"restart-proxies", "Restart the proxies", "", "An empty cache has no ghosts.", "Connections break."},
	{"scrubber", "A scrubber reads linearizably", "", "Every entry is read afresh each interval.", "Ranges for all proxies, for ever."},
	{"retry", "Retry another instance on dial error", "", "The user does not see the ghost.", "A request takes longer."},
	{"upgrade", "Upgrade serializable to linearizable", "variant", "The proxy asks etcd each time.", "The cache."},
	{"cache-off", "Cache off", "PR 15254", "The proxy does not cache.", "The cache."},
	{"ttl", "Entries with a TTL", "PR 14478", "No entry outlives its TTL.", ""},
	{"invalidate-after", "Invalidate after the write", "PR 21870", "No read slips in before the write.", ""},
	{"by-identity", "Cache key scoped by identity", "PR 22112", "Nobody reads what another was answered.", "One entry for each identity."},
	{"watching", "Invalidate by watch", "issue 14665", "Every cache hears of every write.", "A watch for each proxy."},
}

// Run is the made-up run: all of it, or only the scenarios and fixes that are named.
func Run(only ...string) report.Run {
	left := func(name string) bool { return len(only) > 0 && !slices.Contains(only, name) }
	run := report.Run{Schema: report.Schema, Title: "Every scenario against every fix", Etcd: "v3.7.3", GoMicro: "v2.9.1", Go: "go1.26.8", Took: 132400 * time.Millisecond}
	for _, s := range scenarios {
		if left(s[0]) {
			continue
		}
		run.Scenarios = append(run.Scenarios, report.Scenario{Name: s[0], Theme: s[1], Title: s[2], Seen: s[3],
			Text: "Made up for the tests of the report: " + s[2] + ", and every gateway reads until it agrees with truth or patience ends."})
	}
	for i, f := range fixes {
		if left(f[0]) {
			continue
		}
		fix := report.Fix{Name: f[0], Title: f[1], Source: f[2], Claims: f[3], GivesUp: f[4]}
		if f[0] != "retry" { // one that was not measured
			fix.Costs = costs(i, f[0])
		}
		run.Fixes = append(run.Fixes, fix)
	}
	for i, s := range scenarios {
		for j, f := range fixes {
			if left(s[0]) || left(f[0]) {
				continue
			}
			c := report.Cell{Scenario: s[0], Fix: f[0], Replay: fmt.Sprintf("go test ./scenarios -run 'TestMatrix/%s/%s'", s[0], f[0])}
			switch {
			case s[0] == "leader-moved" && f[0] == "half-fixed", s[0] == "proxy-restart" && f[0] == "no-proxy", s[0] == "drain" && f[0] == "no-proxy":
				c.NA = "there is no proxy to " + map[string]string{"proxy-restart": "restart", "drain": "drain"}[s[0]]
			case s[0] == "reused-address" && f[0] == "leasing":
				continue // one that was not run
			default:
				c.Readings = []report.Reading{reading(report.EachRequest, s[0], f[0], i, j), reading(report.GoMicro, s[0], f[0], i, j)}
			}
			run.Cells = append(run.Cells, c)
		}
	}
	return run
}

func costs(i int, fix string) *report.Costs {
	us := time.Duration(60 + 7*i)
	c := &report.Costs{ReadP50: us * time.Microsecond, ReadP99: us * 6 * time.Microsecond, RangesPer1000: 2.5 * float64(i%4), MembersHidden: true,
		ProxyDeath: report.ProxyDeath{Errors: 2 + i%3, Requests: 200, Recovery: time.Duration(12+i) * time.Millisecond}}
	switch fix {
	case "get-linearizable", "all-linearizable", "upgrade", "cache-off", "l4-gateway":
		c.RangesPer1000, c.ReadP50, c.ReadP99 = 1000, 310*time.Microsecond, 1900*time.Microsecond
	case "no-proxy":
		c.RangesPer1000, c.MembersHidden, c.ProxyDeath = 1000, false, report.ProxyDeath{}
		c.Note = "A member was removed and its clients had to be told."
	case "one-proxy":
		c.ProxyDeath = report.ProxyDeath{Errors: 200, Requests: 200, Recovery: -1}
	}
	return c
}

// kind decides, for no reason but the look of it, how a cell comes out.
func kind(scenario, fix string, i, j int, reading string) string {
	users := reading == report.GoMicro
	switch fix {
	case "all-linearizable", "no-proxy", "cache-off", "upgrade", "l4-gateway":
		if scenario == "lagging-member" && fix == "no-proxy" {
			return "unknown"
		}
		if users && (i*7+j)%9 == 0 {
			return "heals"
		}
		return "fresh"
	case "watching", "scrubber", "ttl":
		if users && (i+j)%4 == 0 {
			return "copy"
		}
		return "heals"
	}
	switch {
	case scenario == "deregister-same-proxy" || scenario == "leader-moved" || scenario == "compaction":
		return "fresh"
	case scenario == "auth-other" && fix != "by-identity":
		return "leak"
	case scenario == "scale-up" || scenario == "first-registration" || scenario == "restart-same-id":
		return "hidden"
	case fix == "none" && i == 0:
		return map[bool]string{false: "stale", true: "copy"}[users]
	case fix == "none":
		return "stale"
	case (i*5+j*3)%11 < 4 && users:
		return "heals"
	case (i*5+j*3)%11 < 2:
		return "fresh"
	case (i*13+j)%37 == 5:
		return "unknown"
	}
	return "stale"
}

func reading(name, scenario, fix string, i, j int) report.Reading {
	k := kind(scenario, fix, i, j, name)
	q := verdict.Question{Service: "hello", Gateways: []string{"g1", "g2", "g3"}, Reading: name}
	s := &story{reading: name, n: i*41 + j}
	s.arrange()
	play(s, k, &q, i == 0 && j == 0)
	r := report.Reading{Name: name, Question: q, Events: s.events}
	r.Verdict = verdict.Judge(r.Events, q)
	r.Expected = r.Verdict.Label()
	if scenario == "crash" && fix == "ttl" && name == report.GoMicro || scenario == "rollout" && fix == "affinity" {
		r.Expected = "fresh"
	}
	return r
}

// play is what happens after arrange.
func play(s *story, kind string, q *verdict.Question, evil bool) {
	old := s.rev
	all := func(rounds int, read func(g, p string)) {
		for range rounds {
			for i := 1; i <= 3; i++ {
				read(fmt.Sprint("g", i), fmt.Sprint("p", i))
			}
		}
	}
	fresh := func(g, p string) {
		s.read(g, p, history.Hit, s.rev, "v2-a", "v2-b")
		s.call(g, "v2-a", true)
	}
	ghost := func(g, p string) {
		if p == "p1" {
			fresh(g, p)
			return
		}
		s.read(g, p, history.Hit, old, "v1-a", "v1-b")
		s.call(g, "v1-a", false)
	}
	s.step(history.PhaseAct, "v2 registers and v1 leaves, all through p1")
	if kind == "heals" || kind == "unknown" {
		s.fault("arm", "hold", "p2", "Watch")
	}
	s.write("p1", "put", "v2-a")
	if kind == "hidden" {
		s.truth("v1-a", "v1-b", "v2-a")
		s.step(history.PhaseObserve, "r7 is acknowledged")
		s.read("g1", "p1", history.Miss, s.rev, "v1-a", "v1-b", "v2-a")
		s.call("g1", "v2-a", true)
		all(9, func(g, p string) {
			if p == "p1" {
				s.read(g, p, history.Hit, s.rev, "v1-a", "v1-b", "v2-a")
			} else {
				s.read(g, p, history.Hit, old, "v1-a", "v1-b")
			}
			s.call(g, "v1-a", true)
		})
		s.step(history.PhaseEnd, "patience is over")
		return
	}
	s.write("p1", "put", "v2-b")
	s.write("p1", "delete", "v1-a")
	s.write("p1", "delete", "v1-b")
	if kind == "heals" {
		s.fault("fire", "hold", "p2", "Watch")
	}
	s.truth("v2-a", "v2-b")
	s.step(history.PhaseObserve, "r10 is acknowledged")
	s.read("g1", "p1", history.Miss, s.rev, "v2-a", "v2-b")
	switch kind {
	case "fresh":
		s.read("g2", "p2", history.Miss, s.rev, "v2-a", "v2-b")
		s.read("g3", "p3", history.Miss, s.rev, "v2-a", "v2-b")
		all(6, fresh)
	case "heals":
		all(5, ghost)
		s.step(history.PhaseRelease, "what was held is let go")
		s.fault("end", "hold", "p2", "Watch")
		s.read("g2", "p2", history.Miss, s.rev, "v2-a", "v2-b")
		s.call("g2", "v2-b", true)
		s.now += 30 * time.Millisecond
		s.read("g3", "p3", history.Miss, s.rev, "v2-a", "v2-b")
		all(3, fresh)
	case "copy": // go-micro's cache follows the watch, and reads the ghost when its TTL is over
		client := func(g, _ string) { s.read(g, "", history.ClientCache, 0, "v2-a", "v2-b"); s.call(g, "v2-a", true) }
		all(4, client)
		s.now += 400 * time.Millisecond
		all(1, ghost)
		all(6, func(g, p string) {
			if p == "p1" {
				client(g, p)
				return
			}
			s.read(g, "", history.ClientCache, 0, "v1-a", "v1-b")
			s.call(g, "v1-b", false)
		})
	case "leak":
		q.Denied = []string{"g3"}
		for i := range s.events {
			if r := s.events[i].Resolve; r != nil && s.events[i].Who == "g3" {
				refused := *r
				refused.Source, refused.Revision, refused.Endpoints, refused.Err = "", 0, nil, "etcdserver: permission denied"
				s.events[i].Resolve = &refused
			}
		}
		s.read("g2", "p2", history.Miss, s.rev, "v2-a", "v2-b")
		all(5, fresh)
	case "unknown":
		all(4, ghost) // and the hold never fired
	default:
		all(10, ghost)
	}
	if evil {
		s.add(0, history.Event{Who: "g2", Request: &history.Request{Began: s.now, Service: "hello", Status: 502, Target: Evil, Dialled: "127.0.0.1:1",
			Log: "http: proxy error: </script><script>alert(1)</script>"}})
		s.add(time.Millisecond, history.Event{Who: "g2", Resolve: &history.Resolve{Began: s.now, Service: "hello", Mode: "serializable", Reading: s.reading, Via: "p2",
			Source: history.Hit, Revision: old, Endpoints: []history.Endpoint{{ID: Evil, Version: "v1", Address: "127.0.0.1:1"}}}})
	}
	s.step(history.PhaseEnd, "patience is over")
}
