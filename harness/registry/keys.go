package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/micro/go-micro/v2/registry"

	"ghostroute/harness/history"
)

// Root is the prefix of every key that go-micro keeps in etcd (its registry/etcd/etcd.go), and what ListServices reads.
const Root = "/micro/registry/"

// ServicePrefix is the prefix of a service's keys, and what GetService reads: "/micro/registry/greeter/".
func ServicePrefix(service string) string { return Root + segment(service) + "/" }

// NodeKey is where the instance with that name stands: "/micro/registry/greeter/greeter-v1-a".
func NodeKey(service, id string) string { return ServicePrefix(service) + segment(NodeID(service, id)) }

// NodeID is what go-micro calls the node of an instance: the service's name, a dash, and the instance's own name
// (server/rpc_server.go and server/grpc/grpc.go, Register).
func NodeID(service, id string) string { return service + "-" + id }

// ParseKey is NodeKey's inverse. It is false for a key that is none of go-micro's. A key whose node is not named after its
// service, as other programs may write them, gives the node's whole name as id.
func ParseKey(key string) (service, id string, ok bool) {
	rest, ok := strings.CutPrefix(key, Root)
	if !ok {
		return "", "", false
	}
	service, node, ok := strings.Cut(rest, "/")
	if !ok || service == "" || node == "" || strings.Contains(node, "/") {
		return "", "", false
	}
	return service, strings.TrimPrefix(node, service+"-"), true
}

// Decode reads one value of the registry: the service it belongs to and the endpoints it names (go-micro writes one a key).
func Decode(value []byte) (service string, endpoints []history.Endpoint, err error) {
	var s *registry.Service
	if err := json.Unmarshal(value, &s); err != nil {
		return "", nil, fmt.Errorf("value is none of go-micro's registry: %w", err)
	}
	if s == nil {
		return "", nil, errors.New("value is none of go-micro's registry: null")
	}
	return s.Name, Endpoints([]*registry.Service{s}), nil
}

// Endpoints is a registry answer in the history's words, sorted by ID and then by address, never nil.
func Endpoints(services []*registry.Service) []history.Endpoint {
	endpoints := []history.Endpoint{}
	for _, s := range services {
		for _, n := range s.Nodes {
			endpoints = append(endpoints, history.Endpoint{
				ID:      strings.TrimPrefix(n.Id, s.Name+"-"),
				Version: s.Version,
				Address: n.Address,
			})
		}
	}
	sort.Slice(endpoints, func(i, j int) bool {
		if endpoints[i].ID != endpoints[j].ID {
			return endpoints[i].ID < endpoints[j].ID
		}
		return endpoints[i].Address < endpoints[j].Address
	})
	return endpoints
}

// segment is how go-micro makes a name fit for one segment of a key.
func segment(name string) string { return strings.ReplaceAll(name, "/", "-") }
