// Package fresh has KV servers for etcd's grpc-proxy that keep a cache and answer nothing stale from it. It stands on
// what etcd's server stands on and on nothing of ours: the drop-in (package dropin) has it in server/proxy/grpcproxy as
// it is. mode.go has the flags by which an operator chooses, metrics.go what is told of them.
package fresh

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// HeaderUnconfirmed is in the header metadata of an answer that nobody could confirm, because the members had no quorum
// (see RevalidateOptions.Unconfirmed). It says what the confirmation came to. Such an answer is as old as the member
// that gave it.
const HeaderUnconfirmed = "etcd-proxy-unconfirmed"

// RevalidateOptions are what an operator may choose. The zero value is the safe one.
type RevalidateOptions struct {
	// MaxBytes bounds what is kept, as an estimate of the memory it takes. 0 is 64 MiB.
	MaxBytes int64
	// Unconfirmed is how long a read may wait for a quorum before a member is asked serializably, with the reader's token,
	// and the answer marked with HeaderUnconfirmed. 0 is never: without a quorum reads fail, as linearizable ones do.
	Unconfirmed time.Duration
	// Overtake is how long readers wait for an answer that was under way when they came, before one is begun for them
	// beside it: what one slow connection holds up must not hold up everybody. 0 is 50 ms.
	Overtake time.Duration
}

// NewRevalidate makes a KV server that answers serializable reads as linearizable ones, and keeps what it read to spare
// the members its transfer. It works as HTTP's If-None-Match does: a kept answer of revision r that counted n keys is
// confirmed by one small linearizable Range of the same keys with MinModRevision r+1. That none is newer and that there
// are still n means that nothing changed: a delete alone changes the count, and one made good by a put has a newer key.
// Otherwise the read is made linearizably, and that is kept. The members see the reader's own token each time, so it is
// they who say what it may read. Nothing is watched, no answer rests on a clock, and what was compacted is as good as
// new.
//
// Reads of the same bytes by the same token share an answer that was begun after they arrived, never an earlier one.
//
// Reads at a revision are made linearizably and not kept: a member that lags does not know the newest, and its header
// goes back in time. Linearizable reads and all else are passed on. The second value is closed when ctx has ended and
// nothing runs any more.
func NewRevalidate(ctx context.Context, client *clientv3.Client, o RevalidateOptions) (pb.KVServer,
	<-chan struct{}) {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Overtake <= 0 {
		o.Overtake = 50 * time.Millisecond
	}
	p := &revalidate{passOn: passOn{kv: client.KV}, ctx: ctx, unconfirmed: o.Unconfirmed, overtake: o.Overtake,
		kept:    keptAnswers{answers: answers{max: o.MaxBytes, byRequest: map[string]*answer{}}},
		flights: map[reader]*flights{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		p.mu.Lock()
		p.ended = true // from here on no goroutine is added
		p.mu.Unlock()
		p.work.Wait()
	}()
	return p, done
}

type revalidate struct {
	passOn
	ctx         context.Context // ends with the proxy
	unconfirmed time.Duration
	overtake    time.Duration
	kept        keptAnswers
	counts      revalidated
	work        sync.WaitGroup // the goroutines of flights

	mu      sync.Mutex
	ended   bool
	flights map[reader]*flights // those under way; one that is over is not in it
}

// reader is what readers have in common who may be given one answer.
type reader struct {
	token   string // "" for none
	request string // the request's bytes, as a linearizable one's
}

// flight is one answer on its way to everybody who waits for it.
type flight struct {
	ctx     context.Context // the first reader's, with its token, but not ended by it
	cancel  context.CancelFunc
	waiting int         // how many readers wait; guarded by revalidate.mu, as what follows
	overdue *time.Timer // begins it when the one under way has taken too long

	done chan struct{} // closed when what follows is set
	resp *pb.RangeResponse
	mark string // what is said under HeaderUnconfirmed; "" where it is confirmed
	err  error
}

// flights of one reader: those under way, of which all but the last are overdue, and one to be begun for those who came
// later; nil where nobody has.
type flights struct {
	now  []*flight
	next *flight
}

// Range answers a serializable read with what is true at a moment after it came.
func (p *revalidate) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	read := proto.Clone(r).(*pb.RangeRequest)
	read.Serializable = false
	bytes, err := proto.Marshal(read)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	id := reader{request: string(bytes)}
	if !r.Serializable {
		p.counts.linearizable.Add(1)
		return p.read(ctx, id.request, read)
	}
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if t := md[rpctypes.TokenFieldNameGRPC]; len(t) > 0 {
			id.token = t[0]
		}
	}
	f := p.join(ctx, id, read)
	if f == nil {
		return nil, status.Error(codes.Unavailable, "the proxy is ending")
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		p.leave(id, f)
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	if f.mark != "" {
		if err := grpc.SetHeader(ctx, metadata.Pairs(HeaderUnconfirmed, f.mark)); err != nil {
			return nil, err // an answer that cannot be marked must not look confirmed
		}
	}
	return f.resp, f.err
}

// join has a reader wait for a flight that is begun from here on. It is nil when the proxy ends.
func (p *revalidate) join(ctx context.Context, id reader, read *pb.RangeRequest) *flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil
	}
	fs := p.flights[id]
	if fs == nil {
		fs = &flights{}
		p.flights[id] = fs
	}
	f := fs.next
	if f == nil {
		f = &flight{done: make(chan struct{})}
		f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		f.overdue = time.AfterFunc(p.overtake, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if fs.next == f && !p.ended {
				p.begin(id, fs, read)
			}
		})
		if fs.next = f; len(fs.now) == 0 {
			p.begin(id, fs, read)
		}
	}
	f.waiting++
	return f
}

// begin begins the next flight. p.mu is held.
func (p *revalidate) begin(id reader, fs *flights, read *pb.RangeRequest) {
	f := fs.next
	fs.next, fs.now = nil, append(fs.now, f)
	f.overdue.Stop()
	p.work.Go(func() {
		defer f.cancel()
		defer context.AfterFunc(p.ctx, f.cancel)()
		if f.err = p.ctx.Err(); f.err == nil { // the end may have come between
			f.resp, f.mark, f.err = p.answer(f.ctx, id.request, read)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		close(f.done)
		fs.now = slices.DeleteFunc(fs.now, func(g *flight) bool { return g == f })
		switch {
		case fs.next != nil:
			p.begin(id, fs, read)
		case len(fs.now) == 0:
			delete(p.flights, id)
		}
	})
}

// leave takes a reader that gave up off a flight. One that nobody waits for any more is ended, or never begun.
func (p *revalidate) leave(id reader, f *flight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.waiting--; f.waiting > 0 {
		return
	}
	f.cancel()
	f.overdue.Stop()
	if fs := p.flights[id]; fs != nil && fs.next == f {
		fs.next = nil
	}
}

// answer is read's, true at a moment after the call, or else marked.
func (p *revalidate) answer(ctx context.Context, request string, read *pb.RangeRequest) (resp *pb.RangeResponse,
	mark string, err error) {
	if p.unconfirmed == 0 {
		resp, err = p.confirm(ctx, request, read)
		return resp, "", err
	}
	patient, cancel := context.WithTimeout(ctx, p.unconfirmed)
	resp, err = p.confirm(patient, request, read)
	cancel()
	if err == nil || ctx.Err() != nil || !noQuorum(err) {
		return resp, "", err
	}
	mark = err.Error()
	p.counts.none.Add(1)
	local := proto.Clone(read).(*pb.RangeRequest)
	local.Serializable = true
	resp, err = p.passOn.Range(ctx, local)
	return resp, mark, err
}

// noQuorum says whether a linearizable read came to nothing for want of somebody to confirm it. What the members refuse
// is refused.
func noQuorum(err error) bool {
	var e rpctypes.EtcdError
	switch {
	case errors.As(err, &e):
		return e.Code() == codes.Unavailable
	case errors.Is(err, context.DeadlineExceeded):
		return true
	}
	return status.Code(err) == codes.Unavailable || status.Code(err) == codes.DeadlineExceeded
}

// confirm answers from what is kept if that is still so, and otherwise reads.
func (p *revalidate) confirm(ctx context.Context, request string, read *pb.RangeRequest) (*pb.RangeResponse, error) {
	before := p.kept.now()
	kept := p.kept.kept(request)
	if kept == nil {
		p.counts.miss(read)
		return p.read(ctx, request, read)
	}
	p.counts.found.Add(1)
	now, err := p.passOn.Range(ctx, &pb.RangeRequest{Key: read.Key, RangeEnd: read.RangeEnd,
		MinModRevision: kept.Header.Revision + 1, KeysOnly: true, Limit: 1})
	if err != nil {
		return nil, err
	}
	// Count is of the range before limit and bounds of revisions (etcdserver/txn/range.go, asembleRangeResponse), in a
	// kept answer as here. So whatever is sorted, bounded or left out of it stays the same if the range does.
	same := len(now.Kvs) == 0 && now.Count == kept.Count && now.Header.Revision >= kept.Header.Revision
	if p.kept.passed(before, now.Header) && same {
		p.counts.confirmed.Add(1)
		return &pb.RangeResponse{Header: now.Header, Kvs: kept.Kvs, More: kept.More, Count: kept.Count}, nil
	}
	return p.read(ctx, request, read)
}

// read asks the members and keeps what they say, but counts, which are as small as what would confirm them, and what
// was at a revision, which would be confirmed for nothing.
func (p *revalidate) read(ctx context.Context, request string, read *pb.RangeRequest) (*pb.RangeResponse, error) {
	before := p.kept.now()
	resp, err := p.passOn.Range(ctx, read)
	if err == nil && p.kept.passed(before, resp.Header) && !read.CountOnly && read.Revision <= 0 {
		p.kept.keep(request, resp)
	}
	return resp, err
}

// keptAnswers are the answers that were read linearizably.
type keptAnswers struct {
	mu sync.Mutex
	answers
	past horizon
}

// horizon is how far the members' history was known to go. An answer from before it to a question asked after it means
// that a snapshot of the past was restored: what was kept may name revisions that are given to other writes since.
type horizon struct {
	cluster, term uint64 // 0 until there was an answer
	revision      int64
	restored      int // how often that was seen
}

// now is what to give to passed once an answer to a question asked after it has come.
func (k *keptAnswers) now() horizon {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.past
}

// passed notes the header of a linearizable answer. It is false, and all that was kept is forgotten, where the answer
// comes from before the moment it was asked at; and false where that was found of another meanwhile.
func (k *keptAnswers) passed(asked horizon, h *pb.ResponseHeader) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if asked.restored != k.past.restored {
		return false
	}
	if asked.cluster != 0 && (h.ClusterId != asked.cluster || h.RaftTerm < asked.term || h.Revision < asked.revision) {
		k.clear()
		k.past = horizon{restored: k.past.restored + 1}
		return false
	}
	k.past.cluster, k.past.term = h.ClusterId, max(k.past.term, h.RaftTerm)
	k.past.revision = max(k.past.revision, h.Revision)
	return true
}

// kept is the answer kept for a request, nil if there is none.
func (k *keptAnswers) kept(request string) *pb.RangeResponse {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.get(request); a != nil {
		return a.resp
	}
	return nil
}

// keep keeps an answer in place of an older one. One that is too big is not kept, nor is what it takes the place of.
func (k *keptAnswers) keep(request string, resp *pb.RangeResponse) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.get(request)
	switch fits := k.fits(request, resp); {
	case !fits && a != nil:
		k.remove(a)
		return
	case !fits:
		return
	case a == nil:
		a = k.add(request)
	}
	k.resize(a, resp)
	k.trim()
}
