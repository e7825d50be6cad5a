package proxy

import "go.uber.org/goleak"

// KnownLeaks are what etcd's client leaves running now and then when a proxy stops that auth had refused a watch, see closeClient:
// nobody but etcd can end them.
func KnownLeaks() []goleak.Option {
	const stream = "go.etcd.io/etcd/client/v3.(*watchGRPCStream)."
	return []goleak.Option{
		goleak.IgnoreTopFunction(stream + "waitCancelSubstreams.func1.1"),
		goleak.IgnoreTopFunction(stream + "serveSubstream.func1"),
		goleak.IgnoreAnyFunction(stream + "run"),
		goleak.IgnoreAnyFunction(stream + "close"),
	}
}
