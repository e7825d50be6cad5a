package fresh_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"

	"ghostroute/harness/proxy/fresh"
)

// checked is what the drop-in says of a command line.
func checked(t *testing.T, args string) (fresh.Choice, error) {
	t.Helper()
	var c fresh.Choice
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.Flags(flags)
	flags.String("experimental-leasing-prefix", "", "")
	flags.Bool("enable-kv-cache", true, "")
	flags.Bool("confirm-kv-cache", false, "")
	require.NoError(t, flags.Parse(strings.Fields(args)))
	return c, c.Check(flags)
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	const mode, staleness = "--experimental-kv-cache=", " --experimental-kv-cache-max-staleness="
	const bytes = " --experimental-kv-cache-max-bytes="
	for args, want := range map[string]string{
		mode + "fresh":                               `invalid experimental-kv-cache "fresh": it may be stock, off`,
		mode + "":                                    `invalid experimental-kv-cache "": it may be`,
		mode + "coherent" + staleness + "-1s":        "max-staleness -1s: no answer is newer than its request",
		mode + "coherent" + staleness + "0":          "max-staleness 0s: experimental-kv-cache=consistent is",
		mode + "consistent" + staleness + "1s":       "and consistent has no staleness",
		staleness + "250ms":                          "and stock has no staleness to bound",
		bytes + "1":                                  "max-bytes 1: stock has no answers to bound",
		mode + "off" + bytes + "1":                   "max-bytes 1: off has no answers to bound",
		mode + "revalidate" + bytes + "0":            "max-bytes 0: experimental-kv-cache=off is without a cache",
		mode + "off --experimental-leasing-prefix=x": `cache "off": experimental-leasing-prefix answers`,
		mode + "revalidate --enable-kv-cache=false":  `cache "revalidate": enable-kv-cache is about the stock cache`,
		mode + "coherent --confirm-kv-cache":         `cache "coherent": confirm-kv-cache is about the stock cache`,
	} {
		_, err := checked(t, args)
		require.ErrorContains(t, err, want, args)
	}
	for args, want := range map[string]fresh.Mode{
		"": fresh.Stock, "--experimental-leasing-prefix=x --enable-kv-cache=false": fresh.Stock, mode + "off": fresh.Off,
		mode + "revalidate": fresh.Revalidate, mode + "coherent" + staleness + "1s": fresh.Coherent,
		mode + "consistent": fresh.Consistent,
	} {
		c, err := checked(t, args)
		require.NoError(t, err, args)
		require.Equal(t, want, c.Mode)
	}
	c, err := checked(t, mode+"consistent"+bytes+"1000000")
	require.NoError(t, err)
	require.EqualValues(t, 1_000_000, c.MaxBytes)
}

// told is what a mode's metrics say, by name and label.
func told(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(c))
	all, err := r.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range all {
		for _, m := range family.Metric {
			name := strings.TrimPrefix(family.GetName(), "etcd_grpc_proxy_kv_cache_")
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values
}

// In each mode, in a namespace and out of one, a change behind the proxy's back is seen, what is said of the reads adds
// up, and no reader is given what another may have changed.
func TestModes(t *testing.T) {
	for _, prefix := range []string{"", "ns/"} {
		for _, mode := range []fresh.Mode{fresh.Off, fresh.Revalidate, fresh.Consistent} {
			t.Run(string(mode)+" "+prefix, func(t *testing.T) {
				s := start(t, 1, byDefault)
				client, err := clientv3.New(clientv3.Config{Endpoints: s.up.Endpoints(), Logger: zap.NewNop()})
				require.NoError(t, err)
				defer client.Close()
				if prefix != "" {
					client.KV = namespace.NewKV(client.KV, prefix)
				}
				c := fresh.Choice{Mode: mode}
				ctx, end := context.WithCancel(s.ctx)
				defer end()
				kv, stats := c.NewServer(ctx, client, func() *clientv3.Client { return s.up }, prefix)
				if mode == fresh.Consistent {
					require.Eventually(t, func() bool { return told(t, stats)["watch_stands"] == 1 },
						20*time.Second, time.Millisecond)
				}
				read := func(want ...string) {
					t.Helper()
					r, err := kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), Serializable: true})
					require.NoError(t, err)
					var got []string
					for _, x := range r.Kvs {
						got = append(got, string(x.Key)+"="+string(x.Value))
					}
					require.Equal(t, want, got)
				}
				s.put(prefix+"k1", "a")
				read("k1=a")
				read("k1=a")
				read("k1=a")
				s.put(prefix+"k2", "b")
				read("k1=a", "k2=b")
				_, err = kv.Put(s.ctx, &pb.PutRequest{Key: []byte("k2"), Value: []byte("c")})
				require.NoError(t, err)
				read("k1=a", "k2=c")
				want := map[fresh.Mode]map[string]float64{
					fresh.Off:        {"mode off": 1, "passed_total off": 5},
					fresh.Revalidate: {"mode revalidate": 1, "hits_total": 4, "confirmed_total": 2, "misses_total": 1, "answers": 1},
					fresh.Consistent: {"mode consistent": 1, "hits_total": 2, "misses_total": 3, "watch_stands": 1},
				}[mode]
				got := told(t, stats)
				for name, n := range want {
					require.Equal(t, n, got[name], "%s: %v", name, got)
				}
				require.Equal(t, mode != fresh.Off, got["kept_bytes"] > 0)
				_, aged := got["fence_age_seconds"]
				require.Equal(t, mode == fresh.Consistent, aged)
			})
		}
	}
	var stock fresh.Choice
	stock.Mode = fresh.Stock
	kv, stats := stock.NewServer(t.Context(), nil, nil, "")
	require.Nil(t, kv)
	require.Nil(t, stats)
}
