// Package program finds the etcd that members and proxies run as processes: a release by its version, built when it is
// first asked for and kept in the user's cache folder; Debian's; or whatever stands at a path. Each is asked what it is
// before it is believed.
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
	"slices"
	"strings"
	"time"

	"ghostroute/harness/process"
	"ghostroute/harness/text"
)

// Program is an etcd that can be run. The zero Program is none: members and proxies are embedded in this process then.
type Program struct {
	Path    string
	Version string // what it says that it is, "3.7.3"
	Release string // the name of the release that it is; "" where a path was meant
	Caches  bool   // its grpc-proxy has the flag --experimental-kv-cache, see package dropin
}

// String is "etcd 3.7.3".
func (p Program) String() string {
	if p == (Program{}) {
		return "the embedded etcd"
	}
	return "etcd " + p.Name()
}

// Name is "3.7.3", or of a release that is not what it says "3.8.0-alpha.0, which says 3.7.0-beta.0".
func (p Program) Name() string {
	if p.Release == "" || p.Release == p.Version {
		return p.Version
	}
	return p.Release + ", which says " + p.Version
}

// Release is a version of etcd that can be had by its name.
type Release struct {
	Name string // "3.7.3"
	// what it says that it is, where that is another: 3.8.0-alpha.0 was tagged with the api module of 3.7.0-beta.0
	Says string
	Path string // where it is installed; "" is one that is built
}

// Releases are those there are, the oldest first: of each minor version the newest, as of November 2026. 3.4 is
// Debian 12's, the others are built (see build.go): etcd's code of that version with today's Go.
func Releases() []Release {
	return []Release{
		{Name: "3.4.23", Path: "/usr/bin/etcd"},
		{Name: "3.5.35"},
		{Name: "3.6.16"},
		{Name: "3.7.3"},
		{Name: "3.8.0-alpha.0", Says: "3.7.0-beta.0"},
	}
}

// Names are the releases' names.
func Names() []string { return text.Each(Releases(), Release.name) }

func (r Release) name() string { return r.Name }

func (r Release) says() string {
	if r.Says != "" {
		return r.Says
	}
	return r.Name
}

// Find finds the program that is meant: by a path if there is a slash in it, otherwise by a version, "3.5.35", or the
// beginning of one, "3.5". A release that is not there yet is built, which takes one to three minutes of two cores and
// a network; say is told so before. A program that is not what it is said to be is an error.
func Find(ctx context.Context, meant string, say func(string)) (Program, error) {
	if strings.ContainsRune(meant, os.PathSeparator) {
		return ask(ctx, meant)
	}
	r, err := named(meant)
	if err != nil {
		return Program{}, err
	}
	path := r.Path
	if path == "" {
		var s source
		if s, err = ofEtcd(r, nil); err == nil {
			path, err = s.built(ctx, say)
		}
	} else if _, serr := os.Stat(path); serr != nil {
		err = fmt.Errorf("etcd %s is not at %s: it is Debian 12's, apt-get install etcd-server brings it; "+
			"or give the path of another", r.Name, path)
	}
	if err != nil {
		return Program{}, err
	}
	return r.at(ctx, path)
}

// Known says, before any is built, that one of these cannot be found: it is neither a path nor a release's name.
func Known(meant ...string) error {
	for _, m := range meant {
		if strings.ContainsRune(m, os.PathSeparator) {
			continue
		}
		if _, err := named(m); err != nil {
			return err
		}
	}
	return nil
}

// at is the release at a path, if that is what stands there.
func (r Release) at(ctx context.Context, path string) (Program, error) {
	p, err := ask(ctx, path)
	if err == nil && p.Version != r.says() {
		return Program{}, fmt.Errorf("%s is not etcd %s: asked for its version it says %s", path, r.Name, p.Version)
	}
	p.Release = r.Name
	return p, err
}

// named is the release of that name, or of which that is the beginning.
func named(meant string) (Release, error) {
	for _, r := range slices.Backward(Releases()) {
		if r.Name == meant || strings.HasPrefix(r.Name, meant+".") {
			return r, nil
		}
	}
	return Release{}, fmt.Errorf("%w; or give the path of a program, with a slash in it",
		text.Unknown("etcd", meant, Names()))
}

var versionLine = regexp.MustCompile(`(?m)^etcd Version: (\S+)$`)

// patience is how long a program has to say its version.
const patience = 10 * time.Second

// ask asks a program at a path what it is.
func ask(ctx context.Context, path string) (Program, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Program{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, abs, "--version")
	cmd.WaitDelay = time.Second
	said, err := cmd.CombinedOutput()
	if m := versionLine.FindSubmatch(said); err == nil && m != nil {
		help := exec.CommandContext(ctx, abs, "grpc-proxy", "start", "--help")
		help.WaitDelay = time.Second
		flags, err := help.CombinedOutput()
		caches := bytes.Contains(flags, []byte("--experimental-kv-cache"))
		return Program{Path: abs, Version: string(m[1]), Caches: caches}, err
	}
	why := "it says " + fmt.Sprintf("%q", last(said, 1))
	if err != nil {
		why = errors.Join(err, context.Cause(ctx)).Error()
	}
	return Program{}, fmt.Errorf("%s is no etcd that can be run: asked for its version, %s", path, why)
}

// last are the last n lines of what was said.
func last(said []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Start runs the program for an owner. What this process's environment has for etcd is not for that one.
func (p Program) Start(name, run, log string, args ...string) (*process.Process, error) {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ETCD_") })
	return process.Start(process.Config{Name: name, Path: p.Path, Args: args, Env: env, Log: log, Run: run})
}
