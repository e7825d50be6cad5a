// Package cachebench measures what a proxy's cache is worth: variants of the proxy side by side on the same members, by
// how many clients read at a time, how many keys an answer has, and how many ranges are read. Members, proxies and
// clients share one machine, so what a client spends on reading an answer is in the figures, the same for every
// variant.
package cachebench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
)

// Config says what is measured. Every field is required.
type Config struct {
	Variants []proxy.Variant
	Clients  []int         // how many read at a time, each over its own connection
	Layouts  []Layout      // what they read
	For      time.Duration // how long each variant is read in each case
	Dir      string        // the members' scratch folder
	Tell     func(string)  // is told of each case that is done

	// Program is what members run as processes of their own, so that what they work is counted; the zero Program is
	// embedded servers.
	Program program.Program
}

// Layout is what is read: so many ranges of so many keys, 100 bytes each.
type Layout struct{ Ranges, Keys int }

// String is "1×100" for one range of a hundred keys.
func (l Layout) String() string { return fmt.Sprintf("%d×%d", l.Ranges, l.Keys) }

// Layouts are one range of three sizes, and a thousand ranges.
func Layouts() []Layout { return []Layout{{1, 10}, {1, 100}, {1, 1000}, {1000, 10}} }

func (l Layout) key(r, k int) []byte { return fmt.Appendf(nil, "/%s/%04d/%04d", l, r, k) }

func (l Layout) request(r int) *pb.RangeRequest {
	return &pb.RangeRequest{Key: fmt.Appendf(nil, "/%s/%04d/", l, r), RangeEnd: fmt.Appendf(nil, "/%s/%04d0", l, r),
		Serializable: true}
}

// Figures are what one variant came to in one case.
type Figures struct {
	Variant          string
	Clients          int
	Layout           Layout
	Reads            float64       // a second
	P50, P99         time.Duration // of a read, hit or not
	MissP50, MissP99 time.Duration // of the first read after a write through the same proxy, with nobody else reading
	Asked, Bytes     float64       // requests to the members and bytes from them, a read
	CPU              time.Duration // of all members, a thousand reads; 0 where they are embedded
}

// writeEvery is how many reads a client makes for each put into what it reads.
const writeEvery = 100

// rounds is how often the variants take turns in a case, so that none has a busier moment than the others.
const rounds = 3

// misses is how many misses are timed.
const misses = 60

// Run measures every case, the variants in turn.
func Run(ctx context.Context, cfg Config) (all []Figures, err error) {
	h := history.New()
	cluster, err := etcd.Start(ctx, etcd.Config{Members: 3, Dir: cfg.Dir, History: h,
		Programs: program.Alike(cfg.Program)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	for _, l := range cfg.Layouts {
		if err := fill(ctx, cluster.Client(), l); err != nil {
			return nil, err
		}
	}
	var sides []*side
	defer func() {
		for _, s := range sides {
			err = errors.Join(err, s.close())
		}
	}()
	for _, v := range cfg.Variants {
		s, err := open(ctx, cluster, h, v, slices.Max(cfg.Clients))
		if err != nil {
			return nil, err
		}
		sides = append(sides, s)
	}
	for _, l := range cfg.Layouts {
		miss := make([][]time.Duration, len(sides))
		for i, s := range sides {
			if miss[i], err = s.miss(ctx, l); err != nil {
				return nil, err
			}
		}
		for _, clients := range cfg.Clients {
			took := make([]work, len(sides))
			for range rounds {
				for i, s := range sides {
					before, err := cpu(cluster)
					if err == nil {
						err = took[i].add(s.read(ctx, l, clients, cfg.For/rounds))
					}
					after, err2 := cpu(cluster)
					if err = errors.Join(err, err2); err != nil {
						return nil, fmt.Errorf("%s, %d clients at %s: %w", s.variant, clients, l, err)
					}
					took[i].cpu += after - before
				}
			}
			for i, s := range sides {
				all = append(all, took[i].figures(s.variant, clients, l, miss[i]))
			}
			cfg.Tell(fmt.Sprintf("%d clients at %s", clients, l))
		}
	}
	return all, nil
}

// cpu is what members that are processes have worked.
func cpu(c *etcd.Cluster) (time.Duration, error) {
	if c.Programs() == (program.Members{}) {
		return 0, nil
	}
	return c.CPU()
}

// fill writes a layout, in transactions of as many puts as etcd allows.
func fill(ctx context.Context, c *clientv3.Client, l Layout) error {
	var ops []clientv3.Op
	for r := range l.Ranges {
		for k := range l.Keys {
			ops = append(ops, clientv3.OpPut(string(l.key(r, k)), rand.Text()+rand.Text()+rand.Text()+rand.Text()[:22]))
		}
	}
	for batch := range slices.Chunk(ops, 128) {
		if _, err := c.Txn(ctx).Then(batch...).Commit(); err != nil {
			return err
		}
	}
	return nil
}

// side is one variant's proxy with its clients.
type side struct {
	variant string
	proxy   *proxy.Proxy
	up      *upstream
	conns   []*grpc.ClientConn
}

func open(ctx context.Context, c *etcd.Cluster, h *history.History, v proxy.Variant, clients int) (*side, error) {
	s := &side{variant: v.String(), up: &upstream{}}
	cfg := proxy.Config{Name: v.String(), Variant: v, History: h, Bare: true, Stats: s.up}
	for _, m := range c.Members {
		cfg.Upstream = append(cfg.Upstream, proxy.Upstream{Name: m.Name, Addr: m.Endpoint(), ID: m.ID()})
	}
	var err error
	if s.proxy, err = proxy.Start(ctx, cfg); err != nil {
		return nil, err
	}
	for range clients {
		conn, err := grpc.NewClient("passthrough:///"+s.proxy.Addr(),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.conns = append(s.conns, conn)
	}
	return s, nil
}

func (s *side) close() error {
	var err error
	for _, c := range s.conns {
		err = errors.Join(err, c.Close())
	}
	return errors.Join(err, s.proxy.Close())
}

// miss times reads of what has just been written through the same proxy.
func (s *side) miss(ctx context.Context, l Layout) (took []time.Duration, err error) {
	kv := pb.NewKVClient(s.conns[0])
	for n := range misses {
		r := n % l.Ranges
		if _, err := kv.Put(ctx, &pb.PutRequest{Key: l.key(r, 0), Value: []byte("new")}); err != nil {
			return nil, err
		}
		began := time.Now()
		if _, err := kv.Range(ctx, l.request(r)); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// work is what clients did, and what it took.
type work struct {
	reads        []time.Duration
	lasted, cpu  time.Duration
	asked, bytes int64
}

// read has clients read for a time, each a range after another, and write now and then.
func (s *side) read(ctx context.Context, l Layout, clients int, lasts time.Duration) (work, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make([][]time.Duration, clients)
	began, asked, bytes := time.Now(), s.up.asked.Load(), s.up.bytes.Load()
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			kv := pb.NewKVClient(s.conns[i])
			for n := i * 37; time.Since(began) < lasts && ctx.Err() == nil; n++ { // they do not all write at once
				r := (n * 13) % l.Ranges
				if n%writeEvery == 0 {
					put := &pb.PutRequest{Key: l.key(r, n%l.Keys), Value: []byte("a hundred bytes it is not")}
					if _, err := kv.Put(ctx, put); err != nil {
						cancel(err)
					}
				}
				at := time.Now()
				resp, err := kv.Range(ctx, l.request(r))
				if err == nil && len(resp.Kvs) != l.Keys {
					err = fmt.Errorf("range %d has %d keys of %d", r, len(resp.Kvs), l.Keys)
				}
				if err != nil {
					cancel(err)
					return
				}
				took[i] = append(took[i], time.Since(at))
			}
		})
	}
	group.Wait()
	return work{reads: slices.Concat(took...), lasted: time.Since(began), asked: s.up.asked.Load() - asked,
		bytes: s.up.bytes.Load() - bytes}, context.Cause(ctx)
}

func (w *work) add(more work, err error) error {
	w.reads = append(w.reads, more.reads...)
	w.lasted, w.asked, w.bytes = w.lasted+more.lasted, w.asked+more.asked, w.bytes+more.bytes
	return err
}

func (w *work) figures(variant string, clients int, l Layout, miss []time.Duration) Figures {
	reads := float64(len(w.reads))
	return Figures{Variant: variant, Clients: clients, Layout: l, Reads: reads / w.lasted.Seconds(),
		P50: quantile(w.reads, 50), P99: quantile(w.reads, 99), MissP50: quantile(miss, 50), MissP99: quantile(miss, 99),
		Asked: float64(w.asked) / reads, Bytes: float64(w.bytes) / reads,
		CPU: time.Duration(float64(w.cpu) * 1000 / reads)}
}

// quantile is the time within which so many of a hundred were done. It sorts them.
func quantile(took []time.Duration, percent int) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[(len(took)-1)*percent/100]
}

// upstream counts what a proxy asks of the members, and the bytes of their answers on the wire. A watch's events count
// among the bytes.
type upstream struct{ asked, bytes atomic.Int64 }

func (u *upstream) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (u *upstream) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (u *upstream) HandleConn(context.Context, stats.ConnStats)                       {}

func (u *upstream) HandleRPC(_ context.Context, s stats.RPCStats) {
	switch s := s.(type) {
	case *stats.Begin:
		u.asked.Add(1)
	case *stats.InPayload:
		u.bytes.Add(int64(s.WireLength))
	}
}
