package beyond

import (
	"fmt"
	"strings"

	"ghostroute/harness/promise"
	"ghostroute/scenarios"
)

const pageHead = `# Beyond the cache: watches, leases, identities

<!-- written by ghostroute beyond --accept -->

What else a grpc-proxy does to those behind it. There is no go-micro here: plain etcd clients, each through its own
connection to a real proxy, hold watches and leases open, and a judge holds what they were told against what was
committed ([harness/promise](../harness/promise/promise.go)). **kept** is that every promise was kept; a word says
which one was broken:

| | the promise that was broken |
|---|---|
`

// page is fixtures/beyond.md.
func (v Verdicts) page(b *strings.Builder) {
	b.WriteString(pageHead)
	for _, p := range promise.Promises {
		if v.has(p.Name) {
			fmt.Fprintf(b, "| %s | %s |\n", p.Name, p.Text)
		}
	}
	b.WriteString("\n## Every scenario against every fix\n\n| |")
	for _, f := range Fixes() {
		fmt.Fprintf(b, " %s |", f.Name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(Fixes())) + "\n")
	for _, s := range Scenarios() {
		fmt.Fprintf(b, "| [%s](#%s) |", s.Name, s.Name)
		for _, f := range Fixes() {
			label := strings.TrimPrefix(v[Key{s.Name, f.Name}], "broken ")
			if NotApplicable(s, f) != "" {
				label = "–"
			}
			fmt.Fprintf(b, " %s |", label)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## The fixes\n\n| | | from |\n|---|---|---|\n")
	for _, f := range Fixes() {
		fmt.Fprintf(b, "| **%s** | %s | %s |\n", f.Name, f.Title, f.Source)
	}
	b.WriteString("\nThe cures stand in [harness/grpcproxy](../harness/grpcproxy): upstream's watch and lease " +
		"server, token for " +
		"token, with the lines marked that differ.\n\n## The scenarios\n\nLines are those of etcd v3.7.3, under " +
		"`server/proxy/grpcproxy` where no other folder is named.\n")
	for _, s := range Scenarios() {
		cures := v.cures(s)
		if s.Patch != "" {
			cures += fmt.Sprintf("; cured by [a patch of the client](patches/%s)", s.Patch)
		}
		fmt.Fprintf(b, "\n### %s\n\n%s. %s\n\n- Seen: %s\n- Cause: %s\n- %s\n- `ghostroute beyond --scenario %s`\n",
			s.Name, upper(s.Title), s.Text, s.Seen, s.Cause, cures, s.Name)
	}
	fmt.Fprintf(b, pageTail, scenarios.Program)
}

const pageTail = `
` + "`ghostroute` is `%[1]s`." + `

## Said, and not so

What was read from the source and did not come true when it was run, on etcd v3.7.3.

- *After a reconnect a proxy passes a second Created on, and clients bind it to the wrong watch* (PR 21881). etcd's own
  client hands its reader one Created for each watch, and none for a watch that it resumes. second-created, whose
  fifteen watches are resumed by a restart, was kept 20 times of 20.
- *Thousands of watches of a key stretch the moment in which an event is out and its revision is not readable.* The
  moment is there: 10, 12 and 6 of 5,000 events with 0, 1,000 and 10,000 other watches, on a busy machine
  (BenchmarkEventBeforeItsRevision in harness/etcd). The crowd does not matter: what lengthens it is a goroutine that
  has to wait for a processor.
- *A renewal is never authenticated.* Members of v3.5.35, v3.6.16 and v3.7.0 on ask who renews; those of v3.5.21 and
  v3.6.8 did not. So with authentication on no lease outlives its time behind a proxy: lease-auth.
- *One lease that ended takes every other lease of its client along.* With authentication on none is renewed in the
  first place, and without it the question that would be refused is answered.
- *A transaction in memory (concurrency.NewSTM) is answered from the cache, and heals itself by a failed compare.* It
  reads serializably, but in a transaction, and a proxy passes each on: not even the level that compares nothing is
  fooled by the cache. stm was kept with every fix and without.
- *A client that was slow loses its stream, and resumes.* It does not resume: slow-client.

## Try the patch of the client

` + "```" + `
mkdir -p artifacts && cp -r "$(go list -m -f '{{.Dir}}' go.etcd.io/etcd/client/v3)" artifacts/client
chmod -R u+w artifacts/client
git apply --directory=artifacts/client fixtures/patches/client-watch.patch
cp go.mod artifacts/patched.mod && cp go.sum artifacts/patched.sum
go mod edit -replace go.etcd.io/etcd/client/v3=./artifacts/client artifacts/patched.mod
go run -modfile artifacts/patched.mod ./harness/cmd/ghostroute beyond --scenario close-hangs --fix no-proxy
` + "```" + `
`

// cures says what a scenario comes to without a fix, and which fixes change that.
func (v Verdicts) cures(s Scenario) string {
	bare := v[Key{s.Name, "none"}]
	if bare == "kept" {
		return "Nothing is wrong: **kept** without a fix"
	}
	var cures, other []string
	for _, f := range Fixes()[1:] {
		if NotApplicable(s, f) != "" {
			continue
		}
		switch label := v[Key{s.Name, f.Name}]; label {
		case "kept":
			cures = append(cures, f.Name)
		case bare:
		default:
			other = append(other, fmt.Sprintf("with %s it is **%s**", f.Name, label))
		}
	}
	text := fmt.Sprintf("**%s**; cured by %s", bare, strings.Join(cures, ", "))
	if len(cures) == 0 {
		text = fmt.Sprintf("**%s**, with whatever stands before etcd: it is the client's", bare)
	}
	return strings.Join(append([]string{text}, other...), "; ")
}

// has says whether a promise was broken anywhere.
func (v Verdicts) has(p promise.Name) bool {
	for _, label := range v {
		if strings.Contains(" "+label+" ", " "+string(p)+" ") {
			return true
		}
	}
	return false
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
