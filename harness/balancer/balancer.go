// Package balancer is what stood before the grpc-proxies in the incident: a layer-4 balancer that gives each new
// connection to the next backend of a weighted round robin, as LVS does, and never moves a connection it has given. Who
// chooses is our own schedule (New) or a process of HAProxy (NewHAProxy); README.md says where the two differ.
//
// Each client has a VIP of its own, so that every connection can be attributed; all VIPs share one schedule, so that
// together they see what clients of one address would see. Given the order in which connections come, where each goes
// is determined: see [Balancer.VIP]. What happens is recorded as history.Conn events of "lb".
package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// Balancer spreads connections over backends. It is safe for use by many goroutines. New and NewHAProxy make one, Close
// ends it.
type Balancer struct {
	history   *history.History
	scheduler scheduler // its methods need the turn, but for end

	// turn is held while it changes where connections go: one is placed at a time, so that each gets the schedule's
	// next place even while others come. A channel and not a mutex, so that a link that closes need not wait for its
	// turn.
	turn     chan struct{}
	backends []Backend // names and addresses never change; weights need the turn
	placed   int       // how many new connections there were

	mu     sync.Mutex // guards what follows; it is held for no wait
	closed bool
	vips   map[string]*VIP
	live   map[*pinned]struct{}
	whose  map[way]string // a way between the balancer and a backend → the client that has it, or had it last
}

// scheduler chooses the backend of each new connection.
type scheduler interface {
	// place opens the next connection, of client, to whichever backend is its, and says which refused it before. Its
	// error is errNobody where none takes it.
	place(ctx context.Context, client string) (to placed, refused []refusal, err error)
	highest() int              // the highest weight that there may be
	weigh(weights []int) error // gives each backend its new weight, and begins the schedule again
	stick(on bool) error       // has a client's further connections go where its first did, or no more
	drain(backend int) error   // is told that the connections of a backend are to end
	end() error                // ends what runs
}

// placed is a connection that a backend has taken.
type placed struct {
	*net.TCPConn
	backend int
	from    string // where the backend sees it come from
}

// refusal is why a backend did not take a connection.
type refusal struct {
	backend int
	why     error
}

// errNobody is that no backend takes a connection.
var errNobody = errors.New("no backend takes it")

// New returns a balancer before backends, which need not listen yet. It takes connections at the VIPs that it is asked
// for.
func New(h *history.History, backends []Backend) (*Balancer, error) {
	if err := valid(backends, MaxWeight); err != nil {
		return nil, err
	}
	return begin(h, backends, newWRR(backends)), nil
}

// begin is a balancer with a scheduler.
func begin(h *history.History, backends []Backend, s scheduler) *Balancer {
	return &Balancer{
		history:   h,
		scheduler: s,
		turn:      make(chan struct{}, 1),
		backends:  slices.Clone(backends),
		vips:      map[string]*VIP{},
		live:      map[*pinned]struct{}{},
		whose:     map[way]string{},
	}
}

// valid says why there can be no balancer before backends.
func valid(backends []Backend, highest int) error {
	seen := map[string]bool{}
	for _, backend := range backends {
		if seen[backend.Name] {
			return fmt.Errorf("the balancer cannot tell its backends apart: two are named %q", backend.Name)
		}
		seen[backend.Name] = true
		if err := validWeight(backend.Name, backend.Weight, highest); err != nil {
			return err
		}
	}
	return nil
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
	return errors.Join(append(errs, b.scheduler.end())...)
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
