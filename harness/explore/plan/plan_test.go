package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// plans draws plans for property tests; rapid makes them small and shrinks them.
func plans(c Config) *rapid.Generator[Plan] {
	c = c.filled()
	return rapid.Custom(func(t *rapid.T) Plan {
		step := rapid.Custom(func(t *rapid.T) Step {
			return newGenerator(c, func(least, most int) int { return rapid.IntRange(least, most).Draw(t, "n") }).step()
		})
		return newGenerator(c, nil).plan(rapid.SliceOfN(step, 1, c.Steps).Draw(t, "steps"))
	})
}

func TestEveryPlanIsReadBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := plans(Config{Auth: true, Watches: rapid.Bool().Draw(t, "watches")}).Draw(t, "plan")
		for _, text := range []string{p.Format(), p.Line()} {
			again, err := Parse(text)
			require.NoError(t, err, text)
			require.Equal(t, p, again, text)
		}
		require.Equal(t, p, p.Repair(), "a random plan makes sense as it is")
	})
}

func TestPlansAreDrawnFromTheWholeVocabulary(t *testing.T) {
	t.Parallel()
	seen := map[Verb]bool{}
	for seed := range uint64(1000) {
		// With auth on no instance registers, without it no token expires.
		c := Config{Auth: seed%2 == 0, Watches: seed%4 >= 2}
		p := Random(c, seed)
		require.Equal(t, p, Random(c, seed), "a seed means one plan")
		for _, s := range p.Steps {
			seen[s.Verb] = true
		}
	}
	for _, v := range Verbs() {
		if v != Flood {
			require.True(t, seen[v], "%s is never drawn", v)
		}
	}
}

// What clients hold open is in plans that are asked for with watches, and in no others: those mean what they meant.
func TestWatchesAreInPlansOfTheirOwn(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		for _, watches := range []bool{false, true} {
			p := Random(Config{Auth: seed%2 == 0, Watches: watches}, seed)
			holds := slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Verb.Class() == Open })
			registers := slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Verb.Class() == Registry })
			require.Equal(t, watches, holds, "seed %d", seed)
			require.False(t, watches && registers, "seed %d", seed)
		}
	}
	p := Random(Config{}, 7)
	require.Equal(t, "delete g2 p2 k2..", p.Steps[0].String(), "a seed means what it meant")
	require.Equal(t, "cut g2-vip", p.Steps[len(p.Steps)-1].String())
}

func TestATypoIsAnErrorThatNamesLineAndNearestWord(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"reed g1 p1 k1": `line 1: "reed" is nothing a step can do (did you mean "read"?)`,
		"put g1 p1 k1\n2. read g1 p1 k1 lineariz": `line 2: read cannot take "lineariz" (did you mean "linearizable"?)`,
		"\n\nread g1 x1 k1":                       `line 3: read: "x1" is no endpoint: say p1, m1 or vip`,
		"put g1 p1 k*":                            `line 1: put: "k*" is more than one key`,
		"read g1 p1":                              `line 1: read: the keys is missing`,
		"read g1 p9 k1":                           `line 1: step 1: there is no p9: the plan has 2 proxies`,
		"txn g1 p1 if k1 absnt then put k1":       `line 1: txn: "absnt" compares nothing (did you mean "absent"?)`,
		"txn g1 p1 then put k1 ; reda k2": `line 1: txn: "reda" is nothing a transaction can do ` +
			`(did you mean "read"?)`,
		"txn g1 p1 then put k1 esle put k2": `line 1: put cannot take "esle"`,
		"put g1 m1 k1 hold=request:h1":      `line 1: step 1: an RPC can be held between a proxy and its member only`,
		"plan seed=1 membres=3": `line 1: "membres=3" is no part of a plan's header ` +
			`(did you mean "members="?)`,
		"plan seed=1 members=2\nread g1 p1 k1": `line 1: members=2: a cluster has an odd number of members`,
		"watch g1 vip w1 k1":                   `line 1: watch: "vip" is no node: say p1 or m1`,
		"watch g1 p1 h1 k1":                    `line 1: watch: "h1" is no watch: say w1`,
		"watch g1 p1 w1 k1 leadr":              `line 1: watch cannot take "leadr" (did you mean "leader"?)`,
		"weights 1":                            `line 1: step 1: 1 weights for 2 proxies`,
		"read g1 p1 k1 sort=mod":               `line 1: read: "mod" is no order`,
		"txn g1 p1 then ( then ( then ( then ( then put k1 ) ) ) )": `line 1: a transaction lies more than 3 deep`,
	} {
		_, err := Parse(text)
		require.Error(t, err, text)
		require.True(t, strings.HasPrefix(err.Error(), want), "%s\n got %s\nwant %s", text, err, want)
	}
}

func TestBoundsAreThoseOfEtcd(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string][2]string{
		"k1":     {"k1", ""},
		"k1..k3": {"k1", "k3"},
		"k1..":   {"k1", "\x00"},
		"..":     {"\x00", "\x00"},
		"*":      {"\x00", "\x00"},
		"k*":     {"k", "l"},
		"s1/a":   {"/micro/registry/s1/a", ""},
		"s1/*":   {"/micro/registry/s1/", "/micro/registry/s10"},
		"/*":     {"/micro/registry/", "/micro/registry0"},
	} {
		key, end, err := Bounds(keys)
		require.NoError(t, err)
		require.Equal(t, want, [2]string{key, end}, keys)
		if keys != "*" {
			require.Equal(t, keys, BoundsText(key, end))
		}
	}
}

func TestShrinkingLeavesWhatMatters(t *testing.T) {
	t.Parallel()
	has := func(p Plan, v Verb) bool {
		return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Verb == v })
	}
	for seed := range uint64(200) {
		p := Random(Config{Auth: true}, seed)
		// It fails if a read comes before a put, both of the same client.
		fails := func(p Plan) bool {
			_, err := Parse(p.Format())
			require.NoError(t, err, "a candidate is a plan:\n%s", p)
			require.Equal(t, p, p.Repair(), "a candidate makes sense")
			for i, s := range p.Steps {
				if s.Verb == Read && has(p.With(p.Steps[i:]), Put) {
					return true
				}
			}
			return false
		}
		if !fails(p) {
			continue
		}
		small := Shrink(p, 0, fails)
		require.Len(t, small.Steps, 2, small)
		require.Contains(t, []string{"read g1 p1 k1", "read g1 m1 k1"}, small.Steps[0].String())
		require.Equal(t, seed, small.Seed)
	}
}

// TestAPlanForProcessesTakesNoMemberFromAHeldCall: what is held is on a connection there.
func TestAPlanForProcessesTakesNoMemberFromAHeldCall(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"narrow p1 m2 | reboot m1 | put g1 p1 k1 hold=request:h1 | narrow p1 m1 | reboot m1 | reboot p2 | cut p1-m1 | " +
			"cut g1-vip | blackhole p2-m1 | release h1 | cut p1-m1": //
		"narrow p1 m2 | reboot m1 | put g1 p1 k1 hold=request:h1 | reboot p2 | cut g1-vip | release h1 | cut p1-m1",
		"cut p2-m1 | put g1 p1 k1 hold=answer:h1 | release h1 | mend p2-m1 | put g1 p1 k1 hold=answer:h1 | reboot p1 | " +
			"narrow p1 m1": "cut p2-m1 | put g1 p1 k1 | mend p2-m1 | put g1 p1 k1 hold=answer:h1 | reboot p1 | narrow p1 m1",
	} {
		const head = "plan members=3 proxies=2 clients=2 | "
		p, err := Parse(head + text)
		require.NoError(t, err)
		want, err := Parse(head + want)
		require.NoError(t, err)
		require.Equal(t, want, p.Bound())
	}
}
