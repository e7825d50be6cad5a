package proxy

import patched "ghostroute/harness/grpcproxy"

// Cured lists stock with one thing cured in its watch and lease server each, see package grpcproxy. What it keeps of
// answers is not touched, so they are no fixes of the incident, and Variants lacks them.
func Cured() []Variant {
	cured := func(name, claim, source string, c patched.Cures) Variant {
		return Variant{Name: name, Source: source, Claim: claim, Cures: c}
	}
	return []Variant{
		cured("require-leader", "the wish for a leader is looked for in the incoming metadata",
			"ours: a word in two lines", patched.Cures{RequireLeader: true}),
		cured("per-identity", "one upstream watch stream for each token", "etcd PR 19033, simply done",
			patched.Cures{PerIdentity: true}),
		cured("told", "why an upstream watch ended is passed on, and nobody joins one that has", "etcd PRs 21814, 10650",
			patched.Cures{Told: true}),
		cured("reached", "a Created names the revision that is reached", "ours: two lines",
			patched.Cures{Reached: true}),
		cured("slow", "the stream of a client that does not keep up ends as unavailable, not as cancelled",
			"ours: three lines", patched.Cures{Slow: true}),
		cured("probe", "a refusal of the leader's probe shows that there is a leader, and it rests a second",
			"ours: five lines", patched.Cures{Probe: true}),
		cured("lease-token", "leases are renewed with their client's token", "ours: thirty lines",
			patched.Cures{LeaseToken: true}),
	}
}
