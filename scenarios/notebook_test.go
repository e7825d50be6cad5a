package scenarios

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/notebook"
)

func TestNotebook(t *testing.T) {
	t.Parallel()
	chapters, err := filepath.Glob("../fixtures/notebooks/*.txt")
	require.NoError(t, err)
	for _, path := range chapters {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			notebook.Run(t, notebook.Options{}, path)
		})
	}
}
