package main

import (
	"fmt"

	pb "github.com/coreos/etcd/etcdserver/etcdserverpb"
)

// mode is how the registry is read: of the same names, and by the same rules, as in ghostroute/harness/registry.
type mode string

const (
	serializable    mode = "serializable"
	linearizableGet mode = "linearizable-get"
	linearizable    mode = "linearizable"
)

func (m mode) check() error {
	switch m {
	case serializable, linearizableGet, linearizable:
		return nil
	}
	return fmt.Errorf("-mode is %q: it may be %s, %s or %s", string(m), serializable, linearizableGet, linearizable)
}

// upgrades says whether the mode makes a read, which go-micro sends serializable, linearizable. GetService reads a
// service's prefix, ListServices the root's, and Register's lookup one key.
func (m mode) upgrades(in *pb.RangeRequest) bool {
	return m == linearizable ||
		m == linearizableGet && len(in.RangeEnd) > 0 && string(in.Key) != "/micro/registry/"
}
