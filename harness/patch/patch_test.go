package patch_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/mutant"
	"ghostroute/harness/patch"
)

const whole = `server/proxy/grpcproxy: do c

b is not enough.

diff --git a/server/x.go b/server/x.go
--- a/server/x.go
+++ b/server/x.go
@@ -1,3 +1,3 @@
 a
-b
+c
 d
`

func TestParse(t *testing.T) {
	p, err := patch.Parse("0001-c", whole)
	require.NoError(t, err)
	require.Equal(t, "do c", p.Subject)
	require.False(t, p.HasSwitch())
	for bad, want := range map[string]string{
		"server/proxy/grpcproxy: do c\n\nwhy\n":                  "it has no diff",
		strings.Replace(whole, "server/proxy", "proxy", 1):       `0001-c:1: "proxy/grpcproxy: do c" does not begin`,
		strings.Replace(whole, "do c\n", "\n", 1):                "does not begin",
		strings.Replace(whole, "b is not enough.\n", "", 1):      "does not say why",
		strings.Replace(whole, "+++ b/server/", "+++ b/api/", 1): "changes api/x.go, which is not in the server module",
	} {
		_, err := patch.Parse("0001-c", bad)
		require.ErrorContains(t, err, want, bad)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

// A series of which one does not apply leaves nothing of those before it, and the error names file and line.
func TestASeriesAppliesWholeOrNotAtAll(t *testing.T) {
	dir, module := t.TempDir(), t.TempDir()
	write(t, filepath.Join(module, "x.go"), "a\nb\nd\n")
	_, err := patch.ReadAll(dir)
	require.ErrorContains(t, err, "has no patch 0001")
	write(t, filepath.Join(dir, "0001-c.patch"), whole)
	second := strings.NewReplacer("-b", "-c", "+c", "+e").Replace(whole)
	write(t, filepath.Join(dir, "0002-e.patch"), second)
	write(t, filepath.Join(dir, "on", "0001-c.patch"), strings.NewReplacer("-b", "-c", "+c", "+on").Replace(whole))
	is := func(want string) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(module, "x.go"))
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	fit := func() error {
		all, err := patch.ReadAll(dir)
		require.NoError(t, err)
		return patch.Fit(t.Context(), module, all)
	}
	require.NoError(t, fit())
	is("a\nb\nd\n")
	write(t, filepath.Join(dir, "0002-e.patch"), strings.Replace(second, "-c", "-z", 1))
	require.ErrorContains(t, fit(), "0002-e does not apply: patch failed: x.go:1")
	is("a\nb\nd\n")
	write(t, filepath.Join(dir, "on", "0001-c.patch"), whole)
	require.ErrorContains(t, fit(), "what turns it on: 0001-c does not apply: patch failed: x.go:1")
	is("a\nb\nd\n")
	write(t, filepath.Join(dir, "0004-f.patch"), whole)
	_, err = patch.ReadAll(dir)
	require.ErrorContains(t, err, "0004-f: the next of the series is 0003-")
}

// What turns a patch on may say which of etcd's tests it cannot pass.
func TestWhatATurnedOnPatchLeavesOut(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "0001-c.patch"), whole)
	const on = "--- a/server/x.go\n+++ b/server/x.go\n@@ -1 +1 @@\n-c\n+on\n"
	digests := map[string]bool{}
	for head, tests := range map[string][]string{"": nil,
		"leaves out: TestA TestB, for they ask nobody\n": {"TestA", "TestB"}} {
		write(t, filepath.Join(dir, "on", "0001-c.patch"), head+on)
		all, err := patch.ReadAll(dir)
		require.NoError(t, err)
		got, why := all[0].LeavesOut()
		require.Equal(t, tests, got)
		require.Equal(t, tests != nil, why == "for they ask nobody")
		module := t.TempDir()
		write(t, filepath.Join(module, "x.go"), "c\n")
		require.NoError(t, all[0].Turn(t.Context(), module))
		digests[patch.Digest(all)] = true
	}
	require.Len(t, digests, 2)
}

// The repository's own series applies to the etcd of go.mod.
func TestTheSeriesAppliesToEtcd(t *testing.T) {
	all, err := patch.ReadAll(filepath.Join("..", "..", "fixtures", "patches"))
	require.NoError(t, err)
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "go.etcd.io/etcd/server/v3")
	where, err := list.Output()
	require.NoError(t, err)
	module := t.TempDir()
	for _, dir := range []string{"proxy", "etcdmain"} {
		from := filepath.Join(strings.TrimSpace(string(where)), dir)
		require.NoError(t, os.CopyFS(filepath.Join(module, dir), os.DirFS(from)))
	}
	before := contents(t, module)
	require.NoError(t, patch.Fit(t.Context(), module, all))
	require.Equal(t, before, contents(t, module))
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(b)
		return err
	})
	require.NoError(t, err)
	return files
}

// What a patch moved is told against the patch before it, and what it moved back is, too.
func TestSince(t *testing.T) {
	move := func(scenario, verdict string) mutant.Move {
		return mutant.Move{Scenario: scenario, Fix: "none", Reading: "each-request", Verdict: verdict}
	}
	before := []mutant.Move{move("a", "fresh"), move("b", "fresh"), move("c", "fresh")}
	now := []mutant.Move{move("a", "fresh"), move("c", "unknown"), move("d", "heals ghost")}
	moved := patch.Since(before, now)
	require.Equal(t, []mutant.Move{move("c", "unknown"), move("d", "heals ghost"), move("b", patch.AsStock)}, moved)
	both := move("d", "heals ghost")
	both.Reading = "go-micro"
	p, err := patch.Parse("0001-c", whole)
	require.NoError(t, err)
	table := patch.Table([]patch.Step{{Patch: p}, {Patch: p, On: true, Moved: append(moved, both)}}, nil)
	require.Contains(t, table, "| 0001-c | do c | 0 cells |  |\n")
	require.Contains(t, table,
		"| 0001-c, turned on | do c | 3 cells | **as stock**: b<br>**heals ghost**: d<br>**unknown**: c |\n")
}

// What two runs of one state differ in is no patch's doing.
func TestWhatTwoRunsDifferInIsNotCounted(t *testing.T) {
	move := func(scenario, verdict string) mutant.Move {
		return mutant.Move{Scenario: scenario, Fix: "none", Reading: "beyond", Verdict: verdict}
	}
	one := []mutant.Move{move("a", "kept"), move("b", "kept"), move("c", "kept")}
	agreed, differ := patch.Both(one, []mutant.Move{move("a", "kept"), move("b", "broken torn"), move("d", "kept")})
	require.Equal(t, one[:1], agreed)
	require.Equal(t, []string{"b/none/beyond", "c/none/beyond", "d/none/beyond"}, differ)
	p, err := patch.Parse("0001-c", whole)
	require.NoError(t, err)
	table := patch.Table([]patch.Step{{Patch: p, Moved: one}}, differ)
	require.Contains(t, table, "| 0001-c | do c | 1 cell | **kept**: a |\n")
	require.Contains(t, table, "differed in it: b/none/beyond, c/none/beyond and d/none/beyond.")
}
