package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"ghostroute/harness/text"
)

// find adds endpoints by what they are said to be, "" where nobody says, and finds out what they are, all at once.
func (r *run) find(ctx context.Context, by map[Role][]string) error {
	var found []*node
	said := map[*node]Role{}
	add := func(addr string, role Role) error {
		if slices.ContainsFunc(r.all, func(n *node) bool { return n.addr == addr }) {
			return nil
		}
		n, err := r.node(addr, addr)
		if err != nil {
			return err
		}
		n.gauge = newGauge(addr, r.TLS, r.Timeout)
		found, said[n] = append(found, n), role
		return nil
	}
	for _, role := range []Role{Member, Proxy, ""} { // what is said of one that is given twice holds
		for _, addr := range by[role] {
			if err := add(addr, role); err != nil {
				return err
			}
		}
	}
	r.findOut(ctx, found, said)
	for _, n := range found {
		switch {
		case n.row.Error != "":
		case n.row.Role == Member:
			r.members = append(r.members, n)
		case n.row.Role == Proxy:
			if err := r.meet(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// node adds one connection, by the name that it goes by in the report.
func (r *run) node(addr, name string) (*node, error) {
	e, err := dial(addr, r.TLS, r.Timeout)
	if err != nil {
		return nil, fmt.Errorf("%s is no endpoint: %w", addr, err)
	}
	n := &node{endpoint: e, row: &Endpoint{Endpoint: name, Role: Unknown}}
	e.addr, e.token = name, r.Token
	r.all = append(r.all, n)
	r.report.Endpoints = append(r.report.Endpoints, n.row)
	return n, nil
}

func (r *run) findOut(ctx context.Context, nodes []*node, said map[*node]Role) {
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() { n.findOut(ctx, said[n], r.DialTimeout) })
	}
	all.Wait()
}

// meet makes more connections to where a proxy answered, for there may be several behind one address, and keeps one to
// each. They are told apart by the address that each advertises; those that advertise none, or the same, are asked over
// every connection. Only the first has metrics, which would be read over yet another connection. That all were met is
// never said: one that no connection went to is not known.
func (r *run) meet(ctx context.Context, first *node) error {
	r.proxies = append(r.proxies, first)
	if r.Connections < 2 {
		return nil
	}
	addr, more, said := first.addr, []*node{}, map[*node]Role{}
	for i := 1; i < r.Connections; i++ {
		n, err := r.node(addr, fmt.Sprintf("%s#%d", addr, i+1))
		if err != nil {
			return err
		}
		more, said[n] = append(more, n), Proxy
	}
	r.findOut(ctx, more, said)
	met, last, alike := []string{identity(first)}, 1, identity(first) == ""
	for i, n := range more {
		who := identity(n)
		switch {
		case n.row.Error != "":
			continue
		case who != "" && slices.Contains(met, who):
			r.forget(n)
			continue
		case who == "":
			alike = true
		}
		met, last = append(met, who), i+2
		r.proxies = append(r.proxies, n)
	}
	if alike {
		first.row.Note("%s were made to it: which of them met the same proxy cannot be told", connections(r.Connections))
		return nil
	}
	first.row.Note("%s met %s, the last by connection %d; one that none of them went to was not asked",
		connections(r.Connections), proxiesMet(met), last)
	return nil
}

func connections(n int) string { return text.Count(n, "connection") }

func proxiesMet(names []string) string {
	if len(names) == 1 {
		return "1 proxy, " + names[0]
	}
	return fmt.Sprintf("%d proxies, %s", len(names), text.And(names))
}

// identity is the address that a proxy advertises, "" where it does not tell it from others: it passes on its members'
// list, names all proxies of its resolver prefix, or has kept the default (etcdmain/grpc_proxy.go).
func identity(n *node) string {
	if len(n.row.Names) != 1 || strings.HasSuffix(n.row.Names[0], "127.0.0.1:23790") {
		return ""
	}
	return n.row.Names[0]
}

// forget drops a connection to where another one goes.
func (r *run) forget(n *node) {
	n.close()
	r.all = slices.DeleteFunc(r.all, func(x *node) bool { return x == n })
	r.report.Endpoints = slices.DeleteFunc(r.report.Endpoints, func(x *Endpoint) bool { return x == n.row })
}
