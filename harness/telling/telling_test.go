package telling_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/history"
	"ghostroute/harness/telling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An answer is told with where it came from, and held against the last truth that was told.
func TestAnAnswerIsHeldAgainstTruth(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	teller := telling.New(&out, false)
	a := history.Endpoint{ID: "v1-a", Version: "v1", Address: "127.0.0.1:1"}
	moved := history.Endpoint{ID: "v1-a", Version: "v1", Address: "127.0.0.1:2"}
	b := history.Endpoint{ID: "v2-a", Version: "v2", Address: "127.0.0.1:3"}
	hit := history.Resolve{Via: "p2", Source: history.Hit, Revision: 3, Endpoints: []history.Endpoint{a}}
	miss := history.Resolve{Via: "p1", Source: history.Miss, Revision: 4, Endpoints: []history.Endpoint{b}}
	for _, e := range []history.Event{
		{Who: "bench", Step: &history.Step{Title: "A chapter"}},
		{Who: "truth", Truth: &history.Truth{Revision: 4, Endpoints: []history.Endpoint{b}}},
		{Who: "g1", Resolve: &miss},
		{Who: "g2", Resolve: &hit},
		{Who: "truth", Truth: &history.Truth{Revision: 5, Endpoints: []history.Endpoint{moved}}},
		{Who: "g2", Resolve: &hit},
	} {
		teller.Tell(e)
	}
	require.Equal(t, `
A chapter
  truth       v2-a (etcd's members agree on it, revision 4)
  g1          is told: v2-a                    miss at p1, revision 4
  g2          is told: v1-a                    hit at p2, an entry of revision 3; truth is at 4  GHOST v1-a  HIDDEN v2-a
  truth       v1-a (etcd's members agree on it, revision 5)
  g2          is told: v1-a                    hit at p2, an entry of revision 3; truth is at 5  GHOST v1-a  HIDDEN v1-a
`, out.String())
}
