// Package balancer is what stood before the grpc-proxies in the incident: a layer-4 balancer that gives each new
// connection to the next backend of a weighted round robin, as LVS does, and never moves a connection it has given.
//
// Each client has a VIP of its own, so that every connection can be attributed; all VIPs share one schedule, so that
// together they see what clients of one address would see. Given the order in which connections come, where each goes
// is determined: see [Balancer.VIP]. What happens is recorded as history.Conn events of "lb".
package balancer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"ghostroute/harness/history"
)

// who is the balancer's name in a history.
const who = "lb"

// Backend is a proxy as the balancer knows it.
type Backend struct {
	Name   string // "p1"
	Addr   string // "127.0.0.1:port"
	Weight int    // its share of new connections, 0 to MaxWeight; 0 takes none
}

// Balancer spreads connections over backends. It is safe for use by many goroutines. New makes one, Close ends it.
type Balancer struct {
	history *history.History

	// turn is held while it changes where connections go: one is placed at a time, so that each gets the schedule's
	// next place even while others come. A channel and not a mutex, so that a link that closes need not wait for its
	// turn.
	turn     chan struct{}
	backends []Backend // names and addresses never change; weights need the turn
	schedule schedule
	placed   int            // how many new connections there were
	sticky   bool           // see SetSticky
	homes    map[string]int // while sticky: client → backend

	mu     sync.Mutex // guards what follows; it is held for no wait
	closed bool
	vips   map[string]*VIP
	live   map[*pinned]struct{}
	whose  map[way]string // a way between the balancer and a backend → the client that has it, or had it last
}

// New returns a balancer before backends, which need not listen yet. It takes connections at the VIPs that it is asked
// for.
func New(h *history.History, backends []Backend) (*Balancer, error) {
	b := &Balancer{
		history:  h,
		turn:     make(chan struct{}, 1),
		backends: slices.Clone(backends),
		homes:    map[string]int{},
		vips:     map[string]*VIP{},
		live:     map[*pinned]struct{}{},
		whose:    map[way]string{},
	}
	seen := map[string]bool{}
	for _, backend := range backends {
		if seen[backend.Name] {
			return nil, fmt.Errorf("the balancer cannot tell its backends apart: two are named %q", backend.Name)
		}
		seen[backend.Name] = true
		if err := validWeight(backend.Name, backend.Weight); err != nil {
			return nil, err
		}
	}
	b.schedule = newSchedule(b.weights())
	return b, nil
}

// Close ends every VIP with its connections and returns when nothing of the balancer runs any more. Closing twice is
// allowed.
func (b *Balancer) Close() error {
	b.mu.Lock()
	b.closed = true
	vips := make([]*VIP, 0, len(b.vips))
	for _, v := range b.vips {
		vips = append(vips, v)
	}
	b.mu.Unlock()
	var errs []error
	for _, v := range vips {
		errs = append(errs, v.Close())
	}
	return errors.Join(errs...)
}

// backend finds a backend by its name.
func (b *Balancer) backend(name string) (int, error) {
	i := slices.IndexFunc(b.backends, func(backend Backend) bool { return backend.Name == name })
	if i < 0 {
		var names []string
		for _, backend := range b.backends {
			names = append(names, backend.Name)
		}
		return 0, fmt.Errorf("the balancer has no backend %q: it has %s", name, strings.Join(names, ", "))
	}
	return i, nil
}

// record adds a Conn event to the history.
func (b *Balancer) record(c history.Conn) {
	b.history.Add(history.Event{Who: who, Conn: &c})
}
