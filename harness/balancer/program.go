package balancer

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"time"

	"ghostroute/harness/text"
)

// Program is what balances. The zero Program is our own balancer, in this process.
type Program struct {
	Path    string // HAProxy's
	Version string // what it says that it is, "2.6.12-1+deb12u4"
}

// String is "HAProxy 2.6.12-1+deb12u4".
func (p Program) String() string {
	if p == (Program{}) {
		return "our own balancer"
	}
	return "HAProxy " + p.Version
}

const own, haproxyKind, ipvs = "own", "haproxy", "ipvs"

// Kinds are the names that Find knows.
func Kinds() []string { return []string{own, haproxyKind, ipvs} }

// errIPVS says how one would do what we do not.
var errIPVS = errors.New("ghostroute does not drive the kernel's IPVS, which needs root, a kernel with ip_vs and an " +
	"address that is not on loopback; by hand it is \"ipvsadm -A -t VIP:2379 -s wrr\", for each proxy " +
	"\"ipvsadm -a -t VIP:2379 -r PROXY:2379 -m -w 1\", for a drain \"ipvsadm -e -t VIP:2379 -r PROXY:2379 -m -w 0\", " +
	"and \"ghostroute probe\" then says which proxy lies; our own balancer has its schedule, ip_vs_wrr: --balancer own")

// Find finds the program of that kind, and asks it what it is.
func Find(ctx context.Context, kind string) (Program, error) {
	switch kind {
	case own:
		return Program{}, nil
	case haproxyKind:
		return find(ctx, "haproxy", "/usr/sbin/haproxy") // Debian's, which is not in everybody's PATH
	case ipvs:
		return Program{}, errIPVS
	}
	return Program{}, text.Unknown("balancer", kind, Kinds())
}

// find asks the first of these programs that there is what it is.
func find(ctx context.Context, may ...string) (Program, error) {
	for _, name := range may {
		if path, err := exec.LookPath(name); err == nil {
			return ask(ctx, path)
		}
	}
	return Program{}, errors.New(
		"HAProxy is not installed: Debian's and Ubuntu's package haproxy has it, apt-get install haproxy brings it")
}

var versionLine = regexp.MustCompile(`(?m)^HA-?Proxy version (\S+)`)

// patience is how long HAProxy has for what takes it milliseconds.
const patience = 10 * time.Second

// ask asks a program what it is.
func ask(ctx context.Context, path string) (Program, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-v")
	cmd.WaitDelay = time.Second
	said, err := cmd.CombinedOutput()
	if err != nil {
		return Program{}, fmt.Errorf("%s does not run: asked for its version, %w", path, err)
	}
	m := versionLine.FindSubmatch(said)
	if m == nil {
		return Program{}, fmt.Errorf("%s is no HAProxy: asked for its version, it says %.80q", path, said)
	}
	return Program{Path: path, Version: string(m[1])}, nil
}
