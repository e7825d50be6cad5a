package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"

	"ghostroute/harness/link"
	"ghostroute/harness/port"
	"ghostroute/harness/process"
	"ghostroute/harness/relay"
	"ghostroute/harness/wait"
)

// surround makes what stands around the process and stays when that restarts.
func (p *Proxy) surround() (err error) {
	if why := p.cfg.Variant.Lacks(p.cfg.Program); why != "" {
		return fmt.Errorf("%s cannot be a process: %s", p.cfg.Variant, why)
	}
	p.outside = &outside{proxy: p, calls: map[int]*call{}, rears: map[string]*relay.Relay{}}
	p.outside.inner, err = port.ReserveForProcess()
	return err
}

func (o *outside) close() error {
	for _, r := range o.all {
		r.Close()
	}
	if o.inner == nil {
		return nil
	}
	return o.inner.Close()
}

// behind is what is behind a proxy's link to a member: the relay before that; or the member itself, where the proxy
// does not know RPCs from bytes.
func (p *Proxy) behind(u Upstream) link.Target {
	if p.cfg.Variant.Relays {
		return link.To("tcp", u.Addr)
	}
	return func(ctx context.Context) (net.Conn, error) {
		addr := p.outside.rear(u.Name)
		if addr == "" {
			return nil, fmt.Errorf("proxy %s is not to ask %s", p.cfg.Name, u.Name)
		}
		return link.To("tcp", addr)(ctx)
	}
}

// streams are etcd's methods that have more than one request and one answer: no gate but a watch's holds them.
var streams = streamsOf(pb.KV_ServiceDesc, pb.Watch_ServiceDesc, pb.Lease_ServiceDesc, pb.Cluster_ServiceDesc,
	pb.Maintenance_ServiceDesc, pb.Auth_ServiceDesc, v3electionpb.Election_ServiceDesc, v3lockpb.Lock_ServiceDesc)

func streamsOf(services ...grpc.ServiceDesc) map[string]bool {
	streams := map[string]bool{}
	for _, s := range services {
		for _, m := range s.Streams {
			streams[fmt.Sprintf("/%s/%s", s.ServiceName, m.StreamName)] = true
		}
	}
	return streams
}

// spawn starts the process, in the place of wire.
func (p *Proxy) spawn(ctx context.Context, r *running) error {
	var ways []string
	for _, u := range p.cfg.Upstream {
		ways = append(ways, p.links[u.Name].Addr())
	}
	args := []string{"grpc-proxy", "start", "--endpoints", strings.Join(ways, ","), "--listen-addr",
		p.outside.inner.Addr(), "--advertise-client-url", p.Addr(), "--data-dir", filepath.Join(p.cfg.Dir, p.cfg.Name)}
	args = append(args, p.cfg.Variant.flags(p.cfg.Program)...)
	listens := p.outside.inner.Addr()
	if p.cfg.Variant.Relays {
		args = []string{"gateway", "start", "--endpoints", strings.Join(ways, ","), "--listen-addr", p.Addr()}
		listens = p.Addr()
	}
	proc, err := p.cfg.Program.Start(p.cfg.Name, p.cfg.Dir, filepath.Join(p.cfg.Dir, p.cfg.Name+".log"), args...)
	if err != nil {
		return err
	}
	if err = proc.Listens(ctx, listens); err == nil && !p.cfg.Variant.Relays {
		err = p.front(r, proc)
	}
	if err != nil {
		proc.Kill()
		return err
	}
	r.serve = func() error { <-proc.Done(); return nil }
	if r.stop == nil {
		r.stop = func() { p.ended(proc) }
	}
	return nil
}

// ended ends the process, and keeps why if it did so by itself.
func (p *Proxy) ended(proc *process.Process) {
	p.died = errors.Join(p.died, proc.Err())
	proc.Kill()
}

// front opens the way in.
func (p *Proxy) front(r *running, proc *process.Process) error {
	inner := p.outside.inner.Addr()
	ask, err := grpc.NewClient("passthrough:///"+inner, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	l, err := p.port.Listen()
	if err != nil {
		return errors.Join(err, ask.Close())
	}
	front := relay.Start(relay.Config{Listener: l, To: link.To("tcp", inner), Open: p.outside.enters})
	r.stop = func() {
		p.ended(proc)
		front.Close()
		_ = ask.Close() // it fails where it was closed
	}
	r.reach = func(ctx context.Context, yes bool) error { return p.outside.reaches(ctx, ask, yes) }
	r.peek = func(ctx context.Context, req *pb.RangeRequest) *pb.RangeResponse {
		n := p.outside.begin(&call{peek: true})
		defer p.outside.end(n)
		resp, err := pb.NewKVClient(ask).Range(metadata.AppendToOutgoingContext(ctx, token, numbered("", n)), req)
		if err != nil {
			return nil
		}
		return resp
	}
	return nil
}

// reachedWithin is how long a process has to say whether it reaches a member: one that dials into a black hole says
// nothing, for the twenty seconds that gRPC gives a dial.
const reachedWithin = 2 * time.Second

// reaches waits until the process asks members and is answered, or is not. It asks them in turn: as many answers in a
// row as there are members came over every connection that it would take.
func (o *outside) reaches(ctx context.Context, ask *grpc.ClientConn, yes bool) error {
	return wait.For(ctx, func() string {
		for range o.proxy.links {
			once, done := context.WithTimeout(ctx, reachedWithin)
			_, err := pb.NewMaintenanceClient(ask).Status(once, &pb.StatusRequest{})
			done()
			// With authentication on a member answers that it was asked by nobody.
			code := status.Code(err)
			if reached := code != codes.Unavailable && code != codes.DeadlineExceeded; reached != yes {
				return fmt.Sprintf("it reaches a member: %v (%v)", reached, err)
			}
		}
		return ""
	})
}
