package registry

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/keys"
)

// Mode is how a client reads the registry.
type Mode string

const (
	// Serializable is go-micro v2 as shipped: every read of its registry/etcd is serializable.
	Serializable Mode = "serializable"
	// LinearizableGet is the one line that the incident's team changed: GetService without WithSerializable.
	// ListServices and the lookup that Register begins with stay serializable.
	LinearizableGet Mode = "linearizable-get"
	// Linearizable is the thorough change: every read of the registry.
	Linearizable Mode = "linearizable"
)

// Modes are all read modes, from the one that asks etcd least to the one that asks it most.
func Modes() []Mode { return []Mode{Serializable, LinearizableGet, Linearizable} }

// upgrades says whether the mode makes in, which go-micro sends serializable, linearizable.
func (m Mode) upgrades(in *pb.RangeRequest) bool {
	switch m {
	case Linearizable:
		return true
	case LinearizableGet:
		return isGetService(in)
	default:
		return false
	}
}

func (m Mode) check() error {
	switch m {
	case Serializable, LinearizableGet, Linearizable:
		return nil
	}
	return fmt.Errorf("mode is %q; it may be one of %q", m, Modes())
}

// isGetService tells GetService's read, of a service's prefix, from ListServices', of the root, and from
// registerNode's, of one key.
func isGetService(in *pb.RangeRequest) bool {
	return len(in.RangeEnd) > 0 && string(in.Key) != keys.Registry
}
