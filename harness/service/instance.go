// Package service runs instances: real HTTP servers on loopback that register themselves through go-micro's registry
// and stay registered as a go-micro server does. Each answer names its instance, so that an address another process has
// taken is noticed.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	micro "github.com/micro/go-micro/v2/registry"
	"github.com/micro/go-micro/v2/util/backoff"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/port"
	"ghostroute/harness/registry"
)

// The headers in which an instance names itself. The body says the same as JSON.
const (
	HeaderService  = "Ghostroute-Service"
	HeaderVersion  = "Ghostroute-Version"
	HeaderInstance = "Ghostroute-Instance"
)

// attempts is how often a go-micro server tries to register before it gives up until the next interval
// (server/rpc_server.go and server/grpc/grpc.go, regFunc).
const attempts = 3

// drain is how long requests under way have to end when an instance stops. Connections on which none is under way do
// not wait.
const drain = 200 * time.Millisecond

// Config is an instance. Service, Version, ID, Registry.Addresses and History are required.
type Config struct {
	Service string // "greeter"
	Version string // "v1"
	ID      string // the instance's name, "v1-a"
	// where to serve: another instance's Port for its address; nil reserves one of the instance's own
	Port *port.Port
	// how to register; Client is the instance's ID and History is the instance's where they are empty
	Registry registry.Config
	TTL      time.Duration // the lease's, in whole seconds, as go-micro cuts it; 0 registers without a lease
	Interval time.Duration // how often to register again; 0 is never
	History  *history.History
}

func (c *Config) complete() error {
	var errs []error
	for _, name := range []struct{ field, value string }{{"service", c.Service}, {"version", c.Version}, {"id", c.ID}} {
		if name.value == "" || strings.Contains(name.value, "/") {
			errs = append(errs, fmt.Errorf("%s is %q; it may be any name without a slash", name.field, name.value))
		}
	}
	if c.TTL < 0 || c.TTL%time.Second != 0 {
		errs = append(errs, fmt.Errorf(
			"ttl is %s; it may be whole seconds (go-micro cuts the rest off), or 0 for no lease", c.TTL))
	}
	if c.Interval < 0 {
		errs = append(errs, fmt.Errorf("interval is %s; it may be 0 (never) or more", c.Interval))
	}
	if c.History == nil {
		errs = append(errs, errors.New("history is nil; it may be history.New()"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("instance %q cannot be: %w", c.ID, err)
	}
	if c.Registry.Client == "" {
		c.Registry.Client = c.ID
	}
	if c.Registry.History == nil {
		c.Registry.History = c.History
	}
	return nil
}

// Instance is one running copy of a service. It is safe for use by many goroutines.
type Instance struct {
	cfg     Config
	port    *port.Port
	ownPort bool
	reg     *registry.Registry
	server  *http.Server
	serving sync.WaitGroup
	closed  sync.Once

	ctx     context.Context // the process's life: ends in Stop, Crash and Close
	kill    context.CancelFunc
	loop    context.Context // the register loop's
	unloop  context.CancelFunc
	looping sync.WaitGroup

	mu  sync.Mutex
	err error // what the last register said
}

// Start serves, and then registers once. When ctx ends first, or go-micro's three attempts fail, nothing is left
// running.
func Start(ctx context.Context, cfg Config) (*Instance, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	i := &Instance{cfg: cfg, port: cfg.Port}
	i.ctx, i.kill = context.WithCancel(context.Background())
	i.loop, i.unloop = context.WithCancel(i.ctx)
	if err := i.serve(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("instance %s did not start: %w", cfg.ID, err), i.Close())
	}
	if err := i.registerPatiently(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("instance %s did not start: %w", cfg.ID, err), i.Close())
	}
	if cfg.Interval > 0 {
		i.looping.Go(i.stayRegistered)
	}
	return i, nil
}

// serve begins to answer. What it began is ended by Close, whether it failed or not.
func (i *Instance) serve(ctx context.Context) (err error) {
	if i.port == nil {
		if i.port, err = port.Reserve(); err != nil {
			return err
		}
		i.ownPort = true
	} else if err := i.port.Refuses(); err != nil {
		return err // a reserved port lets two listen at once and gives each connection to one of them
	}
	if i.reg, err = registry.New(ctx, i.cfg.Registry); err != nil {
		return err
	}
	l, err := i.port.Listen()
	if err != nil {
		return err
	}
	i.server = &http.Server{Handler: http.HandlerFunc(i.answer), ReadHeaderTimeout: 10 * time.Second}
	i.serving.Go(func() { _ = i.server.Serve(l) }) // it returns ErrServerClosed when the server is closed
	return nil
}

func (i *Instance) answer(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set(HeaderService, i.cfg.Service)
	h.Set(HeaderVersion, i.cfg.Version)
	h.Set(HeaderInstance, i.cfg.ID)
	h.Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{ // an error means that the caller has gone
		"service": i.cfg.Service, "version": i.cfg.Version, "id": i.cfg.ID,
	})
}

// stayRegistered registers again each interval, as a go-micro server does, whatever the last time said.
func (i *Instance) stayRegistered() {
	t := time.NewTicker(i.cfg.Interval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = i.registerPatiently(i.loop) // a server logs it and goes on; Err has it
		case <-i.loop.Done():
			return
		}
	}
}

// registerPatiently registers as a go-micro server does: three attempts, with a pause between them.
func (i *Instance) registerPatiently(ctx context.Context) (err error) {
	for n := 1; ; n++ {
		if err = i.Reregister(ctx); err == nil || n == attempts {
			return err
		}
		pause := time.NewTimer(backoff.Do(n))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

// Reregister is one call of go-micro's Register, and what it returned. That it returned nil does not mean that the
// instance is registered: where go-micro finds, by a read a proxy may have answered from its cache, that it already is,
// it only renews the lease.
func (i *Instance) Reregister(ctx context.Context) error {
	err := i.alive(ctx, func() error { return i.reg.Register(i.service(), micro.RegisterTTL(i.cfg.TTL)) })
	if err != nil {
		err = fmt.Errorf("%s was not registered at %v: %w", i.cfg.ID, i.cfg.Registry.Addresses, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.err = err
	return err
}

// Err is what the last register said: Start's, Reregister's or the interval's.
func (i *Instance) Err() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.err
}

// Deregister ends the registering each interval, which would else bring the instance back, and deletes its key. The
// instance goes on serving. go-micro does not revoke the lease.
func (i *Instance) Deregister(ctx context.Context) error {
	i.unloop()
	i.looping.Wait()
	if err := i.alive(ctx, func() error { return i.reg.Deregister(i.service()) }); err != nil {
		return fmt.Errorf("%s was not deregistered at %v: %w", i.cfg.ID, i.cfg.Registry.Addresses, err)
	}
	return nil
}

// Stop is an orderly end, as a go-micro server's: deregister, answer what has been asked, stop serving. Where it could
// not deregister it returns why, and stops all the same. The address stays reserved, and refuses connections, until
// Close.
func (i *Instance) Stop(ctx context.Context) error {
	err := i.Deregister(ctx)
	grace, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	if i.server.Shutdown(grace) != nil {
		_ = i.server.Close() // a connection that is left has had the grace
	}
	return errors.Join(err, i.end())
}

// Crash is the end of the process: connections are cut, nothing is deregistered, nothing kept alive, no lease revoked.
// The address stays reserved, and refuses connections, until Close.
func (i *Instance) Crash() error {
	err := i.end()
	i.cfg.History.Add(history.Event{Who: i.cfg.ID, Fault: &history.Fault{
		Kind: history.Crash, Op: history.Fire, Target: i.cfg.ID, Detail: i.Addr(),
	}})
	return err
}

// Restart starts the instance again as a process of its own, crashing it first where it still runs: the same name at
// the same address, with change's changes. The address stays the old instance's to give back: Close it after the new
// one.
func (i *Instance) Restart(ctx context.Context, change ...func(*Config)) (*Instance, error) {
	if err := i.end(); err != nil {
		return nil, err
	}
	cfg := i.cfg
	cfg.Port = i.port
	for _, f := range change {
		f(&cfg)
	}
	return Start(ctx, cfg)
}

// Close ends whatever still runs, as a crash does, and gives the address back. It may be called again.
func (i *Instance) Close() error {
	err := i.end()
	if i.ownPort {
		err = errors.Join(err, i.port.Close())
	}
	return err
}

// end ends the process, and returns when all of it has ended.
func (i *Instance) end() error {
	i.kill()
	var err error
	if i.server != nil {
		err = i.server.Close()
		i.closed.Do(func() { err = errors.Join(err, i.port.Refuses()) })
	}
	i.serving.Wait()
	i.looping.Wait()
	if i.reg != nil {
		err = errors.Join(err, i.reg.Close())
	}
	return err
}

// alive makes a call of the registry's, which ends with ctx and with the process.
func (i *Instance) alive(ctx context.Context, call func() error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.ctx, cancel)()
	i.reg.Trace(ctx, func() { err = call() })
	if err != nil && i.ctx.Err() != nil {
		return errors.New("it has ended")
	}
	return err
}

// service is what go-micro writes into the registry for the instance.
func (i *Instance) service() *micro.Service {
	return &micro.Service{
		Name:    i.cfg.Service,
		Version: i.cfg.Version,
		Nodes: []*micro.Node{{
			Id:       keys.NodeID(i.cfg.Service, i.cfg.ID),
			Address:  i.Addr(),
			Metadata: map[string]string{"protocol": "http"},
		}},
	}
}

// Config is what the instance was made of, defaults filled in.
func (i *Instance) Config() Config { return i.cfg }

// Addr is where it serves, or served: "127.0.0.1:port".
func (i *Instance) Addr() string { return i.port.Addr() }

// Port is its address' reservation, for another instance to serve at.
func (i *Instance) Port() *port.Port { return i.port }

// Endpoint is the instance as a registry answer names it.
func (i *Instance) Endpoint() history.Endpoint {
	return history.Endpoint{ID: i.cfg.ID, Version: i.cfg.Version, Address: i.Addr()}
}

// Key is the instance's key in etcd.
func (i *Instance) Key() string { return keys.Node(i.cfg.Service, i.cfg.ID) }

// Registry is the registry it registers at.
func (i *Instance) Registry() *registry.Registry { return i.reg }
