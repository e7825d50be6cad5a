//go:build real

package balancer_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/balancer"
)

var update = flag.Bool("update", false, "write the table of README.md anew")

// asked is a balancer that is asked what it does.
type asked struct {
	*testing.T
	*balancer.Balancer
	behind []*proxy
	old    []*given
}

// next are the proxies of so many new connections of a client, which live on.
func (a *asked) next(client string, n int) string {
	var went []string
	for range n {
		conn := connect(a, a.Balancer, client)
		require.NotNil(a, conn)
		a.Cleanup(func() { _ = conn.Close() })
		a.old = append(a.old, conn)
		went = append(went, conn.proxy)
	}
	return strings.Join(went, " ")
}

// whoWas says what became of the connections so far.
func (a *asked) whoWas() string {
	for _, conn := range a.old {
		alive(a, conn)
	}
	return "stays"
}

func (a *asked) weights(w ...int) {
	change := map[string]int{}
	for i, weight := range w {
		change[fmt.Sprintf("p%d", i+1)] = weight
	}
	require.NoError(a, a.SetWeights(change))
}

// each gives each proxy weight 0 for a while, in a way that is to be seen, and returns who comes then.
func (a *asked) each(weights func(...int)) string {
	weights(1, 1, 1)
	for _, alone := range []struct {
		before, came int
		weights      []int
	}{{7, 2, []int{0, 0, 1}}, {4, 2, []int{1, 0, 0}}, {4, 1, []int{0, 1, 0}}} {
		a.next("g1", alone.before)
		weights(alone.weights...)
		a.next("g1", alone.came)
		weights(1, 1, 1)
	}
	return a.next("g1", 8)
}

// questions are what balancers are asked, each at its start, with weights of 1 where nothing else is said.
var questions = []struct {
	what    string
	weights []int
	sticky  bool
	alone   bool // it can be asked of HAProxy only
	ask     func(a *asked) string
}{
	{what: "new connections go to", ask: func(a *asked) string { return a.next("g1", 6) }},
	{what: "with weights 4, 3, 2", weights: []int{4, 3, 2}, ask: func(a *asked) string { return a.next("g1", 9) }},
	{what: "weights become 1, 0, 0: who is connected", ask: func(a *asked) string {
		a.next("g1", 3)
		a.weights(1, 0, 0)
		return a.whoWas()
	}},
	{what: "who comes then goes to", ask: func(a *asked) string {
		a.next("g1", 3)
		a.weights(1, 0, 0)
		return a.next("g1", 2)
	}},
	{what: "weights are 1, 0, 0 and 1, 1, 1 again: who is connected", ask: func(a *asked) string {
		a.weights(1, 0, 0)
		a.next("g1", 3)
		a.weights(1, 1, 1)
		return a.whoWas()
	}},
	{what: "who comes then goes to", ask: func(a *asked) string {
		a.next("g1", 2)
		a.weights(0, 1, 0)
		a.next("g1", 2)
		a.weights(1, 1, 1)
		return a.next("g1", 4)
	}},
	{what: "p1 is drained: who is connected there", ask: func(a *asked) string {
		a.next("g1", 1)
		n, err := a.Drain("p1")
		require.NoError(a, err)
		require.Equal(a, 1, n)
		requireEnded(a, a.old[0])
		return "is reset, or told that it is over"
	}},
	{what: "p2 is dead: who comes goes to", ask: func(a *asked) string {
		a.behind[1].stop()
		return a.next("g1", 4)
	}},
	{what: "sticky: a client's connections go to", sticky: true, ask: func(a *asked) string { return a.next("g1", 3) }},
	{what: "another client's to", sticky: true, ask: func(a *asked) string {
		a.next("g1", 3)
		return a.next("g2", 3)
	}},
	{what: "its proxy has weight 0: they go to", sticky: true, ask: func(a *asked) string {
		a.next("g1", 1)
		a.weights(0, 1, 1)
		return a.next("g1", 3)
	}},
	{what: "the same, and `clear table` was forgotten", sticky: true, alone: true, ask: func(a *asked) string {
		a.next("g1", 1)
		require.NoError(a, a.Tell("set weight px/p1 0"))
		return a.next("g1", 3)
	}},
	{what: "`set server px/p1 state maint`: who is connected", alone: true, ask: func(a *asked) string {
		a.next("g1", 3)
		require.NoError(a, a.Tell("set server px/p1 state maint"))
		return a.whoWas()
	}},
	{what: "who comes then goes to", alone: true, ask: func(a *asked) string {
		a.next("g1", 3)
		require.NoError(a, a.Tell("set server px/p1 state maint"))
		return a.next("g1", 4)
	}},
	{what: "each had weight 0 for a while: who comes then goes to", ask: func(a *asked) string {
		return a.each(a.weights)
	}},
	{what: "weights are set to what they are, now and then: who comes goes to", ask: func(a *asked) string {
		for _, before := range []int{2, 9, 5} {
			a.next("g1", before)
			a.weights(1, 1, 1)
		}
		return a.next("g1", 4)
	}},
	{what: "each had weight 0, by `set weight px/p1 1` and no more", alone: true, ask: func(a *asked) string {
		return a.each(func(w ...int) {
			for i, weight := range w {
				require.NoError(a, a.Tell(fmt.Sprintf("set weight px/p%d %d", i+1, weight)))
			}
		})
	}},
}

// TestTheTable asks both balancers, and compares what they do with the table of README.md, which -update writes anew.
func TestTheTable(t *testing.T) {
	t.Parallel()
	table := "| | our own | HAProxy |\n|---|---|---|\n"
	for _, q := range questions {
		if q.weights == nil {
			q.weights = []int{1, 1, 1}
		}
		ours := "–"
		if !q.alone {
			b, _, behind := begin(t, q.weights...)
			require.NoError(t, b.SetSticky(q.sticky))
			ours = q.ask(&asked{T: t, Balancer: b, behind: behind})
		}
		b, _, behind := haproxy(t, q.sticky, q.weights...)
		table += fmt.Sprintf("| %s | %s | %s |\n", q.what, ours, q.ask(&asked{T: t, Balancer: b, behind: behind}))
	}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(readme), "| | our own |")
	require.True(t, found)
	_, after, _ := strings.Cut(rest, "\n\n")
	want := before + table + "\n" + after
	if *update {
		require.NoError(t, os.WriteFile("README.md", []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(readme), "go test -tags real ./harness/balancer -run TestTheTable -update writes it")
}
