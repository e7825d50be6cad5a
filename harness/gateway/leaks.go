package gateway

import (
	"go.uber.org/goleak"

	"ghostroute/harness/hangup"
)

// KnownLeaks are the goroutines that go-micro leaves behind and that cannot be ended or waited for, by name;
// nothing else is left when every gateway has been closed.
func KnownLeaks() []goleak.Option {
	return append(hangup.KnownLeaks(),
		// A client that hangs does not tell its watches that they are over, and who reads one waits for ever. Where the
		// client was not closed, which a watch ends with, its own goroutines are found.
		goleak.IgnoreTopFunction("github.com/micro/go-micro/v2/registry/etcd.(*etcdWatcher).Next"),
		// One for the process: go-micro's client package makes a DefaultClient when it is initialised, that makes a
		// response cache, and that begins to sweep (client/options.go, client/cache.go).
		goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"),
		// A router that could not list the services sleeps a second more after each failure, and does not wake to
		// be closed (api/router/registry/registry.go, refresh). It ends when it wakes, because
		// watchedRegistry.ListServices lets it.
		goleak.IgnoreAnyFunction("github.com/micro/go-micro/v2/api/router/registry.(*registryRouter).refresh"),
		// A cache whose watch failed sleeps up to 10 s before it watches again, and does not wake to be stopped
		// (registry/cache/cache.go, run). It ends when it wakes.
		goleak.IgnoreAnyFunction("github.com/micro/go-micro/v2/registry/cache.(*cache).run"),
	)
}
