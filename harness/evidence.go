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
	return filepath.Join(kept(t), fmt.Sprintf("%s-%s", strings.ReplaceAll(t.Name(), "/", "-"),
		time.Now().Format("20060102-150405.000000")))
}

// Again says what was tried again, and why, whatever it came to. go test keeps to itself what a package prints that
// passes: it is in the file again.txt too, beside all evidence, which "make test" shows.
func Again(t testing.TB, what any) {
	fmt.Println(what)
	dir := kept(t)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "again.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, what); err != nil {
		t.Fatal(err)
	}
}

// kept is where tests keep what is to outlive them.
func kept(t testing.TB) string {
	root, err := os.Getwd() // go test runs a package's tests in its folder
	if err != nil {
		t.Fatal(err)
	}
	for ; filepath.Dir(root) != root; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return filepath.Join(root, "artifacts", "test")
		}
	}
	return t.ArtifactDir()
}
