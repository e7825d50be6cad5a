package verdict_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

// The history of the one race that no gate can force says what fixtures/found/event-overtakes-write.md tells of it.
func TestAnEventOvertakesItsWrite(t *testing.T) {
	t.Parallel()
	file, err := os.Open("../../fixtures/found/event-overtakes-write.jsonl")
	require.NoError(t, err)
	defer file.Close()
	events, err := history.Decode(file)
	require.NoError(t, err)
	require.Len(t, events, 16)
	at := func(seq int) history.Event {
		e, ok := history.Find(events, seq)
		require.True(t, ok, seq)
		return e
	}
	ms := func(d time.Duration) float64 {
		return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
	}

	commit, put := at(39), at(42)
	require.Equal(t, []any{int64(388), "put", 285.5}, []any{commit.Commit.Revision, commit.Commit.Op, ms(commit.At)})
	require.Equal(t, []any{int64(388), 268.3, 288.9}, []any{put.Write.Revision, ms(put.Write.Began), ms(put.At)})
	for seq, want := range map[int][]any{40: {"g1", 283.8, 287.3}, 41: {"g2", 283.7, 287.4}} {
		e := at(seq)
		require.Equal(t, want, []any{e.Range.Client, ms(e.Range.Began), ms(e.At)})
		require.Equal(t, []any{history.Miss, commit.Who, int64(387)},
			[]any{e.Range.Source, e.Range.Member, e.Range.Revision},
			"the member that has told of 388 answers as of 387")
		require.Less(t, commit.At, e.At)
		require.Empty(t, e.Range.Keys)
	}

	// From the acknowledgement on the entry answers everybody, to the end.
	answers := verdict.Compare(events, verdict.Question{Service: "hello"})
	asked := map[string]bool{}
	for _, e := range events {
		if e.Range == nil || e.Range.Began < put.At {
			continue
		}
		asked[e.Range.Client] = true
		require.Equal(t, []any{history.Hit, int64(387)}, []any{e.Range.Source, e.Range.Revision})
		require.Equal(t, verdict.Answer{Wrong: true, Symptom: verdict.Hidden, Hidden: []string{"v1-a"}, Truth: 388},
			answers[e.Seq])
	}
	require.Equal(t, map[string]bool{"g1": true, "g2": true, "g3": true}, asked)
	last := events[len(events)-1].Resolve
	require.Equal(t, "hit at p1, an entry of revision 387; truth is at 388", last.Origin(388).String())
	require.Equal(t, history.Hit, at(last.Range).Range.Source, "the gateway's answer is that of the proxy's record")
}

// The example of README.md is what the judge says.
func TestTheExampleOfTheREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	said := strings.Join(strings.Fields(string(readme)), " ")
	left := func() *story {
		return incident().act().del("p1", "v1-a").observe().miss("g1", "p1").hit("g2", "p2", 1, "v1-a")
	}
	v := verdict.Judge(left().end().events, asked)
	require.Contains(t, said, v.String())
	healed := left().ranged("p2", "g3", history.Miss, false, 2, prefix).hit("g2", "p2", 2).end()
	v = verdict.Judge(healed.events, asked)
	require.Equal(t, "heals ghost", v.Label())
	require.Contains(t, said, "healed by \""+v.HealedBy+"\"")
}
