// Package mended is go-micro v2.9.1's own code with its own defects mended: registry/cache/cache.go,
// registry/etcd/watcher.go, and Register and Deregister of registry/etcd/etcd.go; package router is its router. It
// is upstream's, token for token, but for what stands between "// cure NAME: why" and "// cured", which says by
// "// was:" what it takes the place of. TestACopyIsUpstreams holds it to that. Each cure is of the size that one would
// send upstream.
//
//   - Answer: "not found" was taken for an outage and the expired copy kept; a refusal, too
//   - Anew: a watch that broke begins at now, and what it missed was missed until the TTL was over
//   - Each: of a response's events only the first was told
//   - Value: a delete whose value before is compacted panicked
//   - Stop: a cache that was stopped slept for up to ten seconds before it ended
//   - Leader: a watch at a member that was cut off waited for ever
//   - Lookup: Register read serializably whether it is registered, and believed it
//   - Lease: Deregister left the lease
//   - Last, in package router: a last node's endpoints were never dropped, nor a node that its cache still had
package mended

import (
	"encoding/json"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/micro/go-micro/v2/registry"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
)

// Client is what a watcher watches with, and a registry registers.
type Client struct{ client *clientv3.Client }

// With is a client.
func With(c *clientv3.Client) *Client { return &Client{c} }

// prefix, servicePath and decode are registry/etcd/etcd.go's.
const prefix = "/micro/registry/"

func servicePath(s string) string { return path.Join(prefix, strings.Replace(s, "/", "-", -1)) }

func decode(ds []byte) *registry.Service {
	var s *registry.Service
	_ = json.Unmarshal(ds, &s) // what is none is nil
	return s
}

// IsAnswer says whether an error is what the registry had to say: that there is no such service, or one may not ask.
func IsAnswer(err error) bool {
	var refused interface{ Code() codes.Code }
	if errors.As(err, &refused) {
		switch refused.Code() {
		case codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument: // the last is a user who is gone
			return true
		}
	}
	return errors.Is(err, registry.ErrNotFound)
}

// expire has every service read again when it is asked for next. A copy is kept for an outage.
func (c *cache) expire() {
	c.Lock()
	defer c.Unlock()
	c.ttls = map[string]time.Time{}
}

// pause ends when the cache is stopped.
func (c *cache) pause(d time.Duration) {
	select {
	case <-c.exit:
	case <-time.After(d):
	}
}

// result is what an event tells, nil where that is nothing.
func (ew *etcdWatcher) result(ev *clientv3.Event) (*registry.Result, error) {
	action, value := "update", ev.Kv.Value
	switch {
	case ev.Type == clientv3.EventTypeDelete && ev.PrevKv == nil:
		return nil, errors.New("a delete whose value before is compacted")
	case ev.Type == clientv3.EventTypeDelete:
		action, value = "delete", ev.PrevKv.Value
	case ev.IsCreate():
		action = "create"
	}
	service := decode(value)
	if service == nil {
		return nil, nil
	}
	return &registry.Result{Action: action, Service: service}, nil
}
