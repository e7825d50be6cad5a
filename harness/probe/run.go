package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"ghostroute/harness/keys"
	"ghostroute/harness/text"
)

func (r *run) run(ctx context.Context) error {
	if err := r.find(ctx, map[Role][]string{"": r.Endpoints, Member: r.Members, Proxy: r.Proxies}); err != nil {
		return err
	}
	if err := r.authenticate(ctx); err != nil {
		return err
	}
	if err := r.registered(ctx); err != nil {
		return err
	}
	if len(r.members) == 0 {
		return ErrNoTruth
	}
	r.free = r.looksAreFree(ctx)
	if r.Forms == nil {
		r.Forms = r.usual()
	}
	for _, p := range r.proxies {
		if err := r.readTruth(ctx, r.namespace(p)); err != nil {
			return err
		}
	}
	if len(r.proxies) == 0 { // then truth says at least of which cluster the members are
		if err := r.readTruth(ctx, ""); err != nil {
			return err
		}
	}
	for _, m := range r.members {
		if m.state != nil {
			m.row.MemberID, m.row.Version = fmt.Sprintf("%x", m.state.Header.GetMemberId()), m.state.Version
		}
	}
	r.refuseOthers()
	if len(r.proxies) == 0 {
		return ErrNoProxy
	}
	return r.ask(ctx)
}

// usual are the forms where none is chosen. What Register looks up is asked only where it is not filed: an instance
// that restarts with its old name and finds its old key in a cache stays hidden.
func (r *run) usual() (forms []Form) {
	for _, f := range Forms() {
		if f.Name == FormGoMicro || f.Name == FormRegister && r.free {
			forms = append(forms, f)
		}
	}
	if !r.free {
		r.note("what go-micro's Register looks up was not asked for: what is not cached would be filed; --form register asks")
	}
	return forms
}

func (r *run) note(format string, args ...any) {
	r.report.Notes = append(r.report.Notes, fmt.Sprintf(format, args...))
}

// authenticate has every endpoint called with the user's token.
func (r *run) authenticate(ctx context.Context) error {
	if r.User == "" || len(r.members) == 0 {
		return nil
	}
	var at []*endpoint
	for _, m := range r.members {
		at = append(at, m.endpoint)
	}
	token, err := authenticate(ctx, at, r.User, r.Password)
	if err != nil {
		return err
	}
	r.Token = token
	var all sync.WaitGroup
	for _, n := range r.all {
		n.token = token
		if n.row.Error == "" && refused(n.failed) {
			all.Go(func() { n.describe(ctx) })
		}
	}
	all.Wait()
	return nil
}

// registered finds the proxies that have registered themselves in etcd (server/proxy/grpcproxy/register.go).
func (r *run) registered(ctx context.Context) error {
	if r.ResolverPrefix == "" || len(r.members) == 0 {
		return nil
	}
	from := strings.TrimSuffix(r.ResolverPrefix, "/") + "/"
	resp, err := r.members[0].read(ctx, &pb.RangeRequest{Key: []byte(from), RangeEnd: []byte(keys.PrefixEnd(from)),
		KeysOnly: true})
	if err != nil {
		return fmt.Errorf("%s did not say which proxies are registered under %s: %s", r.members[0].addr, from, plain(err))
	}
	var addrs []string
	for _, kv := range resp.Kvs {
		addrs = append(addrs, strings.TrimPrefix(string(kv.Key), from))
	}
	if len(addrs) == 0 {
		r.note("no proxy is registered under %s", from)
	}
	return r.find(ctx, map[Role][]string{Proxy: addrs})
}

// looksAreFree finds out at the members whether a token that nobody gave out is refused: with authentication on, and by
// members of 3.4 always.
func (r *run) looksAreFree(ctx context.Context) bool {
	for _, m := range r.members {
		bounded, cancel := context.WithTimeout(as(ctx, nobody), m.timeout)
		_, err := m.kv.Range(bounded, &pb.RangeRequest{Key: []byte(r.Prefix), Serializable: true, Limit: 1})
		cancel()
		if !says(err, rpctypes.ErrGRPCInvalidAuthToken) {
			return false
		}
	}
	return true
}

func (r *run) namespace(p *node) string {
	if of, known := r.Namespaces[p.addr]; known {
		return of
	}
	return r.Namespaces[""]
}

func (r *run) readTruth(ctx context.Context, namespace string) error {
	if r.truths[namespace] != nil {
		return nil
	}
	t, err := readTruth(ctx, r.members, namespace, r.Prefix, r.History != nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoTruth, err)
	}
	r.truths[namespace] = t
	r.report.Revision, r.report.ClusterID = max(r.report.Revision, t.revision), fmt.Sprintf("%x", t.cluster)
	r.report.Keys += len(t.items)
	if t.denied {
		r.note("a member refuses to list %s to this identity: what proxies answer nevertheless is said to be %s",
			Key(r.Prefix), Identity)
	}
	return nil
}

// refuseOthers leaves out the endpoints of another cluster.
func (r *run) refuseOthers() {
	ours := func(n *node) bool { return n.row.ClusterID == "" || n.row.ClusterID == r.report.ClusterID }
	for _, n := range r.all {
		if !ours(n) {
			n.row.Error = fmt.Sprintf("it is of cluster %s, and truth of %s: it was not asked", n.row.ClusterID,
				r.report.ClusterID)
		}
	}
	r.proxies = slices.DeleteFunc(r.proxies, func(n *node) bool { return !ours(n) })
}

// subjects are what a namespace's proxies are asked for: what truth has, what it had, and what the caller names.
func (r *run) subjects(ctx context.Context, t *truth) *subjects {
	s := &subjects{prefix: r.Prefix}
	for _, i := range t.items {
		s.add(i.key)
	}
	s.add(r.deleted(ctx, t)...)
	if len(s.keys) > manyKeys {
		r.note("single keys were not asked for: there are %d", len(s.keys))
		if s.keys, s.parts = nil, !r.free; s.parts {
			r.note("nor was the list of all: a proxy that has not cached it would read and file it whole")
		}
	}
	for _, service := range r.Services {
		s.addService(strings.TrimSuffix(r.Prefix, "/") + "/" + strings.Trim(service, "/") + "/")
	}
	if r.History != nil {
		t.saveTruth(r.History, s)
	}
	return s
}

// ask asks every proxy: first what is already known, then for the services that only a proxy still names.
func (r *run) ask(ctx context.Context) error {
	var rounds []*asking
	about := map[string]*subjects{} // by namespace
	for namespace, t := range r.truths {
		about[namespace] = r.subjects(ctx, t)
	}
	planned := map[string]int{}
	for namespace, s := range about {
		planned[namespace] = len(s.asks(r.Forms))
	}
	for _, p := range r.proxies {
		rounds = append(rounds, &asking{node: p, truth: r.truths[r.namespace(p)], free: r.free,
			history: r.History})
	}
	r.each(rounds, func(p *asking) {
		p.freezes(ctx, r.Prefix, p.truth.compacted)
		p.trust(ctx)
		p.alone = r.LeaveNoTrace && !r.free && p.gauge != nil
	})
	rounds = slices.DeleteFunc(rounds, func(p *asking) bool {
		return !p.warn(planned[p.truth.namespace], r.LeaveNoTrace, r.Say)
	})
	asked := map[string]bool{} // a request, at a namespace's proxies
	for len(rounds) > 0 {
		fresh := map[string][]ask{}
		for namespace, s := range about {
			for _, a := range s.asks(r.Forms) {
				if id := namespace + "\x00" + a.bytes; !asked[id] {
					asked[id] = true
					fresh[namespace] = append(fresh[namespace], a)
				}
			}
		}
		if len(fresh) == 0 {
			break
		}
		r.each(rounds, func(p *asking) {
			asks := fresh[p.truth.namespace]
			r.of.Add(int64(len(asks)))
			p.all(ctx, asks, r.tell)
		})
		for _, p := range rounds {
			for _, e := range p.entries {
				for _, d := range e.Keys {
					about[p.truth.namespace].add(string(d.Key))
				}
			}
		}
	}
	if r.Heal {
		for _, p := range rounds {
			p.heal(ctx, r.Say)
		}
	}
	r.each(rounds, func(p *asking) {
		if p.alone {
			p.leave(ctx)
		}
		r.after(ctx, p)
	})
	for _, p := range rounds {
		r.report.Entries = append(r.report.Entries, p.entries...)
		r.report.Reads += p.asked
		p.row.Leaks = p.free && r.Token != "" && len(p.entries) > 0
	}
	for _, s := range about {
		r.report.Services += len(s.services)
	}
	return nil
}

// each calls f for every round at once.
func (r *run) each(rounds []*asking, f func(*asking)) {
	var all sync.WaitGroup
	for _, p := range rounds {
		all.Go(func() { f(p) })
	}
	all.Wait()
}

func (r *run) tell() {
	done := r.done.Add(1)
	if r.Progress != nil {
		r.Progress(done, r.of.Load())
	}
}

// after is what a proxy has cached in the end.
func (r *run) after(ctx context.Context, p *asking) {
	if p.gauge == nil {
		return
	}
	if c, err := p.gauge.read(ctx); err == nil {
		filed := c.misses - p.before.misses
		if p.free {
			filed = 0 // what was refused is not filed
		}
		p.row.After, p.row.Filed = &c.entries, &filed
	}
}

// deleted are the keys under the prefix that were deleted, where the member can say so cheaply.
func (r *run) deleted(ctx context.Context, t *truth) []string {
	if t.denied {
		return nil
	}
	if !r.LookBack && t.member.inUse() > smallEnough {
		r.note("services that are gone were not looked for in the history: %s has %d MB in use; --service NAME asks for "+
			"one, --history looks nevertheless", t.member.addr, t.member.inUse()>>20)
		return nil
	}
	gone, whole, err := t.deleted(ctx)
	switch {
	case err != nil:
		r.note("the history was not read: %s", plain(err))
	case !whole:
		r.note("the history was read for %s and not to its end: it named %s", r.Timeout, text.Count(len(gone), "deleted key"))
	}
	return gone
}
