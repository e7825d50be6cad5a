package proxy

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"
)

// ByIdentity is the patch of PR 22112: an entry is keyed by the caller's token too, and what changes permissions,
// through this proxy, empties the cache. Ours has one upstream cache a token where the patch has one key a token; what
// is answered is the same.
func ByIdentity() Variant {
	return Variant{
		Name:   "by-identity",
		Source: "etcd PR 22112 (for issue 22065)",
		Claim:  "no caller is answered from an entry that another identity filled",
		kv: func(w *Wiring) pb.KVServer {
			caches := &identities{byToken: map[string]cache.Cache{}}
			w.Intercept(caches.flushOnAuthChange)
			return &patchedKV{kv: w.Client.KV, cache: caches.of, all: caches.list}
		},
	}
}

type identities struct {
	mu      sync.Mutex
	byToken map[string]cache.Cache
}

func (s *identities) of(ctx context.Context) cache.Cache {
	var token string
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if t := md[rpctypes.TokenFieldNameGRPC]; len(t) > 0 {
			token = t[0]
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byToken[token] == nil {
		s.byToken[token] = cache.NewCache(cache.DefaultMaxEntries)
	}
	return s.byToken[token]
}

func (s *identities) list() []cache.Cache {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []cache.Cache
	for _, c := range s.byToken {
		all = append(all, c)
	}
	return all
}

// flushOnAuthChange empties every cache when a call that changes users, roles or permissions has passed this proxy.
func (s *identities) flushOnAuthChange(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	switch req.(type) {
	case *pb.AuthEnableRequest, *pb.AuthDisableRequest, *pb.AuthUserDeleteRequest, *pb.AuthUserChangePasswordRequest,
		*pb.AuthUserGrantRoleRequest, *pb.AuthUserRevokeRoleRequest, *pb.AuthRoleDeleteRequest,
		*pb.AuthRoleGrantPermissionRequest, *pb.AuthRoleRevokePermissionRequest:
		s.mu.Lock()
		s.byToken = map[string]cache.Cache{}
		s.mu.Unlock()
	}
	return resp, err
}
