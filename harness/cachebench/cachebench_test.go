package cachebench

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What is counted is the proxies': one that keeps answers asks less than one that does not.
func TestEveryCaseIsMeasuredAndCounted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var told []string
	all, err := Run(ctx, Config{Variants: []proxy.Variant{proxy.Stock(), proxy.Upgrade(), proxy.Revalidate()},
		Clients: []int{1, 2}, Layouts: []Layout{{1, 3}, {5, 2}}, For: 300 * time.Millisecond, Dir: t.TempDir(),
		Tell: func(s string) { told = append(told, s) }})
	require.NoError(t, err)
	require.Equal(t, []string{"1 clients at 1×3", "2 clients at 1×3", "1 clients at 5×2", "2 clients at 5×2"}, told)
	require.Len(t, all, 3*2*2)
	bytes := map[string]float64{}
	for _, f := range all {
		require.Positive(t, f.Reads, "%v", f)
		require.LessOrEqual(t, f.P50, f.P99)
		require.LessOrEqual(t, f.MissP50, f.MissP99)
		bytes[f.Variant] += f.Bytes
		switch f.Variant {
		case "stock":
			require.Less(t, f.Asked, 1.0, "%v", f)
		case "upgrade":
			require.GreaterOrEqual(t, f.Asked, 1.0, "%v", f)
		}
	}
	require.Less(t, bytes["revalidate"], bytes["upgrade"], "a confirmation brings no values")

	for i := range all {
		require.Zero(t, all[i].CPU, "an embedded member has none of its own")
		all[i].CPU = time.Duration(1+i%3) * time.Second // as of processes
	}
	require.Contains(t, Advice(all, "stock"), "With 1 clients at 1×3, in CPU of the members as multiples of *stock*:\n"+
		"*upgrade* 2.0, *revalidate* 3.0.")
	require.Contains(t, MembersMarkdown(all), "| 1×3 | 1 | revalidate | 3000 ms |")
	table := Markdown(all, "upgrade")
	require.Contains(t, table, "| 1×3 | 1 | stock |")
	require.Equal(t, len(all)+2, strings.Count(table, "\n"))
	require.Contains(t, table, "| 1.00 |")
	picture := SVG(all, "upgrade")
	require.Equal(t, len(all), strings.Count(picture, "<title>"))
	require.NotContains(t, picture, "%!", "a number was not written")
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err, picture)
		}
	}
}

// Who ends a run gets no figures, and soon.
func TestARunThatIsEndedHasNoFigures(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg := Config{Variants: []proxy.Variant{proxy.Stock()}, Clients: []int{1, 2}, Layouts: []Layout{{1, 3}},
		For: 200 * time.Millisecond, Dir: t.TempDir(), Tell: func(string) { cancel() }}
	all, err := Run(ctx, cfg)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, all)
}
