package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Evidence is the folder in which a test keeps what it failed for: under the module's artifacts, for a folder of the
// test's own goes with it unless go test has -artifacts. It is not made until there is something to keep, and never one
// that was there before.
func Evidence(t testing.TB) string {
	root, err := os.Getwd() // go test runs a package's tests in its folder
	if err != nil {
		t.Fatal(err)
	}
	for ; filepath.Dir(root) != root; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return filepath.Join(root, "artifacts", "test", fmt.Sprintf("%s-%s", strings.ReplaceAll(t.Name(), "/", "-"),
				time.Now().Format("20060102-150405.000000")))
		}
	}
	return t.ArtifactDir()
}
