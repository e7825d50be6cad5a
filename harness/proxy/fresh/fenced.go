package fresh

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/pkg/v3/adt"
)

// FencedOptions are what an operator may choose.
type FencedOptions struct {
	// MaxStaleness is how much older than its request the answer to a serializable read may be. 0 is not at all: it is
	// linearizable then, as that to every other read is whatever the bound.
	MaxStaleness time.Duration
	// MaxBytes bounds what is kept, as an estimate of the memory it takes. 0 is 64 MiB.
	MaxBytes int64
	// Patience is how long a read waits for a barrier, for the watch to deliver what that named, or for another's answer,
	// before it is read from the members. 0 is 250 ms.
	Patience time.Duration
	// Stall is how long the watch may be behind before it is given up and begun anew, how long a new one has to begin,
	// and how long a barrier may take: more than readers wait, or members that are slow would be asked for everything,
	// and get slower. 0 is a second.
	Stall time.Duration
	// CheckEvery is how often kept answers are compared with the members'. 0 is five minutes.
	CheckEvery time.Duration
	// Watch carries the watch alone, so that big answers on the other connection do not hold its events back (etcd issue
	// 15402). nil is the client that carries everything else.
	Watch *clientv3.Client
}

// Fenced is a KV server that keeps what it read, and answers from it what is proven not to be older than allowed.
//
// One watch on every key drops what changes. How far that watch has come, a barrier tells: a linearizable Range that
// returns the present revision and nothing else, shared by all who wait for it. An answer that is kept is given once
// the watch has delivered every revision up to the barrier's, or if it was itself read at that revision or later. With
// a MaxStaleness the barrier's last word is good for that long, and is renewed in the background.
//
// What is not kept one reader asks for, and whoever else wants it meanwhile waits for a barrier and for that answer: he
// is told it if it is not older than the barrier. So a change costs the members one read, not one by each reader.
//
// It asks for no progress and believes none: each revision has an event, so a watch on every key comes to each (etcd
// issue 15220 and kine issue 577 are about progress that lied). Nothing is resumed: whatever ends the watch, or makes
// it doubtful, empties the cache, and a new watch begins from the present. Until it stands, and while barrier or watch
// keep readers waiting, reads are made linearizably at the members, which is never wrong.
//
// The watch and the barrier have no user. With authentication on they are refused, and then every read is the members'
// to answer; one that carries a token always is.
type Fenced struct {
	o       FencedOptions
	kv      pb.KVClient
	watch   pb.WatchClient
	ctx     context.Context
	kept    *ranges
	barrier barrier
	counts  counts
	stood   sync.Once
	stands  chan struct{} // closed by stood
	done    chan struct{}

	// While a barrier was not answered, or the watch has not come to where one was, reads do not wait for it again.
	silent, behind atomic.Bool

	pb.UnsafeKVServer
}

var _ pb.KVServer = (*Fenced)(nil)

// NewFenced makes one. It ends with ctx, which must end before the client is closed; Done says when.
func NewFenced(ctx context.Context, client *clientv3.Client, o FencedOptions) *Fenced {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Patience == 0 {
		o.Patience = 250 * time.Millisecond
	}
	if o.Stall == 0 {
		o.Stall = time.Second
	}
	if o.CheckEvery == 0 {
		o.CheckEvery = 5 * time.Minute
	}
	if o.Watch == nil {
		o.Watch = client
	}
	f := &Fenced{o: o, ctx: ctx, kept: newRanges(o.MaxBytes), stands: make(chan struct{}), done: make(chan struct{}),
		kv: pb.NewKVClient(client.ActiveConnection()), watch: pb.NewWatchClient(o.Watch.ActiveConnection())}
	f.barrier.ask = f.askAndNote
	go func() {
		defer close(f.done)
		var checks sync.WaitGroup
		checks.Go(f.checkNowAndThen)
		f.follow()
		checks.Wait()
		f.barrier.end()
	}()
	return f
}

// Done is closed when its context has ended and nothing of it runs any more.
func (f *Fenced) Done() <-chan struct{} { return f.done }

// Stands is closed when its watch stands for the first time.
func (f *Fenced) Stands() <-chan struct{} { return f.stands }

// unlimited: what a member sends is as long as it is, as for etcd's client.
var unlimited = grpc.MaxCallRecvMsgSize(math.MaxInt32)

// Range answers a read of the present, linearizable or not, with what is true at a moment after it came, or with a
// MaxStaleness at most that long before.
func (f *Fenced) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	read := r
	if r.Serializable {
		read = proto.Clone(r).(*pb.RangeRequest)
		read.Serializable = false
	}
	// What was at a revision never changes, but a member that is behind has a header older than what its reader knows.
	if r.Revision != 0 {
		return f.pass(ctx, read, "old revision")
	}
	keys, ok := keysOf(r.Key, r.RangeEnd)
	if !ok {
		return f.pass(ctx, read, "no keys")
	}
	if hasToken(ctx) {
		return f.pass(ctx, read, "token")
	}
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(read)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	request := string(bytes)
	within := time.Duration(0)
	if r.Serializable {
		within = f.o.MaxStaleness
	}
	got, why := f.fromKept(ctx, request, keys, within)
	switch {
	case got.outcome == absent: // others may be waiting for it
		f.counts.misses.Add(1)
		resp, err := f.read(ctx, read, got.before)
		f.kept.settle(got, request, keys, resp)
		return resp, err
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case got.outcome == present:
		f.counts.hits.Add(1)
		return got.resp, nil
	}
	return f.pass(ctx, read, why)
}

// fromKept is a kept answer that is proven not to be older than within, or what another reads at the time. Otherwise
// why says what kept it from being, but where nothing was.
func (f *Fenced) fromKept(ctx context.Context, request string, keys adt.Interval, within time.Duration) (got found,
	why string) {
	now := time.Now()
	got = f.kept.recent(request, keys, now.Add(-within))
	switch {
	case got.outcome == unwatched:
		return got, "no watch"
	case got.outcome == absent:
		return got, ""
	case got.outcome == present:
		if f.kept.fencedBefore(now.Add(-within / 2)) {
			f.barrier.join()
		}
		return got, ""
	}
	if f.silent.Load() {
		f.barrier.join() // the next one may be answered
		return got, "no barrier"
	}
	if f.behind.Load() {
		f.barrier.join()
		return got, "watch behind"
	}
	patient, cancel := context.WithTimeout(ctx, f.o.Patience)
	defer cancel()
	h, err := f.barrier.wait(patient)
	if err != nil {
		if patient.Err() != nil && ctx.Err() == nil {
			f.silent.Store(true) // until one is answered: it may take as long as it does
		}
		return got, "no barrier"
	}
	patience := time.NewTimer(f.o.Patience)
	defer patience.Stop()
	for {
		got = f.kept.at(request, keys, h)
		more := got.moved
		switch got.outcome {
		case unwatched:
			return got, "no watch"
		case present, absent:
			return got, ""
		case awaited:
			more = got.question.done
		}
		select {
		case <-more:
		case <-ctx.Done():
			return got, ""
		case <-patience.C:
			if got.outcome == awaited {
				f.kept.overtake(request, got.question)
				return got, "slow read"
			}
			f.behind.Store(true)
			return got, "watch behind"
		}
		if got.outcome == awaited {
			if got.resp = got.question.since(h); got.resp != nil {
				got.outcome = present
				return got, ""
			}
		}
	}
}

// pass reads from the members and keeps nothing.
func (f *Fenced) pass(ctx context.Context, read *pb.RangeRequest, why string) (*pb.RangeResponse, error) {
	f.counts.pass(why)
	return f.read(ctx, read, f.kept.now())
}

// read asks the members, linearizably, a question that was put after before.
func (f *Fenced) read(ctx context.Context, read *pb.RangeRequest, before asked) (*pb.RangeResponse, error) {
	at := time.Now()
	resp, err := f.kv.Range(ctx, read, unlimited)
	if err == nil {
		f.note(before, resp.Header, at)
	}
	return resp, err
}

// note takes down what a header says about the present. One from another history than the watch's ends the watch.
func (f *Fenced) note(before asked, h *pb.ResponseHeader, fence time.Time) {
	if h != nil && !f.kept.note(before, h, fence) {
		f.restart(before.watch, "another history")
	}
}

// askAndNote is the barrier's question.
func (f *Fenced) askAndNote() (*pb.ResponseHeader, error) {
	before, at := f.kept.now(), time.Now()
	h, err := f.present(f.ctx)
	f.silent.Store(err != nil)
	if err != nil {
		if refused(err) { // as by a cluster that wants a user now
			f.restart(before.watch, "refused")
		}
		return nil, err
	}
	f.note(before, h, at)
	switch watch, since := f.kept.awaits(); {
	case since.IsZero():
		f.behind.Store(false)
	case at.Sub(since) > f.o.Stall:
		f.restart(watch, "stalled")
	}
	return h, nil
}

// present asks the members for the present revision: linearizably, for the number of a key that there hardly is.
func (f *Fenced) present(ctx context.Context) (*pb.ResponseHeader, error) {
	f.counts.barriers.Add(1)
	ctx, cancel := context.WithTimeout(ctx, f.o.Stall)
	defer cancel()
	resp, err := f.kv.Range(ctx, &pb.RangeRequest{Key: []byte{0}, CountOnly: true})
	if err != nil {
		return nil, err
	}
	if resp.GetHeader().GetRevision() == 0 {
		return nil, status.Error(codes.Internal, "an answer without a revision")
	}
	return resp.Header, nil
}

// refused says whether the members understood, and said no.
func refused(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition:
		return true
	}
	return false
}

// hasToken says whether a request says who makes it.
func hasToken(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	return len(md[rpctypes.TokenFieldNameGRPC]) > 0 || len(md[rpctypes.TokenFieldNameSwagger]) > 0
}

// RangeStream is not there, as in upstream's proxy.
func (f *Fenced) RangeStream(*pb.RangeRequest, pb.KV_RangeStreamServer) error {
	return status.Error(codes.Unimplemented, "RangeStream is not supported by the gRPC proxy")
}

// Put passes it on. What it wrote, the next read through this proxy is not older than; so it is for every write.
func (f *Fenced) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	before := f.kept.now()
	resp, err := f.kv.Put(ctx, r, unlimited)
	if err == nil {
		f.note(before, resp.Header, time.Time{})
	}
	return resp, err
}

// DeleteRange passes it on.
func (f *Fenced) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	before := f.kept.now()
	resp, err := f.kv.DeleteRange(ctx, r, unlimited)
	if err == nil {
		f.note(before, resp.Header, time.Time{})
	}
	return resp, err
}

// Txn passes it on. A member answers one of serializable ranges alone by itself, so they are made linearizable.
func (f *Fenced) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	before := f.kept.now()
	resp, err := f.kv.Txn(ctx, linearizable(r), unlimited)
	if err == nil {
		f.note(before, resp.Header, time.Time{})
	}
	return resp, err
}

// linearizable is the transaction with every range in it made linearizable.
func linearizable(r *pb.TxnRequest) *pb.TxnRequest {
	r = proto.Clone(r).(*pb.TxnRequest)
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range ops {
			if read := op.GetRequestRange(); read != nil {
				read.Serializable = false
			}
			if txn := op.GetRequestTxn(); txn != nil {
				op.Request = &pb.RequestOp_RequestTxn{RequestTxn: linearizable(txn)}
			}
		}
	}
	return r
}

// Compact passes it on: it changes nothing of the present.
func (f *Fenced) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	return f.kv.Compact(ctx, r)
}
