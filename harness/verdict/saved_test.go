package verdict_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

func TestASavedTrialIsReadBackWhole(t *testing.T) {
	t.Parallel()
	events := []history.Event{
		{Seq: 1, At: 1, Who: "bench", Step: &history.Step{Phase: history.PhaseArrange}},
		{Seq: 2, At: 2, Who: "m1", Commit: &history.Commit{Revision: 2, Op: "put", Key: "k"}},
	}
	was := verdict.Saved{Question: &verdict.Question{Service: "hello", Gateways: []string{"g1"}}, Label: "fresh",
		Events: events}
	var file bytes.Buffer
	require.NoError(t, was.Write(&file))
	text := file.String()
	is, err := verdict.ReadSaved(&file)
	require.NoError(t, err)
	was.N = 2
	require.Equal(t, was, is)

	for cut, want := range map[string]string{
		text[:len(text)-10]:                        "line 3 is no event",
		text[:bytes.IndexByte([]byte(text), '\n')]: "it was cut short: 0 events are left of 2",
		"": "there is no event in it",
	} {
		_, err := verdict.ReadSaved(bytes.NewBufferString(cut))
		require.ErrorContains(t, err, want)
	}
	var plain bytes.Buffer
	_, err = history.Encode(&plain, events)
	require.NoError(t, err)
	is, err = verdict.ReadSaved(&plain)
	require.NoError(t, err)
	require.Equal(t, verdict.Saved{Events: events}, is)
}

func TestASavedTrialIsJudgedAsItWas(t *testing.T) {
	t.Parallel()
	for _, c := range trials {
		if len(c.story.events) == 0 {
			continue
		}
		saved, v := verdict.Saved{Question: &c.question, Events: c.story.events},
			verdict.Judge(c.story.events, c.question)
		require.NoError(t, saved.Again(v), c.name)
		v.After++
		require.ErrorContains(t, saved.Again(v), "judged again from its file the trial is "+v.Label(), c.name)
	}
}

func TestATrialThatWasNotCarriedOutStaysUnknown(t *testing.T) {
	t.Parallel()
	v := verdict.Saved{Failed: "the change was not made"}.Judge()
	require.Equal(t, "unknown: the trial was not carried out: the change was not made", v.String())
}
