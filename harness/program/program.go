// Package program finds the etcd that members and proxies run as processes: a release by its version, built when it is
// first asked for and kept in the user's cache folder; Debian's; or whatever stands at a path; and the etcdctl of each.
// Each is asked what it is before it is believed.
package program

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

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
	Says   string
	Folder string // where it is installed; "" is one that is built
}

// Releases are those there are, the oldest first: of each minor version the newest, as of November 2026. 3.4 is
// Debian 12's, the others are built (see build.go): etcd's code of that version with today's Go.
func Releases() []Release {
	return []Release{
		{Name: "3.4.23", Folder: "/usr/bin"},
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
	return server.find(ctx, meant, say)
}

// Known says, before any is built, that one of these cannot be found: it is neither a path nor a release's name.
func Known(meant ...string) error {
	for _, m := range meant {
		if isPath(m) {
			continue
		}
		if _, err := named(m); err != nil {
			return err
		}
	}
	return nil
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

// last are the last n lines of what was said.
func last(said []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Start runs the program for an owner.
func (p Program) Start(name, run, log string, args ...string) (*process.Process, error) {
	return process.Start(process.Config{Name: name, Path: p.Path, Args: args, Env: Env(), Log: log, Run: run})
}

// Env is this process's environment but for what it has for etcd or etcdctl, which is not for those that are run.
func Env() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "ETCD_") || strings.HasPrefix(v, "ETCDCTL_")
	})
}
