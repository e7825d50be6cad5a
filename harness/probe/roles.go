package probe

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Role is what an endpoint is.
type Role string

const (
	Member  Role = "member"
	Proxy   Role = "proxy"
	Unknown Role = "unknown" // it did not answer, and nobody said
)

// node is an endpoint and what was found out about it.
type node struct {
	*endpoint
	gauge *gauge // nil where its metrics cannot be read
	row   *Endpoint

	state  *pb.StatusResponse // nil where it did not say
	failed error              // why not
	listed bool               // it gave a member list
	cut    bool               // a proxy that reaches no member: it answers what it has cached and nothing else
	frozen bool               // see freezes
	before counts             // where there is a gauge
}

// findOut asks an endpoint what it is, by four calls at once that no cache takes part in, so that one which does not
// answer costs its time limit once. said is a role that the caller knows, or "".
//
// A proxy names itself with member ID 0 in its member list if it has an advertised address, or the proxies of its
// resolver prefix (server/proxy/grpcproxy/cluster.go); else it passes on its members' list. What tells any proxy is
// that errors lose their code on the way through it (13409): a read without a key is refused by a member with
// InvalidArgument, and with the same words and Unknown by a proxy. A read that is refused is not filed (kv.go, Range).
func (n *node) findOut(ctx context.Context, said Role, limit time.Duration) {
	if err := n.connect(ctx, limit); err != nil && !says(err, rpctypes.ErrGRPCEmptyKey) {
		n.row.Error = plain(err)
		n.dropGauge()
		if said != "" {
			n.row.Role, n.row.How = said, "it was said"
		}
		return
	}
	var keyless, metrics error
	atOnce(func() { n.describe(ctx) }, func() {
		_, keyless = n.read(ctx, &pb.RangeRequest{Serializable: true})
	}, func() {
		if n.gauge != nil {
			n.before, metrics = n.gauge.read(ctx)
		}
	})
	if metrics != nil {
		n.dropGauge()
	}
	if n.gauge != nil {
		n.row.Before = &n.before.entries
	}
	var signs []string
	if len(n.row.Names) > 0 {
		signs = append(signs, "its member list names "+strings.Join(n.row.Names, " ")+" with ID 0")
	}
	if RoleBy(keyless) == Proxy {
		signs = append(signs, "an error of etcd's loses its code on the way through it")
	}
	if n.gauge != nil {
		signs = append(signs, "it has /proxy/metrics")
	}
	switch {
	case said != "":
		n.row.Role, n.row.How = said, "it was said"
	case len(signs) > 0:
		n.row.Role, n.row.How = Proxy, strings.Join(signs, "; ")
	case RoleBy(keyless) == Member:
		n.row.Role, n.row.How = Member, "it refuses a read without a key as a member does"
	}
	switch {
	case n.failed == nil, refused(n.failed): // with authentication on, nobody is told a member's state
	case n.row.Role == Proxy && (n.listed || n.gauge != nil):
		n.cut = true
		n.row.Note("it reaches no member (%s): only what it has cached is answered", plain(n.failed))
	default:
		n.row.Error = plain(n.failed)
	}
}

// RoleBy is what an endpoint is by how it refuses a serializable read without a key, see findOut.
func RoleBy(refusal error) Role {
	switch {
	case status.Code(refusal) == codes.InvalidArgument:
		return Member
	case says(refusal, rpctypes.ErrGRPCEmptyKey):
		return Proxy
	}
	return Unknown
}

// dropGauge has an endpoint's metrics not be used.
func (n *node) dropGauge() {
	if n.gauge != nil {
		n.gauge.close()
	}
	n.gauge, n.row.Before = nil, nil
}

// describe asks for an endpoint's state and its member list. With authentication on they are told to a user only.
func (n *node) describe(ctx context.Context) {
	conn := n.client.ActiveConnection()
	var state *pb.StatusResponse
	var list *pb.MemberListResponse
	atOnce(func() {
		ctx, cancel := n.call(ctx)
		defer cancel()
		state, n.failed = pb.NewMaintenanceClient(conn).Status(ctx, &pb.StatusRequest{})
	}, func() {
		ctx, cancel := n.call(ctx)
		defer cancel()
		var err error
		list, err = pb.NewClusterClient(conn).MemberList(ctx, &pb.MemberListRequest{})
		n.listed = err == nil
	})
	n.row.Names = nil
	for _, m := range list.GetMembers() {
		if m.ID == 0 {
			n.row.Names = append(n.row.Names, m.ClientURLs...)
		}
	}
	if n.failed == nil {
		n.state = state
		n.row.ClusterID = fmt.Sprintf("%x", state.Header.GetClusterId())
	}
}

// freezes finds out whether a compaction has passed through the proxy: it files nothing any more then, so that what is
// stale in it is not healed by a linearizable read (cache/store.go, Add). compacted says that revision 1 is compacted;
// where it is not, none has passed, and a read at revision 1 would be filed. A proxy that knows of a compaction refuses
// the read itself, with the code that an error of a member's loses on the way.
func (n *node) freezes(ctx context.Context, key string, compacted bool) {
	if !compacted {
		return
	}
	_, err := n.read(ctx, &pb.RangeRequest{Key: []byte(key), Revision: 1, Serializable: true})
	n.frozen = status.Code(err) == codes.OutOfRange && says(err, rpctypes.ErrGRPCCompacted)
	n.row.Frozen = n.frozen
}

// inUse is how large a member's database is, in bytes; 0 where it did not say.
func (n *node) inUse() int64 { return n.state.GetDbSizeInUse() }

// atOnce calls each, and waits for all.
func atOnce(calls ...func()) {
	var all sync.WaitGroup
	for _, c := range calls {
		all.Go(c)
	}
	all.Wait()
}
