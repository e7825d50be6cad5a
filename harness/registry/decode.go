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

// Decode reads one value of the registry: the service it belongs to and the endpoints it names (go-micro writes one a
// key).
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
