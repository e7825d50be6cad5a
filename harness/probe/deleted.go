package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/keys"
)

// smallEnough is the size of a database, in bytes in use, up to which its history is read: a member reads all of it
// into its memory for a watch that begins in the past (server/storage/mvcc/watchable_store.go, syncWatchers).
const smallEnough = 64 << 20

// quiet is how long a watch of a member that answers early must have said nothing: such a member reads the history ten
// times a second.
const quiet = 300 * time.Millisecond

// answersEarly is whether a member may say that a watch has caught up before it has (etcd issue 15220, mended in 3.4.25
// and 3.5.8). One that does not say what it is may.
func (n *node) answersEarly() bool {
	var major, minor, patch int
	if _, err := fmt.Sscanf(n.state.GetVersion(), "%d.%d.%d", &major, &minor, &patch); err != nil {
		return true
	}
	return major == 3 && (minor < 4 || minor == 4 && patch < 25 || minor == 5 && patch < 8)
}

// deleted are the keys that were deleted, or whose lease ended, since the last compaction: a member's watch tells them.
// A service whose last instance went is found by them, and in no list. whole is false where time ran out.
func (t *truth) deleted(ctx context.Context) (gone []string, whole bool, err error) {
	ctx, cancel := t.member.call(ctx)
	w, err := pb.NewWatchClient(t.member.client.ActiveConnection()).Watch(ctx)
	if err != nil {
		cancel()
		return nil, false, err
	}
	var sending sync.Mutex
	send := func(r *pb.WatchRequest) error {
		sending.Lock()
		defer sending.Unlock()
		return w.Send(r)
	}
	from := t.namespace + t.prefix
	watch := func(revision int64) error {
		create := &pb.WatchCreateRequest{Key: []byte(from), RangeEnd: []byte(keys.PrefixEnd(from)), StartRevision: revision,
			Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT}}
		return send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}})
	}
	cancelled := func(id int64) error {
		cancel := &pb.WatchCancelRequest{WatchId: id}
		return send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: cancel}})
	}
	// A watch says how far it is when it is asked, once it has caught up; until then it does not answer that.
	var asking sync.WaitGroup
	asking.Go(func() {
		progress := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{
			ProgressRequest: &pb.WatchProgressRequest{}}}
		for every := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				every.Stop()
				return
			case <-every.C:
				_ = send(progress) // Recv has the error
			}
		}
	})
	defer asking.Wait()
	defer cancel()
	if err := watch(1); err != nil {
		return nil, false, err
	}
	seen := map[string]bool{}
	begun, since, over := false, time.Time{}, int64(-1)
	for {
		resp, err := w.Recv()
		switch {
		case err != nil && ctx.Err() != nil:
			return gone, false, nil
		case err != nil:
			return gone, false, err
		case resp.CompactRevision > 0:
			// Until the watch that is over is cancelled, too, its stream is not told how far the next one is: etcd counts it
			// as one that has not caught up (watchable_store.go, progressIfSync).
			begun, over = false, resp.WatchId
			if err := errors.Join(cancelled(over), watch(resp.CompactRevision)); err != nil {
				return gone, false, err
			}
			continue
		case resp.Canceled && !resp.Created && resp.WatchId == over: // a watch that is refused is Created, too
			over = -1
			continue
		case resp.Canceled:
			return gone, false, errors.New(resp.CancelReason)
		case resp.Created:
			begun, since = true, time.Now()
			continue
		}
		for _, e := range resp.Events {
			if key := string(e.Kv.Key[len(t.namespace):]); !seen[key] {
				seen[key] = true
				gone = append(gone, key)
			}
		}
		if len(resp.Events) > 0 {
			since = time.Now()
			continue
		}
		if begun && resp.Header.Revision >= t.revision && (!t.member.answersEarly() || time.Since(since) > quiet) {
			return gone, true, nil
		}
	}
}
