package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// script is a program that runs a line of shell.
func script(t *testing.T, name, line string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+line+"\n"), 0o755))
	return path
}

func TestAVersionMayBeShort(t *testing.T) {
	for meant, want := range map[string]string{"3.5": "3.5.35", "3.5.35": "3.5.35", "3": "3.8.0-alpha.0",
		"3.4": "3.4.23", "3.8": "3.8.0-alpha.0"} {
		r, err := named(meant)
		require.NoError(t, err, meant)
		require.Equal(t, want, r.Name, meant)
	}
	for _, meant := range []string{"3.9", "3.5.3", "", "etcd"} {
		_, err := named(meant)
		require.ErrorContains(t, err, "there is no etcd", meant)
		require.ErrorContains(t, err, "3.4.23, 3.5.35, 3.6.16, 3.7.3 and 3.8.0-alpha.0")
	}
}

func TestAProgramIsAskedWhatItIs(t *testing.T) {
	etcd := script(t, "etcd", `echo "etcd Version: 3.5.9"; echo "Git SHA: bdbbde998"`)
	p, err := Find(t.Context(), etcd, nil)
	require.NoError(t, err)
	require.Equal(t, Program{Path: etcd, Version: "3.5.9"}, p)

	const no = " is no etcd that can be run: asked for its version, "
	for what, want := range map[string]string{
		script(t, "other", "echo hello"):                "other" + no + `it says "hello"`,
		script(t, "broken", "exit 3"):                   "asked for its version, exit status 3",
		filepath.Join(t.TempDir(), "none"):              "no such file or directory",
		script(t, "ctl", "echo etcdctl Version: 3.5.9"): "is no etcd that can be run",
	} {
		_, err := Find(t.Context(), what, nil)
		require.ErrorContains(t, err, want)
	}
	_, err = server.at(t.Context(), Release{Name: "3.5.35"}, etcd)
	require.EqualError(t, err, etcd+" is not etcd 3.5.35: asked for its version it says 3.5.9")
	_, err = server.at(t.Context(), Release{Name: "9", Says: "3.5.9"}, etcd)
	require.NoError(t, err)
}

func TestAProgramThatNeverAnswersIsNotWaitedForLong(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := server.ask(ctx, script(t, "deaf", "exec sleep 60"))
	require.ErrorContains(t, err, "context deadline exceeded")
}

// withGo puts a go of its own before the real one, and a cache folder of the test's own. A build is then what the line
// does: $out is the program that is to be made.
func withGo(t *testing.T, line string) (cache string) {
	t.Helper()
	fake := script(t, "go", `while [ "$1" != -o ]; do shift; done; out=$2; `+line)
	t.Setenv("PATH", filepath.Dir(fake)+":"+os.Getenv("PATH"))
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", home)
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	return cache
}

func TestAReleaseIsBuiltOnce(t *testing.T) {
	cache := withGo(t, `grep -q 'server/v3 v3.6.16' go.mod && test -s go.sum && grep -q etcdmain main.go || exit 9
printf '#!/bin/sh\necho etcd Version: 3.6.16\n' >$out; chmod +x $out`)
	var said []string
	say := func(s string) { said = append(said, s) }
	p, err := Find(t.Context(), "3.6", say)
	require.NoError(t, err)
	require.Equal(t, "3.6.16", p.Version)
	require.Contains(t, p.Path, cache)
	again, err := Find(t.Context(), "3.6.16", say)
	require.NoError(t, err)
	require.Equal(t, p, again)
	require.Equal(t, []string{"etcd 3.6.16 is built, once: a minute or two"}, said)
	require.Len(t, files(t, filepath.Dir(p.Path)), 1, "nothing of the build is left")

	require.NoError(t, os.WriteFile(p.Path, []byte("#!/bin/sh\necho etcd Version: 3.6.15\n"), 0o755))
	_, err = Find(t.Context(), "3.6", say)
	require.EqualError(t, err, p.Path+" is not etcd 3.6.16: asked for its version it says 3.6.15")
}

// Of a release there is the etcdctl, too; and with an etcd at a path goes the one beside it.
func TestEtcdctlGoesWithAnEtcd(t *testing.T) {
	cache := withGo(t, `grep -q 'etcdctl/v3 v3.6.16' go.mod && test -s go.sum && grep -q ctlv3.MustStart main.go || exit 9
printf '#!/bin/sh\necho etcdctl version: 3.6.16\necho API version: 3.6\n' >$out; chmod +x $out`)
	var said []string
	p, err := Etcdctl(t.Context(), "3.6", func(s string) { said = append(said, s) })
	require.NoError(t, err)
	require.Equal(t, "3.6.16", p.Version)
	require.Contains(t, p.Path, filepath.Join(cache, "ghostroute", "etcdctl-3.6.16", "etcdctl-"))
	require.Equal(t, []string{"etcdctl 3.6.16 is built, once: a minute or two"}, said)

	beside := script(t, "etcdctl", "echo etcdctl version: 3.5.9")
	p, err = Etcdctl(t.Context(), filepath.Join(filepath.Dir(beside), "etcd"), nil)
	require.NoError(t, err)
	require.Equal(t, Program{Path: beside, Version: "3.5.9"}, p)
	_, err = Etcdctl(t.Context(), script(t, "etcd", "echo etcd Version: 3.5.9"), nil)
	require.ErrorContains(t, err, "/etcdctl is no etcdctl that can be run: ")
	_, err = ctl.at(t.Context(), Release{Name: "3.5.35"}, beside)
	require.EqualError(t, err, beside+" is not etcdctl 3.5.35: asked for its version it says 3.5.9")
}

// What this process's environment has for etcd is for no program that it runs.
func TestWhatIsMeantForEtcdIsNotPassedOn(t *testing.T) {
	t.Setenv("ETCD_NAME", "m9")
	t.Setenv("ETCDCTL_ENDPOINTS", "127.0.0.1:9")
	t.Setenv("OTHER", "yes")
	said, err := answer(t.Context(), script(t, "env", "env"))
	require.NoError(t, err)
	require.Contains(t, string(said), "OTHER=yes")
	require.NotContains(t, string(said), "ETCD")
}

func TestABuildThatFailsSaysWhy(t *testing.T) {
	for line, want := range map[string]string{
		`seq 40; echo main.go:9: no such package >&2; exit 1`: "etcd 3.7.3 was not built: exit status 1; " +
			"the last that go build said:\n22\n",
		`echo dial tcp 10.0.0.1:443: connect: connection refused; exit 1`: "and the network did not answer); " +
			"the last that go build said:\ndial tcp",
		`printf '#!/bin/sh\necho etcd Version: 3.7.2\n' >$out; chmod +x $out`: "what was built is not kept",
	} {
		cache := withGo(t, line)
		_, err := Find(t.Context(), "3.7.3", nil)
		require.ErrorContains(t, err, want)
		require.Empty(t, files(t, filepath.Join(cache, "ghostroute", "etcd-3.7.3")), "nothing is left of it")
	}
	t.Setenv("PATH", t.TempDir())
	_, err := Find(t.Context(), "3.7.3", nil)
	require.ErrorContains(t, err, "it takes Go, and there is no command go")
}

// A patched release is built of a copy of the server module, which the patch has changed; another patch is another
// program.
func TestAPatchedReleaseIsBuiltOnce(t *testing.T) {
	server := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(server, "main.go"), []byte("stock\n"), 0o444))
	cache := withGo(t, `:`) // and in its place:
	fake := script(t, "go", `case "$1 $2" in
"mod download") echo '{"Dir": "`+server+`"}';;
"mod edit") echo "$@" >replaced;;
build*) grep -q 'server/v3=./server' replaced && grep -q patched server/main.go || exit 9
	case "$*" in *version.GitSHA=cure-*) ;; *) exit 8;; esac
	while [ "$1" != -o ]; do shift; done
	printf '#!/bin/sh\necho etcd Version: 3.6.16\n' >$2; chmod +x $2;;
esac`)
	t.Setenv("PATH", filepath.Dir(fake)+":"+os.Getenv("PATH"))
	applied := 0
	p := Patch{Name: "cure", Of: "3.6", Is: []byte("1"), Apply: func(_ context.Context, module string) error {
		applied++
		return os.WriteFile(filepath.Join(module, "main.go"), []byte("patched\n"), 0o644)
	}}
	one, err := Patched(t.Context(), p, nil)
	require.NoError(t, err)
	require.Contains(t, one.Path, filepath.Join(cache, "ghostroute", "etcd-3.6.16-cure"))
	again, err := Patched(t.Context(), p, nil)
	require.NoError(t, err)
	require.Equal(t, one, again)
	require.Equal(t, 1, applied)
	p.Is = []byte("2")
	other, err := Patched(t.Context(), p, nil)
	require.NoError(t, err)
	require.NotEqual(t, one.Path, other.Path)
	require.Len(t, files(t, filepath.Dir(one.Path)), 2, "nothing of the builds is left")
	p.Is, p.Apply = []byte("3"), func(context.Context, string) error { return errors.New("it does not apply") }
	_, err = Patched(t.Context(), p, nil)
	require.EqualError(t, err, "etcd 3.6.16-cure was not built: it does not apply")
	require.Len(t, files(t, filepath.Dir(one.Path)), 2)
}

// A program at a path is asked whether its proxy has the drop-in's flag.
func TestAProgramIsAskedForItsCaches(t *testing.T) {
	p, err := Find(t.Context(), script(t, "etcd", `echo etcd Version: 3.7.3
case "$*" in "grpc-proxy start --help") echo "  --experimental-kv-cache string";; esac`), nil)
	require.NoError(t, err)
	require.True(t, p.Caches)
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range all {
		names = append(names, f.Name())
	}
	return names
}

func TestEveryReleaseThatIsBuiltHasItsModule(t *testing.T) {
	all, err := modules.ReadDir("modules")
	require.NoError(t, err)
	n := 0
	for _, r := range Releases() {
		if r.Folder != "" {
			continue
		}
		n++
		for tool, module := range map[tool]string{server: "server", ctl: "etcdctl"} {
			mod, err := modules.ReadFile("modules/" + tool.name + "-" + r.Name + ".mod")
			require.NoError(t, err)
			require.Contains(t, string(mod), fmt.Sprintf("require go.etcd.io/etcd/%s/v3 v%s\n", module, r.Name))
		}
	}
	require.Len(t, all, 2*2*n, "and no module is left over")
}

func TestTheClientOfTheIncidentIsBuiltOfTheRepositorysSource(t *testing.T) {
	cache := withGo(t, `grep -q 'coreos/etcd v3.3.18+incompatible' go.mod && test -s go.sum -a -s main.go || exit 9
printf '#!/bin/sh\necho "'"$SAYS"'"\n' >$out; chmod +x $out`)
	var said []string
	t.Setenv("SAYS", "github.com/micro/go-micro/v2 v2.9.1, github.com/coreos/etcd v3.4.0")
	_, err := Period(t.Context(), nil)
	require.ErrorContains(t, err, "what was built is not kept: ")
	require.ErrorContains(t, err, `is not the client of the incident: asked for its version it says "github.com/micro`)
	require.Empty(t, files(t, filepath.Join(cache, "ghostroute", "period")), "nothing is left of it")

	t.Setenv("SAYS", PeriodVersion)
	for range 2 {
		p, err := Period(t.Context(), func(s string) { said = append(said, s) })
		require.NoError(t, err)
		require.Equal(t, PeriodVersion, p.Version)
	}
	require.Equal(t, []string{"the client of the incident is built, once: a minute or two"}, said)

	t.Chdir(t.TempDir())
	_, err = Period(t.Context(), nil)
	require.ErrorContains(t, err, "the client of the incident cannot be built: ")
	require.ErrorContains(t, err, " is not in Ghostroute's repository")
}
