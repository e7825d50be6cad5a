package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// defect is one of go-micro's. show says whether it is there, and what was seen.
type defect struct {
	name string
	show func(*stand) (has bool, saw string, err error)
}

// defects are all, in the order of the page.
var defects = []defect{
	{"serializable-get", serializableGet},
	{"first-event", firstEvent},
	{"no-value-before", noValueBefore},
	{"not-found-is-outage", notFoundIsOutage},
	{"one-error-state", oneErrorState},
	{"first-watch-only", firstWatchOnly},
	{"router-last-node", routerLastNode},
	{"lease-left", leaseLeft},
	{"lease-renewed", leaseRenewed},
	{"register-stale", registerStale},
	{"register-lease-gone", registerLeaseGone},
}

// errAbsent is that a version has no such part.
var errAbsent = errors.New("this version has no such part")

// serviceOf is a service of one node for each id.
func serviceOf(name string, ids ...string) *microService {
	s := &microService{Name: name, Version: "v1"}
	for _, id := range ids {
		s.Nodes = append(s.Nodes, &microNode{Id: id, Address: "127.0.0.1:1"})
	}
	return s
}

// idsOf are the nodes' ids.
func idsOf(services ...*microService) (ids []string) {
	for _, s := range services {
		for _, n := range s.Nodes {
			ids = append(ids, n.Id)
		}
	}
	return ids
}

// named is what a registry or a cache says about a service, in words.
func named(services []*microService, err error) string {
	if err != nil {
		return err.Error()
	}
	return strings.Join(idsOf(services...), ", ")
}

// notFoundIsOutage has a copy lapse and be asked for after the service has gone.
func notFoundIsOutage(s *stand) (bool, string, error) {
	r := &scripted{}
	c := newCache(r)
	defer c.Stop()
	r.set("a", serviceOf("a", "a-1"), nil)
	if got, err := c.GetService("a"); err != nil || len(idsOf(got...)) != 1 {
		return false, "", fmt.Errorf("at first the cache was to name a-1, and says %s", named(got, err))
	}
	r.set("a", nil, errNotFound)
	got, err := c.GetService("a")
	return err == nil && len(idsOf(got...)) > 0,
		fmt.Sprintf("the registry says %s; the cache says %s", errNotFound, named(got, err)), nil
}

// oneErrorState has an outage of one service, then the delete of another's last node.
func oneErrorState(s *stand) (bool, string, error) {
	r := &scripted{}
	c := newCache(r)
	defer c.Stop()
	outage := errors.New("etcd cannot be reached")
	for _, name := range []string{"a", "b"} {
		r.set(name, serviceOf(name, name+"-1"), nil)
		if _, err := c.GetService(name); err != nil {
			return false, "", err
		}
	}
	if err := s.until("a watch of a", func() (bool, error) { return r.watches("a"), nil }); err != nil {
		return false, "", err
	}
	r.set("b", nil, outage)
	kept, err := c.GetService("b")
	if err != nil {
		return false, "", fmt.Errorf("the cache was to keep its copy in an outage, and says %w", err)
	}
	for range 2 { // when the second is taken, the first is done
		if err := r.tell(&microResult{Action: "delete", Service: serviceOf("a", "a-1")}); err != nil {
			return false, "", err
		}
	}
	r.set("a", nil, outage)
	got, err := c.GetService("a")
	return err == nil && len(idsOf(got...)) > 0, fmt.Sprintf("b cannot be read, and %s is kept; the delete of a-1 is "+
		"told; the cache says of a: %s", named(kept, nil), named(got, err)), nil
}

// firstWatchOnly asks for one service, and when that is watched for another.
func firstWatchOnly(s *stand) (bool, string, error) {
	r := &scripted{}
	c := newCache(r)
	defer c.Stop()
	for _, name := range []string{"a", "b"} {
		r.set(name, serviceOf(name, name+"-1"), nil)
		if _, err := c.GetService(name); err != nil {
			return false, "", err
		}
		err := s.until(name, func() (bool, error) { return r.watches(name), nil })
		if name == "b" && errors.Is(err, errLate) {
			return true, fmt.Sprintf("a is watched; b, which was asked for next, is not after %s", patience), nil
		}
		if err != nil {
			return false, "", err
		}
	}
	return false, "a is watched, and b, which was asked for next", nil
}

// routerLastNode takes the last node of a service with an endpoint away.
func routerLastNode(s *stand) (bool, string, error) {
	r := &scripted{}
	a := serviceOf("a", "a-1")
	a.Endpoints = []*microEndpoint{{Name: "A.Call", Metadata: map[string]string{
		"endpoint": "A.Call", "method": "GET", "path": "/a/call", "handler": "rpc"}}}
	r.set("a", a, nil)
	endpoint, stop := newRouter(r)
	if endpoint == nil {
		return false, "", errAbsent
	}
	defer func() { _ = stop() }() // it returns nil always
	asked, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "http://localhost/a/call", nil)
	if err != nil {
		return false, "", err
	}
	err = s.until("the endpoint, and the watches of the router and of its cache", func() (bool, error) {
		return endpoint(asked) == nil && r.count() == 2, nil
	})
	if err != nil {
		return false, "", err
	}
	r.set("a", nil, errNotFound)
	for range 3 { // the cache has heard of the first when the second is taken, and the router reads it upon the second
		if err := r.tell(&microResult{Action: "delete", Service: a}); err != nil {
			return false, "", err
		}
	}
	err = endpoint(asked)
	saw := "found"
	if err != nil {
		saw = err.Error()
	}
	return err == nil, "a-1, the last, was deleted, and the router was told; its endpoint: " + saw, nil
}
