// Package probe finds out which grpc-proxy of a cluster answers what is not so any more, by asking each as its clients
// do and comparing with a member. It needs no bench: it is pointed at anybody's cluster, in the middle of an incident.
//
// What it never does: it makes no linearizable read through a proxy, for that would heal what it looks at; it compacts
// nothing, writes nothing and lengthens no lease. A serializable read of what a proxy has not cached is filed there:
// where that cannot be avoided it is said before, and --leave-no-trace takes it out again.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"sync/atomic"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
)

// Config is what is probed, and how. The zero value of each field but the endpoints is what is usual.
type Config struct {
	Endpoints []string // members and proxies: which is which is found out
	Members   []string // known to be members
	Proxies   []string // known to be proxies

	Prefix         string            // keys.Registry where it is ""
	Services       []string          // to ask for beside those that are found: ones that are gone
	Forms          []Form            // none: go-micro, and register too where a look is free
	Namespaces     map[string]string // of proxies that have --namespace, by endpoint; "" stands for all others
	Connections    int               // to each proxy, which may be several behind one address; 1 where it is 0
	ResolverPrefix string            // proxies registered in etcd under it are asked, too
	LookBack       bool              // deleted services are looked for however large the database is

	TLS            *tls.Config
	User, Password string
	Token          string        // a JWT, in place of User and Password
	Timeout        time.Duration // of one call; 5 s where it is 0
	DialTimeout    time.Duration // of a connection; 2 s where it is 0

	Heal         bool
	LeaveNoTrace bool

	History *history.History // what was read is written to it. May be nil

	Say      func(string)         // is told before anything is done that may change a proxy. May be nil
	Progress func(done, of int64) // may be nil
}

// run is one run of a probe.
type run struct {
	Config
	report  *Report
	all     []*node
	members []*node
	proxies []*node
	truths  map[string]*truth // by namespace
	free    bool              // see nobody
	done    atomic.Int64
	of      atomic.Int64
}

// manyKeys is up to how many keys each is asked for by itself: a proxy has at most 2048 answers (cache/store.go,
// DefaultMaxEntries).
const manyKeys = 50_000

// ErrNoTruth is why nothing can be compared.
var ErrNoTruth = errors.New("no member was read, and what proxies say cannot be compared with one another")

// ErrNoProxy is why nothing was asked.
var ErrNoProxy = errors.New("no proxy was reached, and nothing was asked")

// Run probes once. An endpoint that is not reached is a row of the report; an error is of the whole. The report is
// there with an error, too, with what was found out.
func Run(ctx context.Context, c Config) (*Report, error) {
	r := &run{Config: c, truths: map[string]*truth{}}
	if r.Prefix == "" {
		r.Prefix = keys.Registry
	}
	if r.Timeout <= 0 {
		r.Timeout = 5 * time.Second
	}
	if r.DialTimeout <= 0 {
		r.DialTimeout = 2 * time.Second
	}
	if r.Say == nil {
		r.Say = func(string) {}
	}
	r.report = &Report{Prefix: Key(r.Prefix), Notes: []string{}, Endpoints: []*Endpoint{}, Entries: []*Entry{}}
	defer func() {
		for _, n := range r.all {
			n.close()
			if n.gauge != nil {
				n.gauge.close()
			}
		}
	}()
	err := r.run(ctx)
	r.report.finish()
	if err == nil {
		err = ctx.Err()
	}
	return r.report, err
}
