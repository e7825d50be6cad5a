package fresh

import (
	"context"
	"errors"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// follow has one watch after another stand, until the context ends. Members that refuse it, or break it off again and
// again, are asked at intervals that grow to longest.
func (f *Fenced) follow() {
	const shortest, longest = 10 * time.Millisecond, time.Second
	pause := shortest
	for {
		began := time.Now()
		f.once()
		if time.Since(began) > longest {
			pause = shortest
		}
		select {
		case <-f.ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// once has a watch stand from the present on, until it ends.
func (f *Fenced) once() {
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	at := time.Now()
	h, err := f.present(ctx)
	f.silent.Store(err != nil)
	if err != nil {
		f.counts.refuse(err)
		return
	}
	late := time.AfterFunc(f.o.Stall, cancel)
	defer late.Stop()
	s, created, err := f.open(ctx, h)
	if err != nil {
		f.counts.refuse(err)
		return
	}
	if !late.Stop() {
		return
	}
	watch := f.kept.begin(h, at, max(h.Revision, created.Header.GetRevision()), cancel)
	f.behind.Store(false)
	f.counts.refuse(nil)
	f.stood.Do(func() { close(f.stands) })
	f.restart(watch, f.deliver(s, created.WatchId, h.ClusterId))
}

// open opens a watch on every key for what comes after the present. It asks for fragments, for what one transaction
// deletes may be more than gRPC can send at once.
func (f *Fenced) open(ctx context.Context, h *pb.ResponseHeader) (pb.Watch_WatchClient, *pb.WatchResponse, error) {
	s, err := f.watch.Watch(clientv3.WithRequireLeader(ctx), unlimited)
	if err != nil {
		return nil, nil, err
	}
	err = s.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: h.Revision + 1, Fragment: true}}})
	if err != nil {
		return nil, nil, err
	}
	r, err := s.Recv()
	switch {
	case err != nil:
		return nil, nil, err
	case r.Canceled || !r.Created:
		return nil, nil, errors.New("the watch was refused: " + r.CancelReason)
	case r.Header.GetClusterId() != h.ClusterId:
		return nil, nil, errors.New("the watch is another cluster's")
	}
	return s, r, nil
}

// deliver applies what the watch delivers, and says what ended it.
func (f *Fenced) deliver(s pb.Watch_WatchClient, id int64, cluster uint64) (why string) {
	for {
		r, err := s.Recv()
		switch {
		case err != nil:
			return "broken off"
		case r.Header.GetClusterId() != cluster:
			return "another cluster"
		case r.CompactRevision != 0:
			return "compacted"
		case r.Canceled:
			return "cancelled"
		case len(r.Events) == 0: // progress, which is not asked for, and not believed
			continue
		case r.WatchId != id:
			return "another watch's events"
		}
		if err := f.kept.apply(r.Events, r.Fragment); err != nil {
			return err.Error()
		}
		if _, since := f.kept.awaits(); since.IsZero() {
			f.behind.Store(false)
		}
	}
}

// restart empties the cache and ends its watch, if it is still that one; follow begins another.
func (f *Fenced) restart(watch int64, why string) {
	if f.kept.end(watch) {
		f.counts.purge(why)
	}
}
