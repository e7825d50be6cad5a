package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// tool is one of the programs that a release of etcd has.
type tool struct {
	name   string // of the program, and of its modules
	main   string // the program, where it is built: etcd's own are no packages main
	debian string // the package that brings it
	asked  string // what it is asked by which version it is
	says   *regexp.Regexp
}

var server = tool{
	name: "etcd", debian: "etcd-server", asked: "--version", says: regexp.MustCompile(`(?m)^etcd Version: (\S+)$`),
	main: `// Command etcd is the server of the version that go.mod names.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
`}

var ctl = tool{
	name: "etcdctl", debian: "etcd-client", asked: "version", says: regexp.MustCompile(`(?m)^etcdctl version: (\S+)$`),
	main: `// Command etcdctl is the client of the version that go.mod names.
package main

import "go.etcd.io/etcd/etcdctl/v3/ctlv3"

func main() { ctlv3.MustStart() }
`}

// Etcdctl finds the etcdctl that goes with the etcd that Find finds: of the same version, built of its own module; or
// what stands beside the etcd at a path.
func Etcdctl(ctx context.Context, meant string, say func(string)) (Program, error) {
	if isPath(meant) {
		meant = filepath.Join(filepath.Dir(meant), ctl.name)
	}
	return ctl.find(ctx, meant, say)
}

func isPath(meant string) bool { return strings.ContainsRune(meant, os.PathSeparator) }

func (t tool) find(ctx context.Context, meant string, say func(string)) (Program, error) {
	if isPath(meant) {
		return t.ask(ctx, meant)
	}
	r, err := named(meant)
	if err != nil {
		return Program{}, err
	}
	path := filepath.Join(r.Folder, t.name)
	if r.Folder == "" {
		var s source
		if s, err = t.of(r, nil); err == nil {
			path, err = s.built(ctx, say)
		}
	} else if _, serr := os.Stat(path); serr != nil {
		err = fmt.Errorf("%s %s is not at %s: it is Debian 12's, apt-get install %s brings it; "+
			"or give the path of another", t.name, r.Name, path, t.debian)
	}
	if err != nil {
		return Program{}, err
	}
	return t.at(ctx, r, path)
}

// at is a release's at a path, if that is what stands there.
func (t tool) at(ctx context.Context, r Release, path string) (Program, error) {
	p, err := t.ask(ctx, path)
	if err == nil && p.Version != r.says() {
		return Program{}, fmt.Errorf("%s is not %s %s: asked for its version it says %s", path, t.name, r.Name, p.Version)
	}
	p.Release = r.Name
	return p, err
}

// patience is how long a program has to say its version.
const patience = 10 * time.Second

// ask asks a program at a path what it is.
func (t tool) ask(ctx context.Context, path string) (Program, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Program{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	said, err := answer(ctx, abs, t.asked)
	if m := t.says.FindSubmatch(said); err == nil && m != nil {
		p := Program{Path: abs, Version: string(m[1])}
		if t.name == server.name {
			var flags []byte
			flags, err = answer(ctx, abs, "grpc-proxy", "start", "--help")
			p.Caches = bytes.Contains(flags, []byte("--experimental-kv-cache"))
		}
		return p, err
	}
	why := "it says " + fmt.Sprintf("%q", last(said, 1))
	if err != nil {
		why = errors.Join(err, context.Cause(ctx)).Error()
	}
	return Program{}, fmt.Errorf("%s is no %s that can be run: asked for its version, %s", path, t.name, why)
}

// answer is what a program says to its arguments, and nothing of this process's environment that is meant for etcd.
func answer(ctx context.Context, path string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.WaitDelay = Env(), time.Second
	return cmd.CombinedOutput()
}
