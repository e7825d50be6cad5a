package fresh

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
)

// Mode is how a proxy answers serializable reads.
type Mode string

const (
	Stock      Mode = "stock"      // from etcd's own cache
	Off        Mode = "off"        // from the member that is asked
	Revalidate Mode = "revalidate" // from what is kept once the members have confirmed it: see NewRevalidate
	Consistent Mode = "consistent" // from a watched cache, linearizably: see Fenced
	Coherent   Mode = "coherent"   // from a watched cache, at most so much too old
)

// Choice is what an operator says of the cache on the command line of grpc-proxy start. Stock is where nothing is said:
// a program that is exchanged changes nothing of what reads cost and of what they need.
type Choice struct {
	Mode         Mode
	MaxStaleness time.Duration // of Coherent
	MaxBytes     int64         // of what Revalidate, Consistent and Coherent keep, as an estimate; 0 is 64 MiB
}

const (
	modeFlag      = "experimental-kv-cache"
	stalenessFlag = "experimental-kv-cache-max-staleness"
	bytesFlag     = "experimental-kv-cache-max-bytes"
)

// Flags adds the flags of a Choice.
func (c *Choice) Flags(flags *pflag.FlagSet) {
	flags.StringVar((*string)(&c.Mode), modeFlag, string(Stock), "How serializable reads are answered: stock (from a "+
		"cache that other proxies' writes, and leases that end, do not clear), off (from the member that is asked), "+
		"revalidate (from what is kept, once the members have confirmed it), consistent (from a watched cache, as "+
		"linearizable reads are), coherent (from a watched cache, not older than the staleness allowed).")
	flags.DurationVar(&c.MaxStaleness, stalenessFlag, 250*time.Millisecond,
		"With --experimental-kv-cache=coherent: how much older than its request an answer may be.")
	flags.Int64Var(&c.MaxBytes, bytesFlag, defaultMaxBytes, "With --experimental-kv-cache=revalidate, consistent or "+
		"coherent: how much memory the kept answers may take, as an estimate. Those used least recently go first.")
}

// Check says of flags that were parsed why they cannot be.
func (c *Choice) Check(flags *pflag.FlagSet) error {
	const refused = "invalid " + modeFlag + " %q: %s"
	if !slices.Contains([]Mode{Stock, Off, Revalidate, Consistent, Coherent}, c.Mode) {
		return fmt.Errorf(refused, c.Mode, "it may be stock, off, revalidate, consistent or coherent")
	}
	if flags.Changed(stalenessFlag) {
		switch {
		case c.Mode != Coherent:
			return fmt.Errorf("invalid %s %s: it is given with %s=coherent, and %s has no staleness to bound",
				stalenessFlag, c.MaxStaleness, modeFlag, c.Mode)
		case c.MaxStaleness < 0:
			return fmt.Errorf("invalid %s %s: no answer is newer than its request", stalenessFlag, c.MaxStaleness)
		case c.MaxStaleness == 0:
			return fmt.Errorf("invalid %s 0s: %s=consistent is the cache without staleness", stalenessFlag, modeFlag)
		}
	}
	if flags.Changed(bytesFlag) {
		switch {
		case c.Mode == Stock || c.Mode == Off:
			return fmt.Errorf("invalid %s %d: %s has no answers to bound", bytesFlag, c.MaxBytes, c.Mode)
		case c.MaxBytes <= 0:
			return fmt.Errorf("invalid %s %d: %s=off is without a cache", bytesFlag, c.MaxBytes, modeFlag)
		}
	}
	if c.Mode == Stock {
		return nil
	}
	if f := flags.Lookup("experimental-leasing-prefix"); f != nil && f.Value.String() != "" {
		return fmt.Errorf(refused, c.Mode,
			"experimental-leasing-prefix answers in the members' place, from a cache of its own")
	}
	for _, other := range []string{"enable-kv-cache", "confirm-kv-cache"} {
		if flags.Changed(other) {
			return fmt.Errorf(refused, c.Mode, other+" is about the stock cache, of which this takes the place")
		}
	}
	return nil
}

// NewServer makes the KV server that is chosen, with its metrics. Both are nil for Stock. The client has the prefix of
// the namespace around its KV already; watch makes a client for a watch alone, where there is one.
func (c *Choice) NewServer(ctx context.Context, client *clientv3.Client, watch func() *clientv3.Client,
	prefix string) (pb.KVServer, prometheus.Collector) {
	switch m := (metrics{mode: c.Mode}); c.Mode {
	case Off:
		kv := &off{passOn: passOn{kv: client.KV}}
		m.now = kv.stats
		return kv, m
	case Revalidate:
		kv, _ := NewRevalidate(ctx, client, RevalidateOptions{MaxBytes: c.MaxBytes})
		m.now = kv.(*revalidate).stats
		return kv, m
	case Consistent, Coherent:
		o := FencedOptions{Watch: watch(), MaxBytes: c.MaxBytes}
		if c.Mode == Coherent {
			o.MaxStaleness = c.MaxStaleness
		}
		f := NewFenced(ctx, client, o)
		m.now = func() stats { return statsOf(f.Stats()) }
		if prefix == "" {
			return f, m
		}
		within := clientv3.NewKVFromKVClient(adapter.KvServerToKvClient(copied{f}), client)
		return passOn{kv: namespace.NewKV(within, prefix)}, m
	}
	return nil, nil
}

// copied gives each reader an answer of its own: a namespace takes its prefix off in place.
type copied struct{ pb.KVServer }

func (s copied) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	resp, err := s.KVServer.Range(ctx, r)
	if err != nil {
		return nil, err
	}
	return proto.Clone(resp).(*pb.RangeResponse), nil
}
