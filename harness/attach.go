package harness

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"ghostroute/harness/conn"
	"ghostroute/harness/gateway"
	"ghostroute/harness/guard"
	"ghostroute/harness/hangup"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/probe"
	"ghostroute/harness/registry"
	"ghostroute/harness/service"
	"ghostroute/harness/tap"
	"ghostroute/harness/wait"
)

// Endpoints are a cluster that somebody else started: "host:port" each. Members and Proxies are required.
type Endpoints struct {
	Members []string // m1, m2 … in this order: truth is read at them, past every proxy
	// p1, p2 … in this order, all that there are: in the end each is made to forget what this run was told. One that is
	// left out may keep it
	Proxies []string
	VIP     string // of a balancer before the proxies; "" where there is none

	TLS *tls.Config // of all of them, with a client's certificate where they want one; nil is none

	Username, Password string // with authentication on; the user needs what is under keys.Registry
	Service            string // what the service is called, behind the run's own beginning; "" means "hello"
}

// Attached is a cluster that somebody else started, for what only registers, deregisters and reads. Its services' names
// begin with Run, which no other has; go-micro's registry puts every service under keys.Registry, so that is how a run
// has a prefix of its own. Package guard stands under each of its clients: a call about any other key, another's lease
// or the cluster itself is refused and never sent. Faults are refused, too (ErrAttached).
//
// Others on the cluster see its services while it lasts, under those names: whoever lists or watches all of the
// registry. It makes revisions of its own, and a proxy that one of its writes passes forgets the list of services, as
// by anybody's write.
//
// Its methods may be called from one goroutine at a time.
type Attached struct {
	History *history.History
	Run     string // "ghostroute-7c2kqp4n-"
	Service string // its service's name in the registry, "ghostroute-7c2kqp4n-hello"

	e         Endpoints
	guard     *guard.Guard
	clients   map[string]*clientv3.Client // by node
	gateways  map[string]*gateway.Gateway
	instances map[string]*service.Instance
	end       []func() error
	closed    bool

	mu    sync.Mutex
	known map[string]string // address → instance
}

// Attach attaches a test to a cluster, see Connect, and detaches it in the end: the test fails if anything of it is
// left there.
func Attach(t testing.TB, e Endpoints) *Attached {
	t.Helper()
	ctx, cancel := Context(t)
	t.Cleanup(cancel)
	a, err := Connect(ctx, e)
	if err != nil {
		t.Fatalf("the test was not attached: %v", err)
	}
	t.Cleanup(func() {
		// not ctx, which a Ctrl-C has ended: there is time for this
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), grace)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Errorf("the cluster was not left as it should be: %v", err)
		}
	})
	return a
}

// Connect is Attach outside a test. It asks each endpoint whether it is what it is said to be, and writes nothing.
func Connect(ctx context.Context, e Endpoints) (*Attached, error) {
	var wrong []string
	must := func(ok bool, field string, was any, may string) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s is %v: it may be %s", field, was, may))
		}
	}
	must(len(e.Members) > 0, "Members", e.Members, "one or more, at which truth is read")
	must(len(e.Proxies) > 0, "Proxies", e.Proxies, "all that there are")
	must(!strings.Contains(e.Service, "/"), "Service", fmt.Sprintf("%q", e.Service), "a name without a slash")
	if len(wrong) > 0 {
		return nil, fmt.Errorf("these endpoints cannot be: %s", strings.Join(wrong, "; "))
	}
	def(&e.Service, "hello")
	run := "ghostroute-" + strings.ToLower(rand.Text()[:8]) + "-"
	a := &Attached{History: history.New(), Run: run, Service: run + e.Service, e: e, guard: guard.New(keys.Registry + run),
		clients: map[string]*clientv3.Client{}, gateways: map[string]*gateway.Gateway{},
		instances: map[string]*service.Instance{}, known: map[string]string{}}
	for _, node := range slices.Concat(a.members(), a.proxies()) {
		if err := a.isWhatItIsCalled(ctx, node); err != nil {
			return nil, errors.Join(err, a.hangUp())
		}
	}
	return a, nil
}

func (a *Attached) members() []string { return names("m", len(a.e.Members)) }
func (a *Attached) proxies() []string { return names("p", len(a.e.Proxies)) }

// addressOf is where a node is: "m1", "p2", "vip".
func (a *Attached) addressOf(node string) (string, error) {
	if i := slices.Index(a.members(), node); i >= 0 {
		return a.e.Members[i], nil
	}
	if i := slices.Index(a.proxies(), node); i >= 0 {
		return a.e.Proxies[i], nil
	}
	if node == "vip" && a.e.VIP != "" {
		return a.e.VIP, nil
	}
	all := slices.Concat(a.members(), a.proxies())
	if a.e.VIP != "" {
		all = append(all, "vip")
	}
	return "", fmt.Errorf("there is no node %q: there are %s", node, strings.Join(all, ", "))
}

// Client is a client of etcd at a node, "m1", "p2" or "vip", that can do no more than the others here: an operator
// whose writes are recorded.
func (a *Attached) Client(ctx context.Context, node string) (*clientv3.Client, error) {
	addr, err := a.addressOf(node)
	if err != nil {
		return nil, err
	}
	if a.clients[node] == nil {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, Username: a.e.Username, Password: a.e.Password,
			TLS: a.e.TLS, DialTimeout: 5 * time.Second, Logger: zap.NewNop(), DialOptions: a.guard.Options()})
		if err != nil {
			return nil, fmt.Errorf("%s was not reached at %s: %w", node, addr, err)
		}
		(&tap.Tap{Client: "ops", Via: node, History: a.History}).Into(c)
		a.clients[node] = c
	}
	if err := conn.Ready(ctx, a.clients[node].ActiveConnection()); err != nil {
		return nil, fmt.Errorf("%s was not reached at %s: %w", node, addr, err)
	}
	return a.clients[node], nil
}

// isWhatItIsCalled refuses a proxy that is called a member: a linearizable read there would heal it.
func (a *Attached) isWhatItIsCalled(ctx context.Context, node string) error {
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := a.Client(limited, node)
	if err != nil {
		return err
	}
	_, err = pb.NewKVClient(c.ActiveConnection()).Range(limited, &pb.RangeRequest{Serializable: true})
	said := probe.Member
	if node[0] == 'p' {
		said = probe.Proxy
	}
	if is := probe.RoleBy(err); is != said && (is != probe.Unknown || said == probe.Member) {
		addr, _ := a.addressOf(node) // it has one: it was reached
		return fmt.Errorf("%s at %s is called a %s: asked, it is a %s (%v)", node, addr, said, is, err)
	}
	return nil
}

// registryOf is how a client of that name reads and registers at a node.
func (a *Attached) registryOf(client, node string) (registry.Config, error) {
	if node == "" {
		node = "vip"
		if a.e.VIP == "" {
			node = "p1"
		}
	}
	addr, err := a.addressOf(node)
	return registry.Config{Client: client, Addresses: []string{addr}, Username: a.e.Username, Password: a.e.Password,
		TLS: a.e.TLS, History: a.History, Dial: a.guard.Options(), Via: node}, err
}

// Register starts an instance, "v1-a" being instance a of version v1, which registers itself at a node; "" is the VIP,
// or p1 where there is none. Its lease is of a minute and is renewed: what a run that is killed leaves behind ends with
// it.
func (a *Attached) Register(ctx context.Context, id, node string) (*service.Instance, error) {
	reg, err := a.registryOf(id, node)
	if err != nil {
		return nil, err
	}
	version, _, _ := strings.Cut(id, "-")
	i, err := service.Start(ctx, service.Config{Service: a.Service, Version: version, ID: id, Registry: reg,
		TTL: time.Minute, Interval: 20 * time.Second, History: a.History})
	if err != nil {
		return nil, err
	}
	a.end = append(a.end, i.Close)
	a.instances[id] = i
	a.mu.Lock()
	a.known[i.Addr()] = id
	a.mu.Unlock()
	return i, a.settle(ctx)
}

// Leave has an instance deregister, through the node it registered at, and stop.
func (a *Attached) Leave(ctx context.Context, id string) error {
	i := a.instances[id]
	if i == nil {
		return fmt.Errorf("there is no instance %q to leave", id)
	}
	if err := i.Stop(ctx); err != nil {
		return err
	}
	return a.settle(ctx)
}

// Gateway starts a gateway that reads at a node, "" as in Register, on each request. go-micro's own, which begins by
// listing every service there is, is not had: it reads what is others'.
func (a *Attached) Gateway(ctx context.Context, name, node string) (*gateway.Gateway, error) {
	reg, err := a.registryOf(name, node)
	if err != nil {
		return nil, err
	}
	g, err := gateway.Start(ctx, gateway.Config{Name: name, Registry: reg, History: a.History,
		Target: a.targetAt})
	if err != nil {
		return nil, err
	}
	a.end = append(a.end, g.Close)
	a.gateways[name] = g
	return g, nil
}

// targetAt is the instance that is, or last was, at an address.
func (a *Attached) targetAt(addr string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known[addr]
}

// Look has a gateway read the registry once and call each endpoint it is told. Where the answer came from is not said
// by a proxy of somebody else's: Via is the node that was asked, and Revision the one the answer was true at.
func (a *Attached) Look(ctx context.Context, name string) (history.Resolve, []history.Request, error) {
	g := a.gateways[name]
	if g == nil {
		return history.Resolve{}, nil, fmt.Errorf("there is no gateway %q", name)
	}
	r, calls := g.CallEach(ctx, a.Service)
	return r, calls, nil
}

// Truth reads the service linearizably on a member, past every proxy.
func (a *Attached) Truth(ctx context.Context) (history.Truth, error) {
	t := history.Truth{Service: a.Service, Endpoints: []history.Endpoint{}}
	c, err := a.Client(ctx, "m1")
	var r *clientv3.GetResponse
	if err == nil {
		r, err = c.Get(ctx, keys.Service(a.Service), clientv3.WithPrefix())
	}
	if err != nil {
		t.Err = err.Error()
	} else {
		t.Revision = r.Header.Revision
		t.Endpoints, err = endpoints(r.Kvs)
	}
	a.History.Add(history.Event{Who: "truth", Truth: &t})
	return t, err
}

// Prime has every gateway read until it sees truth: the premise of everything that is said later.
func (a *Attached) Prime(ctx context.Context) error {
	truth, err := a.Truth(ctx)
	if err != nil {
		return err
	}
	for _, g := range a.gateways {
		if err := prime(ctx, g, truth); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until every member has applied what the cluster has: a proxy may ask the one that is behind, and would
// keep its answer.
func (a *Attached) settle(ctx context.Context) error {
	at := func(node string, opts ...clientv3.OpOption) (int64, error) {
		c, err := a.Client(ctx, node)
		if err != nil {
			return 0, err
		}
		r, err := c.Get(ctx, a.guard.Prefix(), append(opts, clientv3.WithPrefix(), clientv3.WithCountOnly())...)
		if err != nil {
			return 0, fmt.Errorf("%s does not say how far it is: %w", node, err)
		}
		return r.Header.Revision, nil
	}
	now, err := at("m1")
	if err != nil {
		return err
	}
	return wait.For(ctx, func() string {
		for _, node := range a.members() {
			applied, err := at(node, clientv3.WithSerializable())
			if err != nil {
				return err.Error()
			}
			if applied < now {
				return fmt.Sprintf("%s has applied revision %d, and the cluster is at %d", node, applied, now)
			}
		}
		return ""
	})
}

// hangUp closes the clients.
func (a *Attached) hangUp() error {
	var errs []error
	for _, c := range a.clients {
		errs = append(errs, hangup.Close(c))
	}
	a.clients = map[string]*clientv3.Client{}
	return errors.Join(errs...)
}
