package clients

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/race"
	"ghostroute/scenarios"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, gateway.KnownLeaks()...) }

// together is how many trials are made at a time, which mostly wait; each takes ten times the memory under the race
// detector.
func together() int {
	if race.Enabled {
		return 6
	}
	return 16
}

func tell(t *testing.T, cell Cell) {
	if len(cell.Again) > 0 {
		harness.Again(t, cell)
	}
}

// TestOtherClients tries those that the matrix does not, behind each kind of proxies.
func TestOtherClients(t *testing.T) {
	expected, err := Expected()
	require.NoError(t, err)
	ss, err := Scenarios()
	require.NoError(t, err)
	var others []Client
	for _, c := range Clients() {
		if c.Change != nil {
			others = append(others, c)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	tried := 0
	require.NoError(t, Try(ctx, t.ArtifactDir(), ss, others, Proxies(), together(), func(cell Cell) {
		tell(t, cell)
		assert.Equal(t, expected[cell.Key], cell.Label, "%s", cell)
		tried++
	}))
	require.Equal(t, len(ss)*len(others)*len(Proxies()), tried)
}

// TestUsersAreFreshInEveryRow has the mended cache and watcher, behind proxies that revalidate, meet every scenario of
// the matrix.
func TestUsersAreFreshInEveryRow(t *testing.T) {
	mended, err := Named("go-micro-mended")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	tried := 0
	behind := []string{"revalidate"}
	require.NoError(t, Try(ctx, t.ArtifactDir(), scenarios.All(), []Client{mended}, behind, together(), func(cell Cell) {
		tell(t, cell)
		if cell.Label != "" {
			assert.Equal(t, "fresh", cell.Label, "%s", cell)
			tried++
		}
	}))
	require.Greater(t, tried, 40)
}

func TestThePageIsAsItWouldBeWritten(t *testing.T) {
	t.Parallel()
	expected, err := Expected()
	require.NoError(t, err)
	var page strings.Builder
	require.NoError(t, expected.Write(&page))
	again, err := Read(strings.NewReader(page.String()))
	require.NoError(t, err)
	require.Equal(t, expected, again)
	is, err := scenarios.ReadFixture(File, io.ReadAll)
	require.NoError(t, err)
	require.True(t, page.String() == string(is), "fixtures/%s is not as it would be written: ghostroute clients --accept",
		File)
	ss, err := Scenarios()
	require.NoError(t, err)
	for _, s := range ss {
		for _, c := range Clients() {
			why, err := c.never(s)
			require.NoError(t, err)
			for _, p := range Proxies() {
				require.Equal(t, why == "", expected[Key{s.Name, c.Name, p}] != "", "%s, %s behind %s", s.Name, c.Name, p)
			}
		}
	}
	_, err = Read(strings.NewReader("| none | a |\n|---|---|\n| x | fresh | fresh |"))
	require.ErrorContains(t, err, "line 3 has 2 cells, and there are 1 clients")
	_, err = Read(strings.NewReader("| nothing | a |\n"))
	require.ErrorContains(t, err, `line 1: nothing is tried behind "nothing"`)
}
