package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// endpoint is one address, and one connection to it.
type endpoint struct {
	addr    string
	client  *clientv3.Client
	kv      pb.KVClient
	timeout time.Duration
	token   string // sent with every call; "" where authentication is off, or nobody is named
}

// whole lets an answer be as large as it is: a list of every instance may exceed gRPC's 4 MB.
var whole = grpc.MaxCallRecvMsgSize(math.MaxInt32)

// dial makes an endpoint's connection; it does not wait for it. https:// needs certificates, http:// and unix:// do
// without, and an address without either has what tls says, as in etcdctl.
func dial(addr string, tls *tls.Config, timeout time.Duration) (*endpoint, error) {
	if strings.HasPrefix(addr, "http://") {
		tls = nil
	}
	// One attempt: clientv3 would try a hundred times to get a better token where one is refused (retry_interceptor.go).
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, TLS: tls, Logger: zap.NewNop(), MaxUnaryRetries: 1})
	if err != nil {
		return nil, err
	}
	return &endpoint{addr: addr, client: c, kv: pb.NewKVClient(c.ActiveConnection()), timeout: timeout}, nil
}

// close ends the connection. There is no watch of clientv3's on it, so that it does not hang (package hangup).
func (e *endpoint) close() { _ = e.client.Close() }

// connect waits for the connection, and says why there is none.
func (e *endpoint) connect(ctx context.Context, limit time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := e.client.ActiveConnection()
	for s := c.GetState(); s != connectivity.Ready; s = c.GetState() {
		if s == connectivity.TransientFailure {
			_, err := e.read(ctx, &pb.RangeRequest{Serializable: true}) // it fails at once, and has the reason
			return err
		}
		c.Connect()
		if !c.WaitForStateChange(bounded, s) {
			return fmt.Errorf("no connection within %v", limit)
		}
	}
	return nil
}

// call bounds one call, and says who makes it.
func (e *endpoint) call(ctx context.Context) (context.Context, context.CancelFunc) {
	if e.token != "" {
		ctx = as(ctx, e.token)
	}
	return context.WithTimeout(ctx, e.timeout)
}

// as is ctx with that token. etcd's client reads and passes it on as metadata (rpctypes.TokenFieldNameGRPC).
func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, token)
}

// read makes one Range with the caller's token.
func (e *endpoint) read(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	ctx, cancel := e.call(ctx)
	defer cancel()
	return e.kv.Range(ctx, r, whole)
}

// says is whether an error is that one of etcd's. Through a proxy an error keeps its words and loses its code (13409).
func says(err, etcds error) bool {
	return err != nil && rpctypes.ErrorDesc(err) == rpctypes.ErrorDesc(etcds)
}

// refused is whether a call was turned away for who made it: a token nobody gave out, nobody named, or no permission.
func refused(err error) bool {
	return says(err, rpctypes.ErrGRPCInvalidAuthToken) || says(err, rpctypes.ErrGRPCUserEmpty) ||
		says(err, rpctypes.ErrGRPCPermissionDenied)
}

// silent is whether a call ended by its time limit.
func silent(err error) bool {
	return status.Code(err) == codes.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded) ||
		err != nil && rpctypes.ErrorDesc(err) == context.DeadlineExceeded.Error()
}

// plain is an error's reason, without gRPC's frames around it.
func plain(err error) string {
	why := err.Error()
	if s, ok := status.FromError(err); ok {
		why = s.Message()
	}
	if _, inner, framed := strings.Cut(why, "Error while dialing: "); framed {
		return strings.TrimSuffix(inner, `"`)
	}
	return why
}

// authenticate gets a token from one of the members, once: it is a proposal to raft that makes no revision, and every
// member knows a token that one has given out. Proxies are never asked: each would pass the question on.
func authenticate(ctx context.Context, members []*endpoint, user, password string) (token string, err error) {
	for _, m := range members {
		bounded, cancel := context.WithTimeout(ctx, m.timeout)
		resp, failed := pb.NewAuthClient(m.client.ActiveConnection()).Authenticate(bounded,
			&pb.AuthenticateRequest{Name: user, Password: password})
		cancel()
		switch {
		case failed == nil:
			return resp.Token, nil
		case says(failed, rpctypes.ErrGRPCAuthNotEnabled):
			return "", nil
		case says(failed, rpctypes.ErrGRPCAuthFailed):
			return "", fmt.Errorf("%s does not know %s by that password", m.addr, user)
		}
		err = fmt.Errorf("%s gave no token: %s", m.addr, plain(failed))
	}
	return "", err
}
