package browser

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/report"
	"ghostroute/harness/report/internal/sample"
)

// matrix is the path of the page to test: GHOSTROUTE_PAGE, or that of the made-up run.
func matrix(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("GHOSTROUTE_PAGE"); path != "" {
		path, err := filepath.Abs(path)
		require.NoError(t, err)
		_, err = os.Stat(path)
		require.NoError(t, err, "GHOSTROUTE_PAGE names no page")
		return path
	}
	return written(t, func(w io.Writer) error { return report.HTML(w, sample.Run()) })
}

// timeline is the path of a page of one made-up timeline.
func timeline(t *testing.T) string {
	t.Helper()
	return written(t, func(w io.Writer) error {
		return report.Timeline(w, sample.Run().Cells[0].Readings[0].Events, "A ghost that nobody asked for")
	})
}

func written(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.html")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, write(f))
	require.NoError(t, f.Close())
	return path
}
