package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/program"
)

// file is the page that make survivors writes.
const file = "survivors.md"

const head = `# What of it later go-micros have

<!-- written by make survivors -->

The incident's gateways ran go-micro v2. Its defects beside the proxy's, each tried on the code of each version: its
registry/etcd at a real etcd and behind two real grpc-proxies, its registry/cache and its api/router/registry over a
registry that answers what it is told to ([harness/survivors](../harness/survivors)). Each is built with the
etcd client that it asks for, and v2 with today's. **yes** is followed by the line that a cure would begin at; a dash
is a version that has no such part.

`

// row is a defect as the page tells it.
type row struct{ title, part, code string }

const (
	inEtcd, inWatcher = "etcd/etcd.go", "etcd/watcher.go"
	inCache, inRouter = "registry/cache/cache.go", "api/router/registry/registry.go"
)

// rows are by the defect's name. code is a piece of the line that has it.
var rows = map[string]row{
	"serializable-get": {"GetService reads serializably: behind a proxy, the ghost", inEtcd,
		`e.client.Get(ctx, servicePath(name)+"/"`},
	"first-event": {"the watcher's Next tells the first event of a response and no other", inWatcher,
		"return &registry.Result{"},
	"no-value-before": {"a delete whose value before is compacted panics", inWatcher, "ev.PrevKv.Value"},
	"not-found-is-outage": {"\"not found\" is taken for an outage: the expired copy is kept", inCache,
		"return cached, nil"},
	"one-error-state": {"one error state for the whole cache: an outage of one service has another's last-node delete " +
		"ignored", inCache, "if err := c.status; err != nil"},
	"first-watch-only": {"the cache watches the first service that it is asked for, and no other", inCache,
		"if !c.running {"},
	"router-last-node": {"the API router never drops the endpoints of a last node", inRouter, "if !names["},
	"lease-left":       {"Deregister leaves the lease", inEtcd, "e.client.Delete(ctx, nodePath("},
	"lease-renewed":    {"after Deregister the client goes on renewing the lease", inEtcd, "e.client.KeepAlive("},
	"register-stale": {"Register believes a stale read, and puts nothing", inEtcd,
		"e.client.Get(ctx, nodePath(s.Name, node.Id), clientv3.WithSerializable())"},
	"register-lease-gone": {"it does so even when the lease that it read is gone", inEtcd,
		"if err := e.startKeepAlive(s.Name+node.Id, leaseID); err != nil"},
}

// version is a go-micro, with what each of its defects came to.
type version struct {
	name     string            // "v2"
	made     string            // of which modules, as versions has it
	core     string            // the module of all but registry/etcd
	etcd     string            // the module of registry/etcd
	outcomes map[string]string // by defect: what was seen
	cells    map[string]string // by defect: of the table
}

// modulesOf are core and etcd, by the version's name.
var modulesOf = map[string][2]string{
	"v2": {"github.com/micro/go-micro/v2", "github.com/micro/go-micro/v2"},
	"v3": {"github.com/asim/go-micro/v3", "github.com/asim/go-micro/plugins/registry/etcd/v3"},
	"v4": {"go-micro.dev/v4", "github.com/go-micro/plugins/v4/registry/etcd"},
	"v5": {"go-micro.dev/v5", "go-micro.dev/v5"},
}

func newVersion(t *testing.T, name, made string, outcomes []outcome) version {
	v := version{name: name, made: made, core: modulesOf[name][0], etcd: modulesOf[name][1],
		outcomes: map[string]string{}, cells: map[string]string{}}
	for _, o := range outcomes {
		v.outcomes[o.Defect] = o.Saw
		switch {
		case o.Absent:
			v.outcomes[o.Defect], v.cells[o.Defect] = errAbsent.Error(), "–"
		case o.Has:
			v.cells[o.Defect] = "**yes**, " + v.place(t, rows[o.Defect])
		default:
			v.cells[o.Defect] = "no"
		}
	}
	return v
}

// place is the line that has a defect, "watcher.go:69".
func (v version) place(t *testing.T, r row) string {
	t.Helper()
	module, path := v.core, r.part
	if inside, ok := strings.CutPrefix(path, "etcd/"); ok {
		if module, path = v.etcd, inside; v.etcd == v.core {
			path = filepath.Join("registry", "etcd", inside)
		}
	}
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module)
	if v.name != "v2" {
		cmd.Dir = v.name
	}
	dir, err := cmd.Output()
	require.NoError(t, err, "%s in %q", cmd, cmd.Dir)
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), path))
	require.NoError(t, err)
	for n, line := range strings.Split(string(text), "\n") {
		if strings.Contains(line, r.code) {
			return fmt.Sprintf("%s:%d", filepath.Base(path), n+1)
		}
	}
	require.Fail(t, "a line is not there", "%s of %s has no %s", path, module, r.code)
	return ""
}

// fixture is where the page is.
func fixture(t *testing.T) string {
	top, err := program.Repository()
	require.NoError(t, err)
	return filepath.Join(top, "fixtures", file)
}
