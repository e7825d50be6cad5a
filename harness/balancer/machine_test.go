package balancer_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"ghostroute/harness/balancer"
	"ghostroute/harness/history"
)

// TestAgainstLVS runs random connections, weights, drains, stops and starts, and checks each connection against the
// kernel's own way to choose (ip_vs_wrr_schedule: a pointer and a current weight, where ours writes the cycle out).
// After each step every connection that nobody closed must still be answered, by the proxy it was given to.
func TestAgainstLVS(t *testing.T) {
	t.Parallel()
	behind, end := proxies(t, 3)
	t.Cleanup(end)
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, behind)
		defer m.close(t)
		t.Repeat(map[string]func(*rapid.T){
			"":        m.check,
			"connect": m.connect,
			"hang up": m.hangUp,
			"weights": m.setWeights,
			"drain":   m.drain,
			"stop":    m.stop,
			"start":   m.start,
			"sticky":  m.setSticky,
		})
	})
}

var clients = []string{"g1", "g2", "v1-a"}

// machine is a balancer and what it ought to do.
type machine struct {
	balancer *balancer.Balancer
	history  *history.History
	behind   []*proxy

	weights []int
	dead    []bool
	at, cw  int // the kernel's mark: the backend looked at last, the current weight
	sticky  bool
	homes   map[string]int
	open    []*given
}

func newMachine(t *rapid.T, behind []*proxy) *machine {
	m := &machine{history: history.New(), behind: behind, dead: make([]bool, len(behind)), homes: map[string]int{}, at: -1}
	m.weights = rapid.SliceOfN(rapid.IntRange(0, 4), len(behind), len(behind)).Draw(t, "weights")
	var err error
	m.balancer, err = balancer.New(m.history, backends(behind, m.weights...))
	require.NoError(t, err)
	return m
}

func (m *machine) close(t *rapid.T) {
	require.NoError(t, m.balancer.Close())
	for _, g := range m.open {
		_ = g.Close()
	}
	for i, dead := range m.dead {
		if dead {
			m.behind[i].start(t)
		}
	}
}

// wrr is ip_vs_wrr_schedule, which skips who is dead. Somebody must be able to take the connection.
func (m *machine) wrr() int {
	highest := slices.Max(m.weights)
	divisor := highest
	for slices.ContainsFunc(m.weights, func(w int) bool { return w%divisor != 0 }) {
		divisor--
	}
	for {
		m.at = (m.at + 1) % len(m.weights)
		if m.at == 0 {
			if m.cw -= divisor; m.cw <= 0 {
				m.cw = highest
			}
		}
		if w := m.weights[m.at]; w > 0 && w >= m.cw && !m.dead[m.at] {
			return m.at
		}
	}
}

func (m *machine) connect(t *rapid.T) {
	client := rapid.SampledFrom(clients).Draw(t, "client")
	home, settled := m.homes[client]
	takes := func(i int) bool { return m.weights[i] > 0 && !m.dead[i] }
	want := -1
	switch {
	case settled && takes(home):
		want = home
	case takes(0) || takes(1) || takes(2):
		want = m.wrr()
	}
	conn := connect(t, m.balancer, client)
	if want < 0 {
		require.Nil(t, conn, "nobody takes connections")
		return
	}
	require.NotNil(t, conn, "the balancer closed the connection")
	require.Equal(t, m.behind[want].name, conn.proxy)
	if m.sticky {
		m.homes[client] = want
	}
	m.open = append(m.open, conn)
}

func (m *machine) hangUp(t *rapid.T) {
	if len(m.open) == 0 {
		t.Skip("nobody is connected")
	}
	i := rapid.IntRange(0, len(m.open)-1).Draw(t, "which")
	require.NoError(t, m.open[i].Close())
	m.open = slices.Delete(m.open, i, i+1)
	until(t, "the balancer sees who hung up", func() bool { return m.pins() == fmt.Sprint(m.balancer.Pinned()) })
}

func (m *machine) setWeights(t *rapid.T) {
	change := map[string]int{}
	for i, p := range m.behind {
		if rapid.Bool().Draw(t, "change "+p.name) {
			m.weights[i] = rapid.IntRange(0, 4).Draw(t, p.name)
			change[p.name] = m.weights[i]
		}
	}
	require.NoError(t, m.balancer.SetWeights(change))
	m.at, m.cw = -1, 0
}

func (m *machine) drain(t *rapid.T) {
	i := m.which(t)
	n, err := m.balancer.Drain(m.behind[i].name)
	require.NoError(t, err)
	for _, client := range clients {
		vip, err := m.balancer.VIP(client)
		require.NoError(t, err)
		for _, conn := range vip.Conns() {
			require.NotEqual(t, m.behind[i].port.Addr(), conn.Remote, "when Drain returns both sides are closed")
		}
	}
	m.open = slices.DeleteFunc(m.open, func(g *given) bool {
		if g.proxy != m.behind[i].name {
			return false
		}
		n--
		requireReset(t, g)
		_ = g.Close()
		return true
	})
	require.Zero(t, n, "Drain counts what it closes")
}

func (m *machine) stop(t *rapid.T) {
	i := m.which(t)
	m.behind[i].stop()
	m.dead[i] = true
}

func (m *machine) start(t *rapid.T) {
	i := slices.Index(m.dead, true)
	if i < 0 {
		t.Skip("nobody is dead")
	}
	m.behind[i].start(t)
	m.dead[i] = false
}

func (m *machine) setSticky(t *rapid.T) {
	m.sticky = rapid.Bool().Draw(t, "on")
	require.NoError(t, m.balancer.SetSticky(m.sticky))
	if !m.sticky {
		clear(m.homes)
	}
}

func (m *machine) which(t *rapid.T) int {
	return rapid.IntRange(0, len(m.behind)-1).Draw(t, "proxy")
}

// check holds after each step.
func (m *machine) check(t *rapid.T) {
	require.Equal(t, m.pins(), fmt.Sprint(m.balancer.Pinned()))
	for _, g := range m.open {
		alive(t, g)
		require.Equal(t, g.client, m.balancer.ClientOf(g.proxy, g.from))
	}
}

// pins is what Pinned ought to say, as fmt prints it.
func (m *machine) pins() string {
	pins := map[string][]string{}
	for _, g := range m.open {
		pins[g.client] = append(pins[g.client], g.proxy)
	}
	return fmt.Sprint(pins)
}
