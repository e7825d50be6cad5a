package clients

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

// Key names one cell.
type Key struct{ Scenario, Client, Proxies string }

// Verdicts are labels by cell. A cell that makes no sense has none.
type Verdicts map[Key]string

// cures is how many package mended has.
const cures = 9

// File is the fixture with the verdicts; it is read and written.
const File = "clients.md"

const head = `# Who else meets the ghost

<!-- written by ghostroute clients --accept -->

The scenarios of [the matrix](matrix.md), as other clients than go-micro's see them. A row is a scenario, a column a
client: what three gateways look the service up with, each behind its own proxy. Every cell is a trial on a real etcd,
with real proxies, by the matrix' rules: **fresh** is that no answer was wrong once the change was acknowledged,
**heals** that some were and all came right by themselves, **stale** that some stay wrong, and that it is known why. A
dash makes no sense, and the end of the page says why.
`

// tables are the two tables' titles, by proxies.
var tables = map[string]string{
	"none": "Behind stock proxies",
	"revalidate": "Behind proxies that revalidate\n\nThese are fresh in every row of the matrix ([fixes](fixes.md)): " +
		"what is wrong here is the client's own.",
}

// Write writes the page.
func (v Verdicts) Write(w io.Writer) error {
	ss, err := Scenarios()
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(head)
	for _, p := range Proxies() {
		fmt.Fprintf(&b, "\n## %s\n\n| %s |", tables[p], p)
		for _, c := range Clients() {
			fmt.Fprintf(&b, " %s |", c.Name)
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(Clients())) + "\n")
		for _, s := range ss {
			fmt.Fprintf(&b, "| %s |", s.Name)
			for _, c := range Clients() {
				label := v[Key{s.Name, c.Name, p}]
				if label == "" {
					label = "–"
				}
				fmt.Fprintf(&b, " %s |", label)
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("\n## The clients, and what to do with each\n")
	for _, c := range Clients() {
		fmt.Fprintf(&b, "\n**%s** is %s. It %s. %s\n", c.Name, c.Title, c.Reads, c.Advice)
	}
	fmt.Fprintf(&b, tail, cures, text.And(v.healed(ss)))
	b.WriteString("\n## The dashes\n\n")
	for _, s := range ss {
		for _, c := range Clients() {
			why, err := c.never(s)
			if err != nil {
				return err
			}
			if why != "" {
				fmt.Fprintf(&b, "- %s, %s: %s\n", s.Name, c.Name, why)
			}
		}
	}
	_, err = io.WriteString(w, b.String())
	return err
}

const tail = `
## Locks, elections, transactions in memory

What is made of watches and leases is tried [beyond the cache](beyond.md), where it is judged by promises: the scenarios
stm, lock, lock-two-users and election, against every cure of a proxy's watches.

**client/v3/concurrency** lists linearizably and watches from there (lock, election), or reads in transactions (stm). No
cache fools any of the three. A lock and an election are as good as their watch, and a session as its lease: with
authentication on a free lock is waited for without end behind a stock proxy (lock-two-users), and no session outlives
its time (lease-auth). Have them ask the members, or etcd's L4 gateway.

## What was mended

[harness/mended](../harness/mended/mended.go) is go-micro v2.9.1's own cache, watcher, router, Register and Deregister,
token for token, with the lines marked that differ: %d cures, of a few lines each. Behind proxies that revalidate it is
fresh in every row of the matrix, which a test holds. As shipped, %s are not.

- Its router, which never drops the endpoints of a last node, is mended and tried in a test, and in no row: instances
  here register no endpoints. harness/mended/router has both do it.
- Register reads linearizably whether it is registered, and Deregister revokes the lease. Either cures phantom-restart,
  behind stock proxies too: what is put clears the entry of the proxy that hid it.
- *One error state for the whole cache: after one service's outage every service's last-node delete is ignored until
  some read succeeds.* Said, and not so: an event ends that state before it is looked at (registry/cache/cache.go).
  TestAnOutageOfOneServiceKeepsNoOther has both caches do it.

[survivors.md](survivors.md) is what of it later versions of go-micro have.

grpc-resolver-new is fresh in crash because nobody listed while the instance that crashes was there.
`

// healed are the rows that the mended client is fresh in and the shipped one is not, behind proxies that revalidate.
func (v Verdicts) healed(ss []scenarios.Scenario) (rows []string) {
	for _, s := range ss {
		shipped, mended := v[Key{s.Name, "go-micro", "revalidate"}], v[Key{s.Name, "go-micro-mended", "revalidate"}]
		if mended == "fresh" && shipped != "fresh" {
			rows = append(rows, s.Name)
		}
	}
	return rows
}

// Read reads the two tables of what Write wrote.
func Read(r io.Reader) (Verdicts, error) {
	v, proxies := Verdicts{}, ""
	var columns []string
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line, isRow := strings.CutPrefix(lines.Text(), "| ")
		if !isRow {
			if !strings.HasPrefix(lines.Text(), "|---") {
				proxies = ""
			}
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, " |"), " | ")
		if proxies == "" {
			if proxies, columns = cells[0], cells[1:]; !slices.Contains(Proxies(), proxies) {
				return nil, fmt.Errorf("line %d: nothing is tried behind %q", n, proxies)
			}
			continue
		}
		if len(cells) != len(columns)+1 {
			return nil, fmt.Errorf("line %d has %d cells, and there are %d clients", n, len(cells)-1, len(columns))
		}
		for i, label := range cells[1:] {
			if label != "–" {
				v[Key{cells[0], columns[i], proxies}] = label
			}
		}
	}
	return v, lines.Err()
}

// Expected reads fixtures/clients.md.
func Expected() (Verdicts, error) { return scenarios.ReadFixture(File, Read) }

// Accept writes it.
func (v Verdicts) Accept() error {
	var b strings.Builder
	if err := v.Write(&b); err != nil {
		return err
	}
	return scenarios.WriteFixtures(map[string]string{File: b.String()})
}
