package scenarios

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/etcd"
	"ghostroute/harness/gateway"
	"ghostroute/harness/onreal"
	"ghostroute/harness/program"
	"ghostroute/harness/race"
	"ghostroute/harness/trial"
)

var update = flag.Bool("update", false, "rewrite the files that are written from what is known")

// runsOn is what the tests run on: with the build tag "real", processes.
func runsOn(t *testing.T) On {
	p := onreal.Program(t)
	return On{Etcd: program.Alike(p), Proxy: p}
}

var every = flag.Bool("every", false, "try every cell of the matrix, under the race detector too")

// sparse is how many cells there are to one that is tried under the race detector: what it looks for is in what a
// scenario does and in what a fix does, and not in what comes of both.
const sparse = 12

// sparsely says whether the cell of a scenario and a fix, by their places, is one of those.
func sparsely(scenario, fix int) bool { return (scenario+fix)%sparse == 0 }

// TestMatrix tries every scenario against every fix, in both readings, and compares each verdict with the expected one.
// go test ./scenarios -run 'TestMatrix/<scenario>/<fix>' -v runs one cell and prints its evidence; under the race
// detector, with -every.
func TestMatrix(t *testing.T) {
	t.Parallel()
	expected, err := ReadExpected()
	require.NoError(t, err)
	m, err := NewMatrix(expected, harness.Evidence(t))
	require.NoError(t, err)
	m.RunOn(runsOn(t))
	shared(t, m)
	for i, s := range slowestFirst(t) { // what is begun last is done last
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			for j, f := range Fixes() {
				if race.Enabled && !*every && !sparsely(i, j) {
					continue
				}
				t.Run(f.Name, func(t *testing.T) {
					t.Parallel()
					ctx, cancel := harness.Context(t)
					defer cancel()
					cell, moved, err := m.Cell(ctx, s, f)
					require.NoError(t, err)
					for _, r := range cell.Readings {
						t.Logf("%s: %s%s", r.Name, r.Verdict, Evidence(r.Verdict))
					}
					for _, m := range moved {
						t.Error(m)
					}
				})
			}
		})
	}
}

func slowestFirst(t *testing.T) []Scenario {
	seconds, err := readSeconds()
	require.NoError(t, err)
	all := All()
	slices.SortStableFunc(all, func(a, b Scenario) int { return cmp.Compare(seconds[b.Name], seconds[a.Name]) })
	return all
}

// TestTheRaceDetectorMeetsEveryScenarioAndFix: in both readings, where it has both.
func TestTheRaceDetectorMeetsEveryScenarioAndFix(t *testing.T) {
	has, meets := map[string]bool{}, map[string]bool{}
	for i, s := range slowestFirst(t) {
		for j, f := range Fixes() {
			for _, r := range Readings {
				if NotApplicable(s, f, r) != "" {
					continue
				}
				for _, what := range []string{s.Name + " " + string(r), f.Name + " " + string(r)} {
					has[what] = true
					meets[what] = meets[what] || sparsely(i, j)
				}
			}
		}
	}
	for what := range has {
		require.True(t, meets[what], what)
	}
}

// matrix is one of a test's own, that is to read so.
func matrix(t *testing.T, expected Verdicts) (context.Context, *Matrix) {
	ctx, cancel := harness.Context(t)
	t.Cleanup(cancel)
	m, err := NewMatrix(expected, t.ArtifactDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return ctx, m
}

// TestATrialThatIsLateAgainIsMadeAlone: beside the others first, and then with none beside it.
func TestATrialThatIsLateAgainIsMadeAlone(t *testing.T) {
	t.Parallel()
	ctx, m := matrix(t, nil)
	var alone []bool
	late := Scenario{Name: "late", Title: "what the machine is too slow for, three times",
		Needs: func(t *harness.Topology) { t.Proxies = 1 },
		Act: func(*Trial) error {
			gone, cancel := context.WithCancel(ctx)
			cancel()
			_, end, err := m.pace.Begin(gone)
			if err == nil {
				end()
			}
			if alone = append(alone, err != nil); len(alone) <= together+1 {
				return &trial.Late{What: "a test"}
			}
			return nil
		}}
	r, again, err := m.trial(ctx, late, Fixes()[0], gateway.EachRequest)
	require.NoError(t, err)
	for n, alone := range alone { // one more where the machine stood still
		require.Equal(t, n >= together, alone, n)
	}
	require.GreaterOrEqual(t, len(again), together+1)
	require.Len(t, again, len(alone)-1)
	require.False(t, r.Late)
	require.Len(t, m.Again(), len(again))
}

// TestATrialThatDidNotBeginInTimeIsLate: it says so, and can be judged, drawn and written as any other.
func TestATrialThatDidNotBeginInTimeIsLate(t *testing.T) {
	t.Parallel()
	ctx, m := matrix(t, nil)
	c, err := m.pool.Take(ctx, 1)
	require.NoError(t, err)
	over, end := context.WithTimeout(ctx, 0)
	defer end()
	r, err := Try(over, c, On{}, All()[0], Fixes()[0], gateway.EachRequest)
	require.NoError(t, err)
	require.True(t, r.Late)
	require.Contains(t, r.Failed, "too late: the trial did not begin: ")
	require.Equal(t, "unknown", r.Label)
	require.NoError(t, r.Again(r.Verdict))
}

// TestATrialThatAnElectionEndedIsLate: a read that waits at a leader that is cut off hears, when that is mended,
// that there is another.
func TestATrialThatAnElectionEndedIsLate(t *testing.T) {
	t.Parallel()
	ctx, m := matrix(t, nil)
	elected := Scenario{Name: "elected", Title: "the members elect another leader while a proxy is scrubbed",
		Needs: func(t *harness.Topology) { oneProxy(t); everyMember(t) },
		Act: func(t *Trial) error {
			for { // the read may be later than the election, and the election later than the read waits
				lead, err := t.Cluster.Leader(t.ctx)
				if err != nil {
					return err
				}
				if err := errors.Join(t.narrow(lead.Name), t.Inflict(lead.Cut)); err != nil {
					return err
				}
				scrubbed := make(chan error, 1)
				go func() { scrubbed <- t.ScrubOnce(t.ctx) }()
				_, err = t.Cluster.Leader(t.ctx)
				err = errors.Join(err, t.Rejoin(t.ctx, lead.Name))
				if err := errors.Join(<-scrubbed, err); etcd.GaveUp(err) || t.ctx.Err() != nil {
					return err
				}
			}
		}}
	r, err := m.try(ctx, elected, Fixes()[0], gateway.EachRequest)
	require.NoError(t, err)
	require.Contains(t, r.Failed, "p1 was not scrubbed: etcdserver: leader changed")
	require.True(t, r.Late)
}

// TestWhatMovesNowAndThenIsToldAndHowOften: a reading that is tried three times, and is another the second.
func TestWhatMovesNowAndThenIsToldAndHowOften(t *testing.T) {
	t.Parallel()
	key := Key{"flaky", "none", gateway.EachRequest}
	ctx, m := matrix(t, Verdicts{key: "fresh"})
	m.Times = 3
	past := false
	read, err := m.reading(ctx, Scenario{Name: "flaky", Title: "an instance leaves, the second time past its proxy",
		Needs: func(t *harness.Topology) { t.Proxies = 1 },
		Act: func(t *Trial) error {
			// The label of the last that counted: one that time broke is made again.
			m.mu.Lock()
			last := m.found[key]
			m.mu.Unlock()
			if past = past || last == "stale ghost"; past || last == "" {
				return t.Leave(t.ctx, "v1-a")
			}
			if err := t.on("m1", t.delete(t.ServiceKey("v1-a"))); err != nil {
				return err
			}
			return t.Instance("v1-a").Crash()
		}}, Fixes()[0], gateway.EachRequest, "")
	require.NoError(t, err)
	require.True(t, past)
	require.Contains(t, read.News, "flaky against none moved 1 of 3 times, read each-request\n"+
		"  it was   fresh\n  it is    stale")
	require.Equal(t, "stale ghost", read.Verdict.Label(), "the one that moved is shown")
	require.FileExists(t, read.History)
}
