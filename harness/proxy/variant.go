package proxy

import (
	"cmp"
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	patched "ghostroute/harness/grpcproxy"
	"ghostroute/harness/text"
)

// Variant is how a proxy differs from stock: a flag that etcd has, a proposed patch, or our own. The zero Variant is
// stock. Each is made by a function in a file of its own.
type Variant struct {
	Name   string // "ttl"; "" is stock
	Source string // who proposed it, or where etcd has it
	Claim  string // what it is said to cure

	Relays    bool          // it passes bytes on: it has no cache, no RPC to hold, and chooses its member by itself
	Age       time.Duration // how long an entry of its cache is good for once it was confirmed; 0 is for ever
	Asks      time.Duration // when a hit has it ask whether it is good still, in the background; 0 is never
	DeleteRPC string        // what a client's DeleteRange is on its way to etcd; "" is "DeleteRange"
	NeedsUser string        // why it does not work with authentication on, a proxy having no user; "" where it does
	Flags     []string      // of etcd grpc-proxy start: how a process of its own comes to be it

	Cures patched.Cures // what of its watch and lease server is cured

	client func(ctx context.Context, w *Wiring) error // wraps the upstream client before anything is built on it
	kv     func(w *Wiring) pb.KVServer                // takes the place of grpcproxy.NewKvProxy
	serve  func(p *Proxy, r *running) error           // takes the place of the whole gRPC proxy
}

// Stock is grpc-proxy as it is.
func Stock() Variant { return Variant{} }

// String is the variant's name, "stock" for the zero one.
func (v Variant) String() string {
	if v.Name == "" {
		return "stock"
	}
	return v.Name
}

// Misleads is for how long an entry of its cache is certain to be answered with once it was confirmed; 0 is for ever.
func (v Variant) Misleads() time.Duration { return cmp.Or(v.Asks, v.Age) }

// Internal says why a proxy that is a process of its own cannot be this variant, "" where it can.
func (v Variant) Internal() string {
	if v.client == nil && v.kv == nil && v.Cures == (patched.Cures{}) || v.Flags != nil {
		return ""
	}
	return "no flag of etcd's makes it: what it changes is changed inside this process"
}

// Wiring is what a variant may change while a proxy is put together.
type Wiring struct {
	Name   string           // the proxy's name
	Ctx    context.Context  // ends when the proxy stops
	Client *clientv3.Client // the upstream client

	unary []grpc.UnaryServerInterceptor
	run   *running
}

// Intercept adds a server interceptor, inside provenance.
func (w *Wiring) Intercept(i grpc.UnaryServerInterceptor) { w.unary = append(w.unary, i) }

// Own starts a goroutine that the proxy waits for when it stops; it must end with Ctx.
func (w *Wiring) Own(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	w.run.after = append(w.run.after, func() { <-done })
}

// After is called when the proxy stops, after its server ended and before its client is closed.
func (w *Wiring) After(f func()) { w.run.after = append(w.run.after, f) }

// Variants lists every variant with its default parameters, stock first. They are made once a call: none has state.
func Variants() []Variant {
	return []Variant{Stock(), Ordering(), Leasing(""), Upgrade(), CacheOff(), TTL(0), InvalidateAfter(), ByIdentity(),
		Watching(), OpenEnded(), Revalidate(), Consistent(), Coherent(0), L4()}
}

// VariantNamed finds a variant, of Variants or Cured, by its name.
func VariantNamed(name string) (Variant, error) {
	return text.Find("proxy variant", name, append(Variants(), Cured()...), Variant.String)
}
