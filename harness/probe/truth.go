package probe

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sort"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"ghostroute/harness/keys"
)

// item is one key as an answer has it. Of its value only a hash is kept: a prefix may hold a million keys.
type item struct {
	key                         string
	mod, create, version, lease int64
	hash                        uint64
}

// itemOf takes a key out of an answer, its name without the namespace that the proxies put before it.
func itemOf(kv *mvccpb.KeyValue, namespace string) item {
	h := fnv.New64a()
	h.Write(kv.Value)
	return item{string(kv.Key[len(namespace):]), kv.ModRevision, kv.CreateRevision, kv.Version, kv.Lease, h.Sum64()}
}

func itemsOf(kvs []*mvccpb.KeyValue, namespace string) []item {
	items := make([]item, 0, len(kvs))
	for _, kv := range kvs {
		items = append(items, itemOf(kv, namespace))
	}
	return items
}

// A list is read in pages: the first of so many keys, the others of so many bytes. A member counts all that is left for
// each page (server/storage/mvcc/index.go, Revisions), so that many small pages of a million keys take long.
const (
	firstPage = 10_000
	pageBytes = 16 << 20
)

// truth is what etcd has under a prefix, read linearizably on a member, as the proxies of one namespace would tell it.
type truth struct {
	member    *node
	namespace string
	prefix    string
	revision  int64  // that it is true at
	cluster   uint64 // whose history it is
	compacted bool   // revision 1 is
	items     []item // by key
	keep      bool   // the values, too
	values    []*mvccpb.KeyValue
	denied    bool // this identity may not read the prefix: then what it may is read a request at a time

	mu   sync.Mutex
	read map[string]*reading // by request and revision
}

// reading is one read on a member that several answers are compared with.
type reading struct {
	once  sync.Once
	items []item
	count int64
	more  bool
	err   error
}

// readTruth lists a prefix on the first member that answers: a page linearizably, and the others at its revision.
func readTruth(ctx context.Context, members []*node, namespace, prefix string, keep bool) (t *truth, err error) {
	err = errors.New("no member is known")
	for _, m := range members {
		t = &truth{member: m, namespace: namespace, prefix: prefix, keep: keep, read: map[string]*reading{}}
		for range 3 { // a compaction may overtake a list
			if err = t.list(ctx); !says(err, rpctypes.ErrGRPCCompacted) {
				break
			}
		}
		if err == nil {
			return t, t.findCompaction(ctx)
		}
		if says(err, rpctypes.ErrGRPCUserEmpty) {
			return nil, errors.New("authentication is on, and nobody is named: --user NAME")
		}
		err = fmt.Errorf("%s: %s", m.addr, plain(err))
	}
	return nil, err
}

func (t *truth) list(ctx context.Context) error {
	t.items, t.values, t.revision = nil, nil, 0
	from := t.namespace + t.prefix
	r := &pb.RangeRequest{Key: []byte(from), RangeEnd: []byte(keys.PrefixEnd(from)), Limit: firstPage}
	for {
		resp, err := t.member.read(ctx, r)
		if says(err, rpctypes.ErrGRPCPermissionDenied) && t.revision == 0 {
			t.denied = true
			return t.standing(ctx)
		}
		if err != nil {
			return err
		}
		if t.revision == 0 {
			t.revision, t.cluster = resp.Header.Revision, resp.Header.ClusterId
			t.items = make([]item, 0, resp.Count)
		}
		t.items = append(t.items, itemsOf(resp.Kvs, t.namespace)...)
		if t.keep {
			for _, kv := range resp.Kvs {
				t.values = append(t.values, &mvccpb.KeyValue{Key: kv.Key[len(t.namespace):], Value: kv.Value})
			}
		}
		if !resp.More {
			return nil
		}
		r.Limit = max(firstPage, int64(pageBytes/(1+proto.Size(resp)/len(resp.Kvs))))
		r.Key, r.Revision, r.Serializable = append(resp.Kvs[len(resp.Kvs)-1].Key, 0), t.revision, true
	}
}

// standing is where truth stands for one who may not read it.
func (t *truth) standing(ctx context.Context) error {
	bounded, cancel := t.member.call(ctx)
	defer cancel()
	s, err := pb.NewMaintenanceClient(t.member.client.ActiveConnection()).Status(bounded, &pb.StatusRequest{})
	if err == nil {
		t.revision, t.cluster = s.Header.Revision, s.Header.ClusterId
	}
	return err
}

func (t *truth) findCompaction(ctx context.Context) error {
	_, err := t.member.read(ctx, &pb.RangeRequest{Key: []byte(t.namespace + t.prefix), Revision: 1, Serializable: true})
	t.compacted = says(err, rpctypes.ErrGRPCCompacted)
	if err != nil && !t.compacted && !refused(err) && !says(err, rpctypes.ErrGRPCFutureRev) {
		return fmt.Errorf("%s: %s", t.member.addr, plain(err))
	}
	return nil
}

// now is what etcd answers to a request at truth's revision.
func (t *truth) now(ctx context.Context, r *pb.RangeRequest) *reading {
	if t.holds(r) {
		found := t.between(string(r.Key), string(r.RangeEnd))
		return &reading{items: found, count: int64(len(found))}
	}
	return t.at(ctx, r, t.revision)
}

// at is what etcd answers to a request at a revision. It is read once, on a member.
func (t *truth) at(ctx context.Context, r *pb.RangeRequest, revision int64) *reading {
	asked := proto.Clone(r).(*pb.RangeRequest)
	asked.Revision, asked.Serializable = revision, false
	asked.Key, asked.RangeEnd = t.ranged(r)
	name := asked.String()
	t.mu.Lock()
	got := t.read[name]
	if got == nil {
		got = &reading{}
		t.read[name] = got
	}
	t.mu.Unlock()
	got.once.Do(func() {
		resp, err := t.member.read(ctx, asked)
		if got.err = err; err == nil {
			got.items, got.count, got.more = itemsOf(resp.Kvs, t.namespace), resp.Count, resp.More
		}
	})
	return got
}

// ranged is a request's range as a proxy with this namespace passes it on (client/v3/namespace, prefixInterval).
func (t *truth) ranged(r *pb.RangeRequest) (key, end []byte) {
	key, end = append([]byte(t.namespace), r.Key...), r.RangeEnd
	switch {
	case len(end) == 1 && end[0] == 0 && t.namespace != "":
		end = []byte(keys.PrefixEnd(t.namespace))
	case len(end) > 0 && t.namespace != "":
		end = append([]byte(t.namespace), end...)
	}
	return key, end
}

// holds is whether the list has all that such a request asks for. It has no values: only their hashes.
func (t *truth) holds(r *pb.RangeRequest) bool {
	plain := r.Limit == 0 && r.SortOrder == pb.RangeRequest_NONE && !r.CountOnly && r.Revision == 0
	key, end := string(r.Key), string(r.RangeEnd)
	if end == "" {
		end = key + "\x00"
	}
	last := keys.PrefixEnd(t.prefix)
	return plain && !t.denied && key >= t.prefix && end != keys.FromKey && (last == keys.FromKey || end <= last)
}

func (t *truth) between(key, end string) []item {
	if end == "" {
		end = key + "\x00"
	}
	find := func(k string) int { return sort.Search(len(t.items), func(i int) bool { return t.items[i].key >= k }) }
	return t.items[find(key):find(end)]
}
