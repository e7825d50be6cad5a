package fresh

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// StartWatch starts the variant watch before a member. Package fresh_test sets it, for package proxy imports this one.
var StartWatch func(t *testing.T, member string) pb.KVServer

// Waiting is how many readers wait for an answer.
func Waiting(kv pb.KVServer) (n int) {
	p := kv.(*revalidate)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, fs := range p.flights {
		for _, f := range fs.now {
			n += f.waiting
		}
		if fs.next != nil {
			n += fs.next.waiting
		}
	}
	return n
}

// Held is how many flights and answers are remembered.
func Held(kv pb.KVServer) (flights, answers int) {
	p := kv.(*revalidate)
	p.mu.Lock()
	flights = len(p.flights)
	p.mu.Unlock()
	p.kept.mu.Lock()
	defer p.kept.mu.Unlock()
	return flights, len(p.kept.byRequest)
}
