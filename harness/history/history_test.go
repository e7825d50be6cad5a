package history_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	h := history.New()
	h.Add(history.Event{Who: "bench", Step: &history.Step{Phase: history.PhaseAct, Text: "v1-a leaves"}})
	record := h.Add(history.Event{Who: "p2", Range: &history.Range{
		Key: "/micro/registry/hello/", End: "\x00", Source: history.Hit,
		Revision: 3, Keys: []string{"/micro/registry/hello/hello-v1-a"}}})
	h.Add(history.Event{Who: "g2", Resolve: &history.Resolve{
		Service: "hello", Via: "p2", Source: history.Hit, Revision: 3,
		Range: record.Seq, Endpoints: []history.Endpoint{}}})
	var file bytes.Buffer
	_, err := h.WriteTo(&file)
	require.NoError(t, err)
	text := file.String()
	events, err := history.Decode(&file)
	require.NoError(t, err)
	require.Equal(t, h.Events(), events)

	for _, c := range []struct{ what, text, want string }{
		{"cut short", text[:len(text)-10], "line 3 is no event: the file ends in the middle of it"},
		{"cut short in its first line", text[:5], "line 1 is no event: the file ends in the middle of it"},
		{"something else", "who knows\n" + text,
			"line 1 is no event: invalid character 'w' looking for beginning of value"},
		{"another type", strings.Replace(text, `"act"`, "7", 1), "line 1 is no event: json: cannot unmarshal number"},
	} {
		_, err := history.Decode(strings.NewReader(c.text))
		require.ErrorContains(t, err, c.want, c.what)
	}
	events, err = history.Decode(strings.NewReader(text[:len(text)-1]))
	require.NoError(t, err, "its last event is whole")
	require.Len(t, events, 3)
}

func TestFind(t *testing.T) {
	t.Parallel()
	events := []history.Event{{Seq: 2, Who: "p1"}, {Seq: 5, Who: "p2"}}
	e, ok := history.Find(events, 5)
	require.True(t, ok)
	require.Equal(t, "p2", e.Who)
	for _, seq := range []int{0, 3, 6} {
		_, ok = history.Find(events, seq)
		require.False(t, ok, seq)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	a, b := history.Endpoint{ID: "v1-a", Version: "v1", Address: "127.0.0.1:1"},
		history.Endpoint{ID: "v1-b", Version: "v1"}
	elsewhere := history.Endpoint{ID: "v1-a", Version: "v1", Address: "127.0.0.1:2"}
	for _, c := range []struct {
		what           string
		told, truth    []history.Endpoint
		ghosts, hidden []string
	}{
		{"the same, in another order", []history.Endpoint{a, b}, []history.Endpoint{b, a}, nil, nil},
		{"one that is gone, told twice", []history.Endpoint{b, a, a}, []history.Endpoint{b}, []string{"v1-a"}, nil},
		{"one that was not told", nil, []history.Endpoint{b, a}, nil, []string{"v1-a", "v1-b"}},
		{"at another address", []history.Endpoint{a}, []history.Endpoint{elsewhere}, []string{"v1-a"},
			[]string{"v1-a"}},
		{"told by name alone", []history.Endpoint{{ID: "v1-a"}}, []history.Endpoint{elsewhere}, nil, nil},
	} {
		ghosts, hidden := history.Compare(c.told, c.truth)
		require.Equal(t, [][]string{c.ghosts, c.hidden}, [][]string{ghosts, hidden}, c.what)
		right := len(c.ghosts)+len(c.hidden) == 0
		require.Equal(t, right, history.Resolve{Endpoints: c.told}.Agrees(history.Truth{Endpoints: c.truth}), c.what)
	}
	require.False(t, history.Resolve{Err: "unavailable"}.Agrees(history.Truth{}), "no answer agrees with nothing")
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]history.Origin{
		"hit at p2, an entry of revision 3; truth is at 4": {Source: history.Hit, Via: "p2", Revision: 3, Truth: 4},
		"hit at p2, an entry of revision 3":                {Source: history.Hit, Via: "p2", Revision: 3, Truth: 3},
		"hit at p2":                                        {Source: history.Hit, Via: "p2", Truth: 4},
		"miss at p2, revision 4":                           {Source: history.Miss, Via: "p2", Revision: 4},
		"from a member, revision 4":                        {Source: history.Member, Revision: 4},
		"from its own cache; truth is at 4":                {Source: history.ClientCache, Truth: 4},
		"of unknown origin":                                {},
	} {
		require.Equal(t, want, o.String())
	}
}
