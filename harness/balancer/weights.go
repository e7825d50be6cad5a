package balancer

import (
	"fmt"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/link"
)

// MaxWeight is the highest weight. LVS allows 65535; the schedule is written out, so ours is a handier one.
const MaxWeight = 1000

// validWeight says why a backend cannot have a weight.
func validWeight(name string, weight int) error {
	if weight < 0 || weight > MaxWeight {
		return fmt.Errorf("the weight of %s cannot be %d: it may be 0 to %d", name, weight, MaxWeight)
	}
	return nil
}

// weights are the backends' weights in their order.
func (b *Balancer) weights() []int {
	weights := make([]int, len(b.backends))
	for i, backend := range b.backends {
		weights[i] = backend.Weight
	}
	return weights
}

// SetWeights gives the named proxies new weights, the others keep theirs, and begins the schedule again. Connections
// that exist stay where they are. When it returns no new one goes by the old weights. A name or weight that cannot be
// changes nothing.
func (b *Balancer) SetWeights(weights map[string]int) error {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	for name, weight := range weights {
		if _, err := b.backend(name); err != nil {
			return err
		}
		if err := validWeight(name, weight); err != nil {
			return err
		}
	}
	now := make([]string, len(b.backends))
	for i, backend := range b.backends {
		if weight, ok := weights[backend.Name]; ok {
			b.backends[i].Weight = weight
		}
		now[i] = fmt.Sprintf("%s %d", backend.Name, b.backends[i].Weight)
	}
	b.schedule = newSchedule(b.weights())
	b.record(history.Conn{Op: "weights", Detail: strings.Join(now, ", ")})
	return nil
}

// SetSticky turns source affinity on or off. While it is on, a client's first connection goes where the schedule says
// and its further ones to the same proxy, taking no place in the schedule, until that proxy refuses or has weight 0:
// then the schedule gives it another.
func (b *Balancer) SetSticky(on bool) {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	b.sticky = on
	if !on {
		clear(b.homes)
	}
}

// Drain resets the proxy's connections and returns how many there were: when it returns, both their sides are closed.
// It keeps no new ones away; weight 0 does.
func (b *Balancer) Drain(proxy string) (int, error) {
	b.turn <- struct{}{} // so that what the history has as opened before is what is drained
	defer func() { <-b.turn }()
	if _, err := b.backend(proxy); err != nil {
		return 0, err
	}
	drained := b.alive(func(p *pinned) bool { return p.proxy == proxy })
	b.record(history.Conn{Op: "drain", Proxy: proxy, Detail: fmt.Sprintf("connections closed: %d", len(drained))})
	for _, p := range drained {
		b.drop(p)
	}
	return len(drained), nil
}

// drop resets a connection on both sides.
func (b *Balancer) drop(p *pinned) {
	b.mu.Lock()
	vip := b.vips[p.client]
	b.mu.Unlock()
	local, remote := p.LocalAddr().String(), p.RemoteAddr().String()
	if vip == nil || vip.DropIf(func(c link.Conn) bool { return c.Local == local && c.Remote == remote }) == 0 {
		// The link does not have it yet, or no more: it will find it closed.
		_ = p.SetLinger(0)
		_ = p.Close()
	}
}
