package beyond

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/naming/resolver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/history"
	"ghostroute/harness/port"
	"ghostroute/harness/promise"
)

// naming: etcd's own gRPC resolver (client/v3/naming), with no go-micro anywhere. It lists serializably, watches from
// the next revision, and is done when the watch is (endpoints_impl.go:96-130, resolver.go:89-91).
func naming() []Scenario {
	const seen = "found by reading, and then run; etcd's own resolver"
	return []Scenario{
		{
			Name: "naming", N: "resolver", Title: "etcd's own gRPC resolver starts on a cached list",
			Seen: seen,
			Cause: "kv.go:49 answers its list from the cache; client/v3/naming/endpoints/endpoints_impl.go:147 then replays " +
				"what it missed",
			Text: "greeter runs as a and b. g1 resolves it through the proxy. a and b leave and c comes, which the proxy " +
				"is not " +
				"told. g2 starts, is answered the old list, and its watch brings it up to date.",
			Clients: []string{"g2"},
			Proofs:  []promise.Proof{{What: "calls of g2", Shows: called}},
			Act:     func(b *Bench) error { return b.rollout(false) },
		},
		{
			Name: "naming-compacted", N: "resolver",
			Title: "etcd's own gRPC resolver starts on a cached list, and history is compacted",
			Seen:  seen,
			Cause: "kv.go:49 answers its list from the cache; its watch from the next revision ends as compacted, and " +
				"client/v3/naming/endpoints/endpoints_impl.go:141, resolver/resolver.go:89 leave it at that",
			Text: "As naming, and history is compacted after c has come, as every Kubernetes does each five minutes. g2 " +
				"calls a and " +
				"b until it is restarted, and then again.",
			Clients: []string{"g2"},
			Proofs: []promise.Proof{{What: "calls of g2", Shows: called},
				{What: "a compaction on a member", Shows: wrote("compact", "")}},
			Act: func(b *Bench) error { return b.rollout(true) },
		},
	}
}

const greeter = "svc/greeter"

func called(e history.Event) bool { return e.Request != nil && e.Who == "g2" }

// rollout has the instances of greeter replaced, and a client of its own resolve and call it before and after.
func (b *Bench) rollout(compact bool) error {
	for _, id := range []string{"a", "b"} {
		if err := b.register(id); err != nil {
			return err
		}
	}
	if err := b.calls("g1", 2); err != nil {
		return err
	}
	for _, id := range []string{"a", "b"} {
		if err := b.leave(id); err != nil {
			return err
		}
	}
	if err := b.register("c"); err != nil {
		return err
	}
	if compact {
		r, err := b.Cluster.Truth(b.ctx, greeter+"/c")
		if err != nil {
			return err
		}
		if err := b.compact(r.Header.Revision); err != nil {
			return err
		}
	}
	return b.calls("g2", 20)
}

// instance is a gRPC server that says its name.
type instance struct {
	port   *port.Port
	server *grpc.Server
	done   chan struct{}
}

// register starts an instance and registers it on a member.
func (b *Bench) register(id string) error {
	p, err := port.Reserve()
	if err != nil {
		return err
	}
	l, err := p.Listen()
	if err != nil {
		return errors.Join(err, p.Close())
	}
	i := &instance{port: p, done: make(chan struct{}), server: grpc.NewServer(grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := grpc.SetHeader(ctx, metadata.Pairs("instance", id)); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		}))}
	grpc_health_v1.RegisterHealthServer(i.server, health.NewServer())
	go func() {
		defer close(i.done)
		_ = i.server.Serve(l) // ends by stop
	}()
	b.keeping = append(b.keeping, func() { i.stop(); _ = p.Close() })
	b.instances[id] = i
	m, err := b.endpoints()
	if err != nil {
		return err
	}
	return m.AddEndpoint(b.ctx, greeter+"/"+id, endpoints.Endpoint{Addr: p.Addr()})
}

func (i *instance) stop() {
	i.server.Stop()
	<-i.done
}

// leave deregisters an instance on a member and stops it. Its port stays reserved: nobody else answers there.
func (b *Bench) leave(id string) error {
	m, err := b.endpoints()
	if err != nil {
		return err
	}
	if err := m.DeleteEndpoint(b.ctx, greeter+"/"+id); err != nil {
		return err
	}
	b.instances[id].stop()
	return nil
}

func (b *Bench) endpoints() (endpoints.Manager, error) {
	c, err := b.At(b.ctx, "m1")
	if err != nil {
		return nil, err
	}
	return endpoints.NewManager(c, greeter)
}

// calls has a program call greeter so many times. One that has not run yet starts, and resolves it with etcd's
// resolver.
func (b *Bench) calls(program string, n int) error {
	conn := b.conns[program]
	if conn == nil {
		c, err := b.client(program)
		if err != nil {
			return err
		}
		r, err := resolver.NewBuilder(c)
		if err != nil {
			return err
		}
		if conn, err = grpc.NewClient("etcd:///"+greeter, grpc.WithResolvers(r),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`)); err != nil {
			return err
		}
		b.conns[program] = conn
		b.keeping = append(b.keeping, func() { _ = conn.Close() })
	}
	for range n {
		b.call(program, conn)
		select {
		case <-b.ctx.Done():
			return context.Cause(b.ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// call is one call, and what became of it.
func (b *Bench) call(program string, conn *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	var md metadata.MD
	q := &history.Request{Began: b.History.Now(), Service: "greeter", Status: 200}
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{},
		grpc.Header(&md)); err != nil {
		q.Status, q.Err = 503, err.Error()
	}
	q.Instance = strings.Join(md.Get("instance"), " ")
	b.History.Add(history.Event{Who: program, Request: q})
}
