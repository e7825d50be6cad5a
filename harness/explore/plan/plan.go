// Package plan is what the explorer does, as plain data: steps, plans, their text form, random plans and smaller plans.
//
// A plan is a few lines that people can read, write and keep:
//
//	plan seed=7 members=3 proxies=2 clients=2
//	1. read g1 p1 k1
//	2. put g2 p2 k1
//
// Format writes that form and Parse reads it back to the same plan. A plan says nothing of addresses, ports, times or
// absolute revisions, so that it means the same on every run.
package plan

import (
	"fmt"
	"strconv"
	"strings"

	"ghostroute/harness/text"
)

// Plan is a topology in numbers and the steps to take on it. The zero numbers are not usable: see Default.
type Plan struct {
	Seed    uint64 // what it was drawn from; 0 where it was written by hand
	Members int    // m1 … : 1, 3 or 5
	Proxies int    // p1 … ; at first proxy number i talks to member number i, counted round
	Clients int    // g1 …
	Auth    bool   // each client is a user of its own, at first with a role that may read and write everything
	Steps   []Step
}

// Default is an empty plan on the topology of the incident: three members, two proxies, two clients.
func Default() Plan { return Plan{Members: 3, Proxies: 2, Clients: 2} }

// Limits of a plan.
const (
	MaxMembers = 5
	MaxProxies = 4
	MaxClients = 8
	MaxSteps   = 200
)

// Format is the text of p: the header, then one numbered line for each step, each ended by a newline.
func (p Plan) Format() string {
	var b strings.Builder
	b.WriteString(p.header())
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%d. %s\n", i+1, s)
	}
	return b.String()
}

// String is Format.
func (p Plan) String() string { return p.Format() }

// Line is the whole plan in one line, as ghostroute explore takes it; Parse reads it too.
func (p Plan) Line() string {
	header := strings.TrimSuffix(p.header(), "\n")
	return strings.Join(append([]string{header}, text.Each(p.Steps, Step.String)...), " | ")
}

func (p Plan) header() string {
	auth := ""
	if p.Auth {
		auth = " auth"
	}
	return fmt.Sprintf("plan seed=%d members=%d proxies=%d clients=%d%s\n", p.Seed, p.Members, p.Proxies, p.Clients, auth)
}

// With is p with other steps.
func (p Plan) With(steps []Step) Plan {
	p.Steps = steps
	return p
}

// Name is the name of the client, proxy or member of that number, counted from 0: Name('p', 0) is "p1".
func Name(kind rune, i int) string { return fmt.Sprintf("%c%d", kind, i+1) }

// Number is the inverse of Name: the number in a name, less one. The names in a plan were checked when it was read.
func Number(name string) int {
	n, _ := strconv.Atoi(name[1:])
	return n - 1
}

// Ends are what a link's name, "p1-m2", says it connects; to is "" where the name is a member's.
func Ends(link string) (from, to string) {
	from, to, _ = strings.Cut(link, "-")
	return from, to
}
