// Package registry gives go-micro's etcd registry, unmodified, by read mode, with an end, and with a witness.
//
// A Registry is one process's view of etcd: one client with one connection. go-micro's registry/etcd does the work;
// what is added stands under it, between it and etcd's client (tap.go): reads are made linearizable where the mode says
// so, each read's provenance can be asked for (Trace), each write goes into the history, and Close ends what go-micro
// leaves running.
package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/micro/go-micro/v2/logger"
	"github.com/micro/go-micro/v2/registry"
	"github.com/micro/go-micro/v2/registry/etcd"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"ghostroute/harness/conn"
	"ghostroute/harness/goid"
	"ghostroute/harness/hangup"
	"ghostroute/harness/history"
	"ghostroute/harness/mended"
	"ghostroute/harness/program"
)

// Config is one client of the registry. Client, Addresses and History are required.
type Config struct {
	Client    string        // the client's name in the history: "g1", "v1-a"
	Addresses []string      // "host:port" of a VIP, or of proxies or members
	Mode      Mode          // the read mode; Serializable where it is empty
	Timeout   time.Duration // of each of go-micro's calls that has one; 5 s, as in go-micro, where it is 0
	Mended    bool          // Register and Deregister are package mended's
	Username  string        // for a cluster with auth on; needs Password
	Password  string
	TLS       *tls.Config // nil for none
	History   *history.History

	// Program is the client of the incident, which then is this one, as a process (program.Period); Dir is for its log,
	// and the folder of the run that it belongs to. The zero Program is a client in this process, which needs no Dir.
	Program program.Program
	Dir     string

	Dial []grpc.DialOption // of the client in this process, beside etcd's own
	Via  string            // who answers, where no proxy of the harness says so; "" is a member
}

func (c *Config) complete() error {
	if c.Mode == "" {
		c.Mode = Serializable
	}
	var errs []error
	if c.Client == "" {
		errs = append(errs, errors.New("client is empty; it may be any name"))
	}
	if len(c.Addresses) == 0 {
		errs = append(errs, errors.New("addresses is empty; it may be one or more of host:port"))
	}
	for _, a := range c.Addresses {
		if _, _, err := net.SplitHostPort(a); err != nil {
			errs = append(errs, fmt.Errorf("addresses has %q; it may be host:port", a))
		}
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("timeout is %s; it may be 0 or more", c.Timeout))
	}
	if (c.Username == "") != (c.Password == "") {
		errs = append(errs, errors.New("one of username and password is empty; it may be both or none"))
	}
	if c.History == nil {
		errs = append(errs, errors.New("history is nil; it may be history.New()"))
	}
	if err := errors.Join(append(errs, c.Mode.check(), c.ofProcess())...); err != nil {
		return fmt.Errorf("registry of %q cannot be: %w", c.Client, err)
	}
	return nil
}

// Registry is go-micro's registry/etcd. It is safe for use by many goroutines.
type Registry struct {
	cfg   Config
	calls calls

	mu     sync.RWMutex
	now    session
	closed bool
}

var _ registry.Registry = (*Registry)(nil)

// session is a registry of go-micro's from its beginning to its end.
type session struct {
	registry.Registry
	client  *clientv3.Client // nil where the session is a process
	connect func(context.Context) error
	close   func() error // once
}

// New gives a registry. It does not connect, but for a user with a password, for which etcd's client fetches a token at
// once; ctx is how long that may take.
func New(ctx context.Context, cfg Config) (*Registry, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	quiet()
	r := &Registry{cfg: cfg, calls: calls{now: map[goid.ID]*call{}, last: map[string]Read{}, filled: map[string]Read{}}}
	var err error
	if r.now, err = r.open(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// open begins a session: go-micro's registry, over a client configured as go-micro configures its own.
func (r *Registry) open(ctx context.Context) (session, error) {
	if r.cfg.Program != (program.Program{}) {
		return r.openPeriod()
	}
	life, end := context.WithCancelCause(context.Background())
	// the client asks for its token with no other deadline
	stop := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	client, err := clientv3.New(clientv3.Config{
		Endpoints: r.cfg.Addresses,
		Username:  r.cfg.Username,
		Password:  r.cfg.Password,
		TLS:       r.cfg.TLS,
		Context:   life,

		DialOptions: r.cfg.Dial,
		Logger:      zap.NewNop(), // the default logs each retry to the terminal; errors are returned all the same
	})
	if !stop() && err == nil {
		err = errors.Join(context.Cause(ctx), client.Close())
	}
	if err != nil {
		end(err)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return session{}, fmt.Errorf("registry of %s was not opened at %v: %w", r.cfg.Client, r.cfg.Addresses, err)
	}
	// The client that go-micro makes has not been used, so it has not connected: closing it has no effect on a server. Its
	// logger writes nowhere and samples nothing: the default's counters are half a megabyte a client.
	inner := etcd.NewRegistry(registry.Addrs(r.cfg.Addresses...), registry.Timeout(r.cfg.Timeout),
		etcd.LogConfig(&zap.Config{Level: zap.NewAtomicLevel(), Encoding: "json"}))
	under := tapped(client, life, &r.cfg, &r.calls)
	made, err := exchangeClient(inner, under)
	if made != nil {
		err = errors.Join(err, ended(made.Close()))
	}
	if err != nil {
		end(err)
		err = errors.Join(err, ended(client.Close()))
		return session{}, err
	}
	if r.cfg.Mended {
		inner = mended.NewRegistry(inner, mended.With(under))
	}
	return session{Registry: inner, client: client,
		connect: func(ctx context.Context) error { return conn.Ready(ctx, client.ActiveConnection()) },
		close: sync.OnceValue(func() error {
			end(fmt.Errorf("the registry of %s was closed", r.cfg.Client))
			return hangup.Close(client)
		})}, nil
}

// ended is the error of a client's Close, which returns its own context's end.
func ended(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (r *Registry) session() session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.now
}

// Config is what the registry was made of, defaults filled in.
func (r *Registry) Config() Config { return r.cfg }

// Client is etcd's client under the registry, tapped: what is read and written with it is seen as go-micro's calls are.
// It is another one after Reconnect, and nil where the registry is a process.
func (r *Registry) Client() *clientv3.Client { return r.session().client }

// Connect waits until the client has a connection, and asks nothing over it: it pins the client to a proxy.
func (r *Registry) Connect(ctx context.Context) error {
	if err := r.session().connect(ctx); err != nil {
		return fmt.Errorf("%s has no connection to %v: %w", r.cfg.Client, r.cfg.Addresses, err)
	}
	return nil
}

// Reconnect is the client's process started again: the connection is closed, and what go-micro remembers of leases and
// registrations is gone. The next call dials. Calls and watches under way fail.
func (r *Registry) Reconnect(ctx context.Context) error {
	next, err := r.open(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	last := r.now
	if r.closed {
		last, err = next, fmt.Errorf("%s was not reconnected: its registry was closed", r.cfg.Client)
	} else {
		r.now = next
	}
	r.mu.Unlock()
	return errors.Join(err, last.close())
}

// Close ends the client: its connection, its watches and every call under way. It deregisters nothing and revokes
// nothing, as a process that ends does not. What is asked of r afterwards fails.
func (r *Registry) Close() error {
	r.mu.Lock()
	r.closed = true
	last := r.now
	r.mu.Unlock()
	return last.close()
}

// Init is refused: go-micro's would make another client and forget this one without closing it.
func (r *Registry) Init(opts ...registry.Option) error {
	if len(opts) == 0 {
		return nil
	}
	return errors.New("a registry of the harness is configured when it is made: make another one")
}

// Options are go-micro's.
func (r *Registry) Options() registry.Options { return r.session().Options() }

// Register is go-micro's. It has a deadline inside Trace only: it renews a lease it knows with none.
func (r *Registry) Register(s *registry.Service, opts ...registry.RegisterOption) error {
	return r.session().Register(s, opts...)
}

// Deregister is go-micro's. It deletes the instance's key and leaves its lease; mended, it revokes that.
func (r *Registry) Deregister(s *registry.Service, opts ...registry.DeregisterOption) error {
	return r.session().Deregister(s, opts...)
}

// GetService is go-micro's, in the registry's read mode.
func (r *Registry) GetService(name string, opts ...registry.GetOption) ([]*registry.Service, error) {
	return r.session().GetService(name, opts...)
}

// ListServices is go-micro's, in the registry's read mode.
func (r *Registry) ListServices(opts ...registry.ListOption) ([]*registry.Service, error) {
	return r.session().ListServices(opts...)
}

// Watch is go-micro's, with its panic made an error (watcher.go). It waits, with no deadline, until the watch is
// established.
func (r *Registry) Watch(opts ...registry.WatchOption) (registry.Watcher, error) {
	w, err := r.session().Watch(opts...)
	if err != nil {
		return nil, err
	}
	return &watcher{Watcher: w, cfg: &r.cfg}, nil
}

// String is go-micro's name of it, "etcd".
func (r *Registry) String() string { return r.session().String() }

// quiet keeps go-micro's logger off the terminal, where it would print "unable to list services" into the story: what
// it says is in the history, as the read that failed. Its level is one variable of the process with no lock, so it is
// set once, before anything here has started a goroutine of go-micro's. A MICRO_LOG_LEVEL in the environment is left
// alone.
var quiet = sync.OnceFunc(func() {
	if os.Getenv("MICRO_LOG_LEVEL") == "" {
		_ = logger.Init(logger.WithLevel(logger.FatalLevel)) // it returns nil always
	}
})
