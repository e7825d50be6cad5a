package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/micro/go-micro/v2/registry"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/compat"
	"ghostroute/harness/history"
	"ghostroute/harness/program"
	"ghostroute/harness/tap"
)

// period is a session whose registry is the incident's, in a process of its own.
type period struct {
	registry.Registry // none: what a Registry asks for is below
	*compat.Client
	cfg   *Config
	calls *calls
	life  context.Context
}

// openPeriod begins a session in a process.
func (r *Registry) openPeriod() (session, error) {
	life, end := context.WithCancelCause(context.Background())
	c, err := compat.Start(compat.Config{Name: r.cfg.Client, Program: r.cfg.Program, Dir: r.cfg.Dir,
		Addresses: r.cfg.Addresses, Mode: string(r.cfg.Mode), Timeout: r.cfg.Timeout})
	if err != nil {
		end(err)
		return session{}, fmt.Errorf("registry of %s was not opened: %w", r.cfg.Client, err)
	}
	p := &period{Client: c, cfg: &r.cfg, calls: &r.calls, life: life}
	return session{Registry: p, connect: p.connect, close: func() error {
		end(fmt.Errorf("the registry of %s was closed", r.cfg.Client))
		return c.Close()
	}}, nil
}

// ofProcess says what a client that is a process cannot be.
func (c *Config) ofProcess() error {
	if c.Program == (program.Program{}) {
		return nil
	}
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir is empty; it may be a folder for the process's log"))
	}
	if c.Dial != nil || c.Via != "" {
		errs = append(errs, errors.New("dial or via is given; of a process they may not be"))
	}
	if c.Mended {
		errs = append(errs, errors.New("mended is set; of a process it may not be"))
	}
	if c.Username != "" {
		errs = append(errs, fmt.Errorf("username is %q; of a process it may be empty", c.Username))
	}
	return errors.Join(errs...)
}

// ask has a command carried out, as a call of whoever is on this goroutine, and notes what it asked of etcd.
func (p *period) ask(c compat.Command) ([]*registry.Service, error) {
	mine := p.calls.current()
	ctx, release := bound(context.Background(), p.life, mine)
	defer release()
	began := p.cfg.History.Now()
	a, err := p.Do(ctx, c)
	p.note(mine, began, a.Calls)
	if err == nil {
		err = a.Err()
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return a.Services, err
}

// note records what was asked of etcd as tapped does.
func (p *period) note(mine *call, began time.Duration, asked []compat.Call) {
	read := 0
	for _, c := range asked {
		via, source, event := tap.Origin(metadata.New(c.Header))
		if c.Op == "range" {
			r := Read{Began: began + c.Began, Key: c.Key, End: c.End, Service: serviceOf(c.Key),
				Serializable: c.Serializable, Err: c.Error}
			if c.Error == "" {
				r.Via, r.Source, r.Event, r.Revision, r.Found = via, source, event, c.Revision, c.Found
			}
			read = event
			p.calls.add(mine, r)
			continue
		}
		p.cfg.History.Add(history.Event{Who: p.cfg.Client, Write: &history.Write{Began: began + c.Began, Via: via, Op: c.Op,
			Key: c.Key, End: c.End, Lease: c.Lease, Read: read, Revision: c.Revision, Deleted: c.Deleted, Err: c.Error}})
	}
}

func (p *period) connect(ctx context.Context) error {
	a, err := p.Do(ctx, compat.Command{Do: "connect"})
	if err == nil {
		err = a.Err()
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

func (p *period) Register(s *registry.Service, opts ...registry.RegisterOption) error {
	var o registry.RegisterOptions
	for _, f := range opts {
		f(&o)
	}
	_, err := p.ask(compat.Command{Do: "register", Service: s, TTL: int(o.TTL.Seconds())})
	return err
}

func (p *period) Deregister(s *registry.Service, _ ...registry.DeregisterOption) error {
	_, err := p.ask(compat.Command{Do: "deregister", Service: s})
	return err
}

func (p *period) GetService(name string, _ ...registry.GetOption) ([]*registry.Service, error) {
	return p.ask(compat.Command{Do: "get", Name: name})
}

func (p *period) ListServices(...registry.ListOption) ([]*registry.Service, error) {
	return p.ask(compat.Command{Do: "list"})
}

func (p *period) Watch(opts ...registry.WatchOption) (registry.Watcher, error) {
	var o registry.WatchOptions
	for _, f := range opts {
		f(&o)
	}
	w, err := p.Client.Watch(p.life, o.Service)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (p *period) Options() registry.Options {
	return registry.Options{Addrs: p.cfg.Addresses, Timeout: p.cfg.Timeout}
}

// String says that it is no registry of this process.
func (p *period) String() string { return "etcd, as a process" }
