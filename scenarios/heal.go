package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/program"
)

// OneLiner is what the README tells an operator to type, with PROXY for a proxy's address: a transaction that compares
// and does nothing makes the proxy that it passes forget all that overlaps (server/proxy/grpcproxy/kv.go, Txn).
const OneLiner = `printf 'ver("/micro/registry/hello/") > "-1"\n\n\n\n' | etcdctl --endpoints=PROXY txn`

// heals says what comes of OneLiner, typed with the proxies' etcdctl at one that has a ghost: yes, or what it does not
// do. It is to have the entry be gone, and to write nothing.
func (e Etcd) heals(ctx context.Context) (cell string, err error) {
	if e.Ctl == (program.Program{}) {
		return none, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	b, err := harness.Open(ctx, e.topology(harness.Topology{Members: 1}))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := errors.Join(b.Prime(ctx), b.Leave(ctx, "v1-a")); err != nil { // v1-a deregisters through p1
		return "", err
	}
	truth, err := b.Truth(ctx)
	if err != nil {
		return "", err
	}
	told, _ := b.Look(ctx, "g2")
	if ghosts, _ := history.Compare(told.Endpoints, truth.Endpoints); told.Source != history.Hit || len(ghosts) != 1 {
		return fmt.Sprintf("there is no ghost to heal: %s, %v", told.Origin(truth.Revision), history.IDs(told.Endpoints)), nil
	}
	said, err := typed(ctx, e.Ctl, strings.ReplaceAll(OneLiner, "PROXY", b.Proxy(told.Via).Addr()))
	if err != nil {
		return "", err
	}
	after, err := b.Truth(ctx)
	if err != nil {
		return "", err
	}
	told, _ = b.Look(ctx, "g2")
	switch {
	case said != "SUCCESS":
		return "etcdctl says " + said, nil
	case after.Revision != truth.Revision:
		return fmt.Sprintf("it writes: truth is at %d, and was at %d", after.Revision, truth.Revision), nil
	case told.Source != history.Miss || !told.Agrees(after):
		return fmt.Sprintf("it is not forgotten: %s, %v", told.Origin(after.Revision), history.IDs(told.Endpoints)), nil
	}
	return yes, nil
}

// typed is what an operator's shell says to a line, whose etcdctl is that program.
func typed(ctx context.Context, ctl program.Program, line string) (said string, err error) {
	dir, err := os.MkdirTemp("", "etcdctl-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Symlink(ctl.Path, filepath.Join(dir, "etcdctl")); err != nil {
		return "", err
	}
	env := slices.Concat(program.Env(), []string{"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH")})
	log, failed, err := alone(ctx, env, []string{"bash", "-o", "pipefail", "-c", line})
	return strings.TrimSpace(string(log) + failed), err
}
