package program

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ghostroute/harness/text"
)

// Members are the programs of a cluster's members: m1's, m2's and so on. Where there are more members than programs
// they begin anew at the first. The zero Members is that all members are embedded.
type Members [5]Program

// Alike are members that all run one program.
func Alike(p Program) Members { return Members{p} }

// Of is the program of the i-th member, from 1.
func (m Members) Of(i int) Program {
	all := m.given()
	if len(all) == 0 {
		return Program{}
	}
	return all[(i-1)%len(all)]
}

// Paths are where they are, in the members' order.
func (m Members) Paths() []string {
	return text.Each(m.given(), func(p Program) string { return p.Path })
}

// Check says why they are no members of one cluster: etcd's are at most one minor version apart. What a 3.5 publishes
// as it starts is a request of the old API (server/v3@v3.5.35/etcdserver/server.go:2157), at which a 3.7 panics
// (server/v3@v3.7.3/etcdserver/apply/apply.go:29, "unmarshal should never fail"); what a 3.6 publishes is one of the
// new (server/v3@v3.6.16/etcdserver/server.go:1804), at which a 3.4 does ("not implemented").
func (m Members) Check() error {
	all := m.given()
	for _, a := range all {
		for _, b := range all {
			if older, newer := minor(a.Version), minor(b.Version); newer-older > 1 {
				return fmt.Errorf("etcd %s and %s cannot be members of one cluster: they are more than one minor "+
					"version apart", a.Name(), b.Name())
			}
		}
	}
	return nil
}

// minor is 7 of "3.7.3", and 0 where there is none.
func minor(version string) int {
	parts := strings.Split(version, ".")
	if len(parts) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(parts[1])
	return n
}

// Name is "3.7.3", or "3.5.35, 3.6.16 and 3.7.3".
func (m Members) Name() string { return text.And(text.Each(m.given(), Program.Name)) }

// String is "etcd 3.7.3".
func (m Members) String() string {
	if m == (Members{}) {
		return Program{}.String()
	}
	return "etcd " + m.Name()
}

// given are those before the first that is none.
func (m Members) given() []Program {
	if n := slices.Index(m[:], Program{}); n >= 0 {
		return m[:n]
	}
	return m[:]
}
