package model_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/promise"
)

// TestWhatAProxysOwnWatchWasToldSaysWhy makes up a watch of g1's, asked for at p1 from revision 5 on, and what p1's own
// watch of the same range, or of another, came to.
func TestWhatAProxysOwnWatchWasToldSaysWhy(t *testing.T) {
	t.Parallel()
	const denied, token = "etcdserver: permission denied", "etcdserver: invalid auth token"
	for name, c := range map[string]struct {
		broken   promise.Name
		why      string
		at       string
		upstream history.Watch
		want     []model.Cause
	}{
		"refused with another's token": {promise.Silent, "", "p1", history.Watch{As: "g2", Reason: denied},
			[]model.Cause{model.SharedStream}},
		"refused with its own": {promise.Silent, "", "p1", history.Watch{As: "g1", Reason: token},
			[]model.Cause{model.StreamAgain}},
		"compacted":                {promise.Silent, "", "p1", history.Watch{Compacted: 4}, []model.Cause{model.Corpse}},
		"compacted, another range": {promise.Silent, "", "p1", history.Watch{Key: "k2", Compacted: 4}, nil},
		"it stands":                {promise.Silent, "", "p1", history.Watch{Op: history.WatchCreated}, nil},
		"silent at a member":       {promise.Silent, "", "m1", history.Watch{Compacted: 4}, nil},
		"told another's end": {promise.Untrue, "", "p1", history.Watch{From: 3, Compacted: 4},
			[]model.Cause{model.EndOfAnother}},
		"told of no leader, or not": {promise.Leaderless, "", "p1", history.Watch{}, []model.Cause{model.LeaderWish}},
		"a livelock":                {promise.Livelock, "", "p1", history.Watch{}, []model.Cause{model.StaleList}},
		"a Created":                 {promise.Ahead, "", "p1", history.Watch{}, []model.Cause{model.CreatedAhead}},
		"refused, anywhere":         {promise.Refused, token, "m1", history.Watch{}, []model.Cause{model.OwnStream}},
		"refused for something":     {promise.Refused, denied, "p1", history.Watch{}, nil},
		"of another's range":        {promise.Stranger, "", "p1", history.Watch{Compacted: 4}, nil},
	} {
		if c.upstream.Op == "" {
			c.upstream.Op = history.WatchEnd
		}
		if c.upstream.Key == "" {
			c.upstream.Key = "k1"
		}
		c.upstream.Watch = "p1's stream 2"
		events := []history.Event{
			{Seq: 1, Who: "g1", Watch: &history.Watch{Watch: "w1", Op: history.WatchAsk, Key: "k1", From: 5}},
			{Seq: 2, Who: "p1", Watch: &c.upstream},
		}
		b := promise.Breach{Promise: c.broken, Client: "g1", Why: c.why, Events: []int{1}}
		var got []model.Cause
		for _, f := range model.Told(plan.Plan{}, events, map[int]string{1: c.at}, []promise.Breach{b, b}) {
			got = append(got, f.Cause)
		}
		require.Equal(t, c.want, got, name)
	}
}

func TestEveryCauseOfAWatchHasALineAndAPromise(t *testing.T) {
	t.Parallel()
	for _, c := range model.WatchCauses() {
		require.NotEmpty(t, c.Where(), c)
		require.NotEmpty(t, c.Breaks(), c)
		require.NotContains(t, model.Causes(), c)
	}
}
