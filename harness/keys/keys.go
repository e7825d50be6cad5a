// Package keys is the layout of go-micro's registry in etcd, and what etcd's ranges mean. It imports nothing, so that
// what judges a history can use it without go-micro.
package keys

import "strings"

// Registry is the prefix of every key that go-micro keeps in etcd (its registry/etcd/etcd.go, prefix), and what
// ListServices reads.
const Registry = "/micro/registry/"

// Service is the prefix of a service's keys, and what GetService reads: "/micro/registry/greeter/".
func Service(service string) string { return Registry + segment(service) + "/" }

// Node is where the instance with that name stands: "/micro/registry/greeter/greeter-v1-a".
func Node(service, id string) string { return Service(service) + segment(NodeID(service, id)) }

// NodeID is what go-micro calls the node of an instance: the service's name, a dash, and the instance's own name
// (server/rpc_server.go and server/grpc/grpc.go, Register).
func NodeID(service, id string) string { return service + "-" + id }

// Parse is Node's inverse. It is false for a key that is none of go-micro's. A key whose node is not named after its
// service, as other programs may write them, gives the node's whole name as id.
func Parse(key string) (service, id string, ok bool) {
	rest, ok := strings.CutPrefix(key, Registry)
	if !ok {
		return "", "", false
	}
	service, node, ok := strings.Cut(rest, "/")
	if !ok || service == "" || node == "" || strings.Contains(node, "/") {
		return "", "", false
	}
	return service, strings.TrimPrefix(node, service+"-"), true
}

// segment is how go-micro makes a name fit for one segment of a key.
func segment(name string) string { return strings.ReplaceAll(name, "/", "-") }

// FromKey is the range end that means "from the key on" (api/etcdserverpb/rpc.proto, RangeRequest.range_end).
const FromKey = "\x00"

// In says whether k is in the range from key to end: one key where end is "", from key on where it is FromKey, else up
// to and without end.
func In(k, key, end string) bool {
	switch end {
	case "":
		return k == key
	case FromKey:
		return k >= key
	default:
		return k >= key && k < end
	}
}

// Overlap says whether two ranges have a key in common.
func Overlap(key, end, otherKey, otherEnd string) bool {
	return In(otherKey, key, end) || In(key, otherKey, otherEnd)
}

// Within says whether every key of a range begins with prefix, which is not "".
func Within(key, end, prefix string) bool {
	return strings.HasPrefix(key, prefix) && (end == "" || end != FromKey && end <= PrefixEnd(prefix))
}

// PrefixEnd is the range end with which a Range reads every key that begins with prefix, as clientv3.GetPrefixRangeEnd.
func PrefixEnd(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return FromKey
}
