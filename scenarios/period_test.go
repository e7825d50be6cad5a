//go:build real

package scenarios

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/program"
)

// periodScenarios are tried with the client of the incident: a few of each theme, those in which an instance's own
// reads and leases matter among them. What needs a user or another read than go-micro's is not had of a process.
var periodScenarios = []string{"deregister-elsewhere", "deregister-same", "last-instance", "crash", "revoke-same",
	"scale-up", "first-registration", "phantom-restart", "reused-address", "read-during-write", "read-during-put",
	"lagging-member", "proxy-restarted", "proxy-drained", "compaction-other", "resurrection", "watch-cut"}

const periodHead = `# The client of the incident, and what stands in for it

<!-- written by make period -->

go-micro v2.9.1 was written against coreos/etcd 3.3.18 on gRPC 1.26. Here it compiles against today's etcd client, by
[aliases](../harness/compat/coreos-etcd). Each statement was told by both: by go-micro in this process, and by the
[very client](../harness/period) in a process of its own, before the same proxies.

`

// said is a statement, and what each of the two said.
type said struct{ what, today, period string }

// row is the statement's in the page: of one column where both said the same.
func (s said) row() string {
	if s.today == s.period {
		return fmt.Sprintf("| %s | %s |\n", s.what, s.today)
	}
	return fmt.Sprintf("| %s | %s | %s |\n", s.what, s.today, s.period)
}

// TestPeriod holds today's stand-in to the client of the incident. go test -tags real ./scenarios -run TestPeriod
// -update writes fixtures/period.md.
func TestPeriod(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	client, err := program.Period(ctx, func(s string) { fmt.Println(s) })
	require.NoError(t, err)

	var mu sync.Mutex
	var all []said
	want := len(statements)
	file, err := Fixture("period.md")
	require.NoError(t, err)
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	say := func(t *testing.T, s said) {
		if !*update {
			require.True(t, strings.Contains(string(page), s.row()), "%s, written by make period, does not have\n%s", file,
				s.row())
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, s)
	}
	t.Run("statements", func(t *testing.T) {
		for _, s := range statements {
			t.Run(s.what, func(t *testing.T) {
				t.Parallel()
				say(t, said{s.what, s.by(t, program.Program{}), s.by(t, client)})
			})
		}
	})
	t.Run("scenarios", func(t *testing.T) {
		by := map[program.Program]*Matrix{{}: nil, client: nil}
		for p := range by {
			m, err := NewMatrix(nil, t.ArtifactDir())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, m.Close()) })
			m.RunOn(On{Client: p})
			by[p] = m
		}
		for _, name := range periodScenarios {
			s, err := Named(name)
			require.NoError(t, err)
			for _, reading := range Readings {
				if NotApplicable(s, Fixes()[0], reading) != "" {
					continue
				}
				want++
				t.Run(name+"/"+string(reading), func(t *testing.T) {
					t.Parallel()
					label := func(p program.Program) string {
						r, _, err := by[p].trial(ctx, s, Fixes()[0], reading)
						require.NoError(t, err)
						t.Logf("%q: %s%s", p.Version, r.Verdict, Evidence(r.Verdict))
						return r.Verdict.Label()
					}
					what := fmt.Sprintf("scenario %s, read by %s", name, reading)
					say(t, said{what, label(program.Program{}), label(client)})
				})
			}
		}
	})
	if t.Failed() || len(all) < want {
		t.Logf("%d of %d were told: the page is not looked at", len(all), want) // some were left out by -run
		return
	}
	is := periodTable(all)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(is), 0o644))
		return
	}
	require.Equal(t, string(page), is, "%s is written by make period", file)
}

// TestPeriodIncident: the incident as the very client lives through it is, word for word, the one that is told of
// today's.
func TestPeriodIncident(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	client, err := program.Period(ctx, func(s string) { fmt.Println(s) })
	require.NoError(t, err)
	told := func(on On) string {
		var s strings.Builder
		require.NoError(t, Incident(ctx, Output{Writer: io.MultiWriter(t.Output(), &s)}, on), on.flags())
		return ports.ReplaceAllString(s.String(), ":0")
	}
	about, period, _ := strings.Cut(told(On{Client: client}), "\n\n")
	require.Equal(t, "Members and proxies are etcd "+BuiltWith().Etcd+"; clients are that of the incident, as processes.",
		about)
	require.Equal(t, told(On{}), period)
}

// periodTable is the page: what differs, and what was compared.
func periodTable(all []said) string {
	slices.SortStableFunc(all, func(a, b said) int { return strings.Compare(a.what, b.what) })
	var differ, agree strings.Builder
	n := 0
	for _, s := range all {
		if s.today == s.period {
			agree.WriteString(s.row())
			continue
		}
		n++
		differ.WriteString(s.row())
	}
	page := periodHead + "## What differs\n\n"
	if n == 0 {
		page += fmt.Sprintf("No difference in %d statements.\n", len(all))
	} else {
		page += fmt.Sprintf("%d of %d statements.\n\n| | today's stand-in | the client of the incident |\n|---|---|---|\n", n,
			len(all)) + differ.String()
	}
	return page + "\n## What does not\n\n| | both |\n|---|---|\n" + agree.String()
}

// TestPeriodTable: a difference is a row, and none is said to be none.
func TestPeriodTable(t *testing.T) {
	t.Parallel()
	same := said{"a", "x", "x"}
	require.Contains(t, periodTable([]said{same}), "No difference in 1 statements.\n")
	page := periodTable([]said{same, {"b", "x", "y"}})
	require.Contains(t, page, "1 of 2 statements.\n")
	require.Contains(t, page, "| b | x | y |\n")
	require.Contains(t, page, "| a | x |\n")
}
