// Package beyond is what goes wrong at an etcd grpc-proxy beside its cache: with what clients hold open, their watches
// and leases. Scenarios and fixes are plain data as those of package scenarios are; what is judged is another thing.
//
// The design, in short:
//
//   - There is no go-micro here: the stage alone, with plain etcd clients on it, each through its own VIP and a
//     grpc-proxy, or straight at the members where the fix says so. Everything listens; nothing is an adapter.
//   - A client's watch is recorded word for word (history.Watch), and so is what a proxy watches at its members: by
//     which stream, opened with whose token, and what it was told. That is the provenance of a silence.
//   - The judge (harness/promise) holds what clients were told against what was committed: every event once, in order,
//     none of another range; a watch that cannot go on ends and says why; a list and the watch after it meet; and a
//     few more. Every promise is looked at in every trial; a scenario does not choose what it is judged by.
//   - A verdict is kept, or broken by which promises, or unknown, if the fault did not show.
//   - A fix changes the way (no proxy, etcd's L4 gateway) or cures the proxy: harness/grpcproxy is upstream's watch and
//     lease server, token for token, with a few lines marked. Each cure is of the size that one would send upstream.
//   - fixtures/beyond.txt has the verdicts, fixtures/beyond.md says them with cause and line: both are written by
//     "ghostroute beyond --accept", and a test compares.
package beyond

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"ghostroute/harness/etcd"
	"ghostroute/harness/hangup"
	"ghostroute/harness/history"
	"ghostroute/harness/promise"
	"ghostroute/harness/proxy"
	"ghostroute/harness/stage"
	"ghostroute/harness/tap"
	"ghostroute/harness/text"
)

// Scenario is one defect, with what shows it.
type Scenario struct {
	Name  string // "no-leader"
	N     string // its number in the list of defects: "1"
	Title string
	Seen  string // where it was seen: issues, pull requests
	Cause string // the line of source, of etcd v3.7.3
	Text  string // what happens, in a sentence or two

	Needs    Needs
	Act      func(*Bench) error // returns when what is to be told has been committed, or the fault is there
	Clients  []string           // who is judged
	Refused  []string           // those of them whom etcd itself denies what they ask for
	Patience time.Duration      // 0 is the usual
	Proofs   []promise.Proof
	AtProxy  []promise.Proof  // what must show besides where there is a proxy that knows watches from bytes
	Patch    string           // a patch of etcd's client that cures it: it stands in fixtures/patches
	NA       func(Fix) string // why it makes no sense with a fix; nil and "" is that it does
}

// Needs is what a scenario needs of the stage.
type Needs struct {
	Members   int // 0 is 1
	Auth      bool
	Advertise string // what proxies say that they are reached at
}

// Fix changes the way to etcd, or the proxy.
type Fix struct {
	Name    string
	Title   string
	Source  string
	Direct  bool // no proxy at all
	Silent  bool // proxies do not say what they are reached at
	Variant proxy.Variant
}

// patience is how long a client may be told nothing.
const patience = promise.Patience

// dialTimeout bounds a login, too, which takes a tenth of a second of a processor.
const dialTimeout = 15 * time.Second

// Bench is a stage of one scenario and one fix. It is used by one goroutine.
type Bench struct {
	*stage.Stage
	Fix   Fix
	ctx   context.Context
	needs Needs

	taps    map[string]*tap.Tap
	clients map[string]*clientv3.Client
	watched []*tap.Watched
	keeping []func()

	instances map[string]*instance
	conns     map[string]*grpc.ClientConn // by program

	unfollow func()   // ends the record of what is committed
	judged   []string // proxies, see promise.Question
}

// Result is what a trial came to.
type Result struct {
	Question promise.Question
	Verdict  promise.Verdict
	Events   []history.Event
}

// Try runs one trial on a cluster that it has for itself. The error is for what should never happen.
func Try(ctx context.Context, c *etcd.Cluster, s Scenario, f Fix) (Result, error) {
	b, err := open(ctx, c, s, f)
	if err != nil {
		return Result{}, err
	}
	q := promise.Question{Clients: s.Clients, Refused: s.Refused, Patience: max(s.Patience, patience),
		Proofs: slices.Clone(s.Proofs)}
	if b.relays() {
		q.Proofs = append(q.Proofs, s.AtProxy...)
	}
	b.follow()
	b.step(history.PhaseAct, s.Title)
	failed := s.Act(b)
	q.Proxies = b.judged
	if failed == nil {
		failed = b.observe(q)
	}
	b.unfollow()
	events := b.History.Events()
	closed := b.close()
	v := promise.Judge(events, q)
	if failed != nil {
		v = promise.Verdict{Outcome: "unknown", Why: "the trial was not carried out: " + failed.Error()}
	}
	return Result{Question: q, Verdict: v, Events: events}, closed
}

func open(ctx context.Context, c *etcd.Cluster, s Scenario, f Fix) (*Bench, error) {
	b := &Bench{Stage: stage.New(history.New(), c, "m1"), Fix: f, ctx: ctx, needs: s.Needs, taps: map[string]*tap.Tap{},
		clients: map[string]*clientv3.Client{}, instances: map[string]*instance{},
		conns: map[string]*grpc.ClientConn{}}
	b.Watched = true
	if !f.Silent {
		b.Advertise = s.Needs.Advertise
	}
	fail := func(err error) (*Bench, error) { return nil, errors.Join(err, b.close()) }
	if s.Needs.Auth {
		if err := b.EnableAuth(ctx); err != nil {
			return fail(err)
		}
	}
	if f.Direct {
		return b, nil
	}
	if _, err := b.StartProxy(ctx, "p1", f.Variant); err != nil {
		return fail(err)
	}
	if err := b.StartBalancer(ctx, nil, false); err != nil {
		return fail(err)
	}
	return b, b.Reached(ctx, "p1")
}

// follow records what is committed, from the next revision on.
func (b *Bench) follow() { b.unfollow = b.Cluster.Follow(b.History, 0) }

func (b *Bench) close() error {
	for _, w := range b.watched {
		w.Quit()
	}
	for _, end := range slices.Backward(b.keeping) {
		end()
	}
	var errs []error
	for _, c := range b.clients {
		errs = append(errs, hangup.Close(c))
	}
	return errors.Join(append(errs, b.Stage.Close())...)
}

func (b *Bench) step(p history.Phase, title string) {
	b.History.Add(history.Event{Who: "bench", Step: &history.Step{Phase: p, Text: title}})
}

// observe waits until nothing is left that time could change: every promise is kept, or one is broken that is no
// silence, or patience is over.
func (b *Bench) observe(q promise.Question) error {
	b.step(history.PhaseObserve, "what is to be told has been committed")
	end := b.History.Now() + q.Patience
	for pause := 10 * time.Millisecond; promise.Judge(b.History.Events(), q).Outcome == "unknown"; pause *= 2 {
		left := end - b.History.Now()
		if left <= 0 {
			break
		}
		select {
		case <-b.ctx.Done():
			return context.Cause(b.ctx)
		case <-time.After(min(pause, left, 200*time.Millisecond)):
		}
	}
	b.step(history.PhaseEnd, "patience is over")
	return nil
}

// client is the client of that name, made when it is first asked for. With authentication on it is the user of its
// name, root if that is ops.
func (b *Bench) client(name string, opts ...grpc.DialOption) (*clientv3.Client, error) {
	if c := b.clients[name]; c != nil {
		return c, nil
	}
	addrs, err := b.Addresses(name)
	if err != nil {
		return nil, err
	}
	cfg := clientv3.Config{Endpoints: addrs, DialTimeout: dialTimeout, Logger: zap.NewNop(), DialOptions: opts}
	if b.needs.Auth {
		cfg.Username, cfg.Password = name, name
	}
	c, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s was not connected: %w", name, err)
	}
	t := &tap.Tap{Client: name, History: b.History}
	t.Into(c)
	b.taps[name], b.clients[name] = t, c
	return c, nil
}

// watch has a client watch, and waits until the watch stands or has ended.
func (b *Bench) watch(ctx context.Context, client, name, key string, opts ...clientv3.OpOption) error {
	if err := b.asksFor(ctx, client, name, key, false, opts...); err != nil {
		return err
	}
	_, err := b.History.Wait(ctx, 0, func(e history.Event) bool {
		return e.Watch != nil && e.Who == client && e.Watch.Watch == name && e.Watch.Op != history.WatchAsk
	})
	return err
}

// asksFor has a client ask for a watch, and does not wait for an answer.
func (b *Bench) asksFor(ctx context.Context, client, name, key string, idle bool, opts ...clientv3.OpOption) error {
	c, err := b.client(client)
	if err != nil {
		return err
	}
	b.watched = append(b.watched, b.taps[client].Watch(ctx, c.Watcher, name, key, idle, opts...))
	return nil
}

// put writes keys on a member, as an operator does, and waits until the history has them as committed: what is told of
// them is held against that.
func (b *Bench) put(keys ...string) (revision int64, err error) {
	c, err := b.At(b.ctx, "m1")
	if err != nil {
		return 0, err
	}
	n := b.History.Len()
	for _, k := range keys {
		r, err := c.Put(b.ctx, k, "v")
		if err != nil {
			return 0, err
		}
		revision = r.Header.Revision
	}
	_, err = b.History.Wait(b.ctx, n, func(e history.Event) bool {
		return e.Commit != nil && e.Commit.Revision == revision
	})
	return revision, err
}

// relays says whether there is a proxy that knows watches from bytes.
func (b *Bench) relays() bool { return !b.Fix.Direct && !b.Fix.Variant.Relays }

// NotApplicable says why a cell makes no sense, "" where it does.
func NotApplicable(s Scenario, f Fix) string {
	if s.NA == nil {
		return ""
	}
	return s.NA(f)
}

// Scenarios lists them in the order of their numbers.
func Scenarios() []Scenario {
	return slices.Concat(watching(), identities(), leases(), others(), naming(), concurrent())
}

// Named finds a scenario.
func Named(name string) (Scenario, error) {
	return text.Find("scenario", name, Scenarios(), func(s Scenario) string { return s.Name })
}

// FixNamed finds a fix.
func FixNamed(name string) (Fix, error) {
	return text.Find("fix", name, Fixes(), func(f Fix) string { return f.Name })
}

// tapOf is a tap of that name.
func (b *Bench) tapOf(name string) *tap.Tap { return &tap.Tap{Client: name, History: b.History} }
