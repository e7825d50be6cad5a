package fresh

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

var soak = flag.Duration("soak", 300*time.Millisecond, "how long TestSoak goes on, with each cache")

// Storm after storm of readers, who give up now and then, of writes and of watches that break off: no reader is told
// of less than what was acknowledged before it came, and after each storm nothing has grown, neither the heap nor the
// goroutines nor what is kept. An hour of it, of each cache:
//
//	go test -race ./harness/proxy/fresh -run TestSoak -soak 1h -timeout 4h
func TestSoak(t *testing.T) {
	const most = 256 << 10
	for name, start := range caches(FencedOptions{MaxBytes: most, Patience: 20 * time.Second, Stall: time.Hour,
		CheckEvery: time.Second}) {
		t.Run(name, func(t *testing.T) {
			s := soaked{m: newMember(t), seed: rand.Uint64()}
			t.Logf("seed %d", s.seed)
			for k := range soakKeys {
				s.m.put(fmt.Sprintf("k%03d", k))
			}
			s.kv = start(s.m)
			var heaps, goroutines []int64
			for began := time.Now(); time.Since(began) < *soak || len(heaps) < 2; {
				s.storm(len(heaps))
				require.False(t, t.Failed())
				require.LessOrEqual(t, statsFor(s.kv).bytes, int64(most))
				var took, run int64
				s.m.eventually(fmt.Sprintf("neither heap nor goroutines have grown: %v, %v", heaps, goroutines), func() bool {
					took, run = heap(), int64(runtime.NumGoroutine())
					return len(heaps) == 0 || took < heaps[0]+most+spare && run < goroutines[0]+50
				})
				heaps, goroutines = append(heaps, took), append(goroutines, run)
			}
			last := len(heaps) - 1
			t.Logf("%d storms, %d reads, %d of them given up; heap %d to %d bytes, goroutines %d to %d", len(heaps), s.reads,
				s.givenUp, heaps[0], heaps[last], goroutines[0], goroutines[last])
			require.Positive(t, s.givenUp)
		})
	}
}

// soakKeys are so many that not all answers about them find room.
const soakKeys = 100

type soaked struct {
	m    *member
	kv   pb.KVServer
	seed uint64

	mu             sync.Mutex
	reads, givenUp int
}

// storm lasts as long as 20 clients take for 40 calls each. When it is over every key is as the member has it.
func (s *soaked) storm(n int) {
	s.m.set(func() { s.m.log, s.m.created = nil, nil }) // what a test looks at must not grow either
	each(20, func(i int) {
		r := rand.New(rand.NewPCG(s.seed, uint64(20*n+i)))
		for range 40 {
			key := r.IntN(soakKeys)
			switch r.IntN(100) {
			case 0, 1, 2, 3, 4:
				s.m.put(fmt.Sprintf("k%03d", key))
			case 5:
				s.m.delete("elsewhere")
			case 6:
				if i == 0 {
					s.m.cut()
				}
			default:
				s.read(r, key)
			}
		}
	})
	for k := range soakKeys {
		s.read(nil, k)
	}
}

// read reads a key, some with all that follow it. With r it may be given up.
func (s *soaked) read(r *rand.Rand, k int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	req := &pb.RangeRequest{Key: fmt.Appendf(nil, "k%03d", k), Serializable: true}
	if r != nil && r.IntN(4) == 0 {
		req.RangeEnd = []byte("l")
	}
	patient := r == nil || r.IntN(10) > 0
	if !patient {
		cancel()
		ctx, cancel = context.WithTimeout(context.Background(), time.Duration(r.IntN(500))*time.Microsecond)
	}
	defer cancel()
	var least, revision int64
	s.m.set(func() { least, revision = s.m.keys[string(req.Key)].ModRevision, s.m.header.Revision })
	resp, err := s.kv.Range(ctx, req)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	switch code := status.Code(err); {
	case !patient && (code == codes.Canceled || code == codes.DeadlineExceeded):
		s.givenUp++
	case assert.NoError(s.m.t, err) && assert.NotEmpty(s.m.t, resp.Kvs):
		assert.GreaterOrEqual(s.m.t, resp.Header.Revision, revision, "it is told of the past")
		assert.GreaterOrEqual(s.m.t, resp.Kvs[0].ModRevision, least, "it is told of the past")
	}
}
