package notebook

import (
	"fmt"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"ghostroute/harness/history"
	"ghostroute/harness/registry"
	"ghostroute/harness/service"
)

func changeCommands() []Command {
	instances := Arg{"INSTANCE…", anInstance(), ""}
	instance := Arg{"[instance=…]", anInstance(), ""}
	key := Arg{"[key=…]", aText(), "any key"}
	who := Arg{"WHO", asker(), ""}
	return []Command{{
		Name:    "register",
		Does:    "Instances start, connect through the balancer, and register: each writes its name and address into etcd. v2-a is instance a of version v2.",
		Example: "register v2-a v2-b",
		Args: []Arg{
			{"INSTANCE…", newInstance(), ""},
			{"[ttl=…]", aDuration(), "its lease, in whole seconds"},
			{"[interval=…]", aDuration(), "how often it renews the lease"},
			{"[service=…]", aText(), "another service than the bench's"},
			{"[address-of=…]", anInstance(), "it takes the address that this one left"},
		},
		act: true,
		run: (*call).register,
	}, {
		Name:    "deregister",
		Does:    "Instances leave in good order: each deletes its key from etcd over its own connection, and then stops.",
		Example: "deregister v1-a",
		Args:    []Arg{instances},
		act:     true,
		run:     (*call).deregister,
	}, {
		Name:    "crash",
		Does:    "Instances die: they serve nothing, renew nothing, and deregister nothing. etcd keeps the key until the lease has run out (see expire).",
		Example: "crash v1-a",
		Args:    []Arg{instances},
		act:     true,
		run:     (*call).crash,
	}, {
		Name:    "expire",
		Does:    "Waits until the leases of instances that crashed have run out, so that etcd itself deletes their keys.",
		Example: "expire v1-a",
		Args:    []Arg{instances},
		act:     true,
		run:     (*call).expire,
	}, {
		Name: "restart",
		Does: "A gateway, an instance or a member ends and starts again, under the same name at the same address. A gateway or an instance makes a " +
			"new connection, and the balancer gives that to the next proxy.",
		Example: "restart g1",
		Args: []Arg{
			{"NODE…", anyOf(aGateway(), anInstance(), aMember()), ""},
			{"[mode=…]", aMode(), "for a gateway: it reads so from now on"},
		},
		act: true,
		run: (*call).restart,
	}, {
		Name:    "revoke",
		Does:    "Ends the lease of an instance at once, and etcd deletes its key: what a lease that runs out does, without the wait.",
		Example: "revoke p1 v1-a",
		Args:    []Arg{who, {"INSTANCE", anInstance(), ""}},
		act:     true,
		run:     (*call).revoke,
	}, {
		Name:    "put",
		Does:    "Writes a key into etcd: a key and value of your own, or the registration of an instance as it last was.",
		Example: "put m1 instance=v1-a",
		Args: []Arg{
			who,
			{"[instance=…]", anInstance(), "whose registration to write again, without a lease"},
			key,
			{"[value=…]", aText(), "of that key"},
		},
		act: true,
		run: (*call).put,
	}, {
		Name:    "delete",
		Does:    "Deletes a key from etcd: an instance's, or one of your own, or every key that begins so. The instance itself runs on.",
		Example: "delete m1 instance=v1-a",
		Args:    []Arg{who, instance, key, {"[prefix=…]", aText(), "every key that begins so"}},
		act:     true,
		run:     (*call).delete,
	}, {
		Name:    "txn",
		Does:    "Deletes the keys of instances in a transaction: all of them at one revision, or none.",
		Example: "txn m1 delete=(v1-a, v1-b)",
		Args:    []Arg{who, {"delete=(…)", anInstance(), ""}},
		act:     true,
		run:     (*call).txn,
	}, {
		Name:    "compact",
		Does:    "etcd forgets what was before the revision it is at. Asked through a proxy, or on a member.",
		Example: "compact p1",
		Args:    []Arg{who},
		act:     true,
		run:     (*call).compact,
	}}
}

func (c *call) register() error {
	for _, id := range c.all("instance") {
		if slices.Contains(c.nb.instances, id) {
			return c.wrong("there is a %s already, or there was: restart %[1]s starts it again", id)
		}
		n := c.b().History.Len()
		c.awaits("%s to be registered", id)
		_, err := c.b().Register(c.ctx(), id, c.change)
		if err != nil && c.ctx().Err() != nil {
			return err
		}
		if err != nil {
			c.say("%s is not registered: %s", id, c.nb.clean(err.Error()))
			continue
		}
		c.nb.instances = append(c.nb.instances, id)
		c.registered(n, id)
		if err := c.settle(); err != nil {
			return err
		}
	}
	return nil
}

// change is what the arguments change of an instance.
func (c *call) change(cfg *service.Config) {
	if c.has("ttl") {
		cfg.TTL = c.duration("ttl")
	}
	if c.has("interval") {
		cfg.Interval = c.duration("interval")
	}
	if c.has("service") {
		cfg.Service = c.one("service")
	}
	if other := c.one("address-of"); other != "" {
		cfg.Port = c.b().Instance(other).Port()
	}
}

// registered says what an instance wrote when it registered; the history had n events before.
func (c *call) registered(n int, id string) {
	as := ""
	if service := c.b().Instance(id).Config().Service; service == c.b().Topology.Service {
		c.nb.stayed = append(c.nb.stayed, id)
	} else {
		as = " as " + service
	}
	found := id + " knows that it is registered"
	for _, w := range c.writes(n, id) {
		if w.Read > 0 { // it looked itself up first, and the answer had its key
			looked := c.b().History.Event(w.Read)
			of := history.Resolve{Source: looked.Range.Source, Via: looked.Who, Revision: looked.Range.Revision}
			found = fmt.Sprintf("%s looks itself up, and is told that it is registered (%s)", id, c.nb.origin(of, 0))
		}
		if w.Op == "put" {
			c.say("%s registers%s%s (revision %d)", id, as, through(w), c.nb.revision(w.Revision))
			return
		}
	}
	c.say("%s", found)
	c.say("%s renews its lease and writes nothing. Register says that all is well", id)
}

// left notes that an instance no longer claims to be registered.
func (nb *Notebook) left(id string) {
	nb.stayed = slices.DeleteFunc(nb.stayed, func(s string) bool { return s == id })
}

func (c *call) deregister() error {
	for _, id := range c.all("instance") {
		n := c.b().History.Len()
		c.nb.left(id)
		c.awaits("%s to be deregistered", id)
		err := c.b().Deregister(c.ctx(), id)
		if err != nil && c.ctx().Err() != nil {
			return err
		}
		if err != nil {
			c.say("%s stops, and could not deregister: %s", id, c.nb.clean(err.Error()))
			continue
		}
		for _, w := range c.writes(n, id) {
			if w.Op == "delete" {
				c.say("%s deregisters%s (revision %d) and stops", id, through(w), c.nb.revision(w.Revision))
			}
		}
		for _, w := range c.writes(n, "scatter") {
			c.say("its key is deleted through %s, too", w.Via)
		}
		if err := c.disconnected(id); err != nil {
			return err
		}
		if err := c.settle(); err != nil {
			return err
		}
	}
	return nil
}

// writes are what a node wrote since the history had n events, and etcd acknowledged.
func (c *call) writes(n int, who string) []*history.Write {
	var all []*history.Write
	for _, e := range c.b().History.Since(n) {
		if e.Write != nil && e.Who == who && e.Write.Err == "" {
			all = append(all, e.Write)
		}
	}
	return all
}

// through says which way a write went, after a space; nothing where no proxy was on it.
func through(w *history.Write) string {
	if w.Via == "" {
		return ""
	}
	return " through " + w.Via
}

func (c *call) crash() error {
	for _, id := range c.all("instance") {
		if err := c.b().Instance(id).Crash(); err != nil {
			return err
		}
		if err := c.disconnected(id); err != nil {
			return err
		}
		c.nb.left(id)
		c.say("%s crashes. It deregisters nothing", id)
	}
	return nil
}

func (c *call) expire() error {
	for _, id := range c.all("instance") {
		c.awaits("the lease of %s to run out", id)
		truth, err := c.b().WaitGone(c.ctx(), id)
		if err != nil {
			return err
		}
		c.say("the lease of %s has run out: etcd deletes its key (revision %d)", id, c.nb.revision(truth.Revision))
	}
	return nil
}

func (c *call) restart() error {
	for _, name := range c.all("node") {
		c.awaits("%s to be back", name)
		again := c.restartGateway
		switch {
		case slices.Contains(c.nb.instances, name):
			again = c.restartInstance
		case slices.Contains(c.nb.memberNames(), name):
			again = c.restartMember
		}
		if err := again(name); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) restartGateway(name string) error {
	mode, reads := registry.Mode(c.one("mode")), ""
	var err error
	if mode == "" {
		err = c.b().Gateway(name).Restart(c.ctx())
	} else {
		_, err = c.b().StartGateway(c.ctx(), name, mode)
		reads = ", in mode " + string(mode)
	}
	if err != nil {
		return err
	}
	c.say("%s starts again: %s%s", name, c.pinned([]string{name}), reads)
	return nil
}

func (c *call) restartInstance(id string) error {
	n := c.b().History.Len()
	if _, err := c.b().Restart(c.ctx(), id); err != nil {
		if c.ctx().Err() != nil {
			return err
		}
		c.say("%s does not start again: %s", id, c.nb.clean(err.Error()))
		return nil
	}
	c.say("%s starts again: %s", id, c.pinned([]string{id}))
	c.registered(n, id)
	return c.settle()
}

func (c *call) restartMember(name string) error {
	m := c.b().Cluster.Member(name)
	if err := m.Stop(c.ctx()); err != nil {
		return err
	}
	if err := m.Restart(c.ctx()); err != nil {
		return err
	}
	c.say("%s stops, and starts again with its data", name)
	return c.settle()
}

func (c *call) revoke() error {
	who, id := c.one("who"), c.one("instance")
	c.nb.left(id)
	c.awaits("the lease of %s, from a member", id)
	key := c.b().Instance(id).Key()
	kv, err := c.b().Cluster.Truth(c.ctx(), key)
	if err != nil {
		return err
	}
	if len(kv.Kvs) == 0 || kv.Kvs[0].Lease == 0 {
		return fmt.Errorf("%s has no lease in etcd to revoke", id)
	}
	w, err := c.write(who, history.Write{Op: "revoke", Key: key, Lease: kv.Kvs[0].Lease},
		func(client *clientv3.Client, md grpc.CallOption) (answer, error) {
			return clientv3.RetryLeaseClient(client).LeaseRevoke(c.ctx(), &pb.LeaseRevokeRequest{ID: kv.Kvs[0].Lease}, md)
		})
	if err != nil {
		return err
	}
	c.say("the lease of %s is revoked %s: etcd deletes its key (revision %d)", id, c.nb.way(who), c.nb.revision(w.Revision))
	return c.settle()
}

func (c *call) put() error {
	key, value, err := c.pair()
	if err != nil {
		return err
	}
	return c.alter(history.Write{Op: "put", Key: key}, "written", func(client *clientv3.Client, md grpc.CallOption) (answer, error) {
		return clientv3.RetryKVClient(client).Put(c.ctx(), &pb.PutRequest{Key: []byte(key), Value: []byte(value)}, md)
	})
}

// pair is the key and value that the arguments describe.
func (c *call) pair() (key, value string, err error) {
	id := c.one("instance")
	if (id == "") == (c.one("key") == "") {
		return "", "", c.wrong("say one of instance= and key=")
	}
	if id == "" {
		return c.one("key"), c.one("value"), nil
	}
	key = c.b().Instance(id).Key()
	for _, e := range c.b().History.Events() {
		if e.Commit != nil && e.Commit.Key == key && e.Commit.Op == "put" {
			value = e.Commit.Value
		}
	}
	if value == "" {
		return "", "", fmt.Errorf("%s was never registered", id)
	}
	return key, value, nil
}

func (c *call) delete() error {
	var op clientv3.Op
	switch {
	case c.has("instance"):
		op = clientv3.OpDelete(c.b().Instance(c.one("instance")).Key())
		c.nb.left(c.one("instance"))
	case c.has("key"):
		op = clientv3.OpDelete(c.one("key"))
	case c.has("prefix"):
		op = clientv3.OpDelete(c.one("prefix"), clientv3.WithPrefix())
	default:
		return c.wrong("say one of instance=, key= and prefix=")
	}
	w := history.Write{Op: "delete", Key: string(op.KeyBytes()), End: string(op.RangeBytes())}
	return c.alter(w, "deleted", func(client *clientv3.Client, md grpc.CallOption) (answer, error) {
		return clientv3.RetryKVClient(client).DeleteRange(c.ctx(), &pb.DeleteRangeRequest{Key: op.KeyBytes(), RangeEnd: op.RangeBytes()}, md)
	})
}

func (c *call) txn() error {
	req := &pb.TxnRequest{}
	for _, id := range c.all("delete") {
		c.nb.left(id)
		req.Success = append(req.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
			RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(c.b().Instance(id).Key())}}})
	}
	first := string(req.Success[0].GetRequestDeleteRange().Key)
	return c.alter(history.Write{Op: "txn", Key: first}, "deleted in a transaction", func(client *clientv3.Client, md grpc.CallOption) (answer, error) {
		return clientv3.RetryKVClient(client).Txn(c.ctx(), req, md)
	})
}

func (c *call) compact() error {
	who := c.one("who")
	truth, err := c.b().Settle(c.ctx())
	if err != nil {
		return err
	}
	shown := c.nb.revision(truth.Revision)
	w := history.Write{Op: "compact", Revision: truth.Revision}
	_, err = c.write(who, w, func(client *clientv3.Client, md grpc.CallOption) (answer, error) {
		if slices.Contains(c.nb.memberNames(), who) {
			return nil, c.b().Cluster.Member(who).Compact(c.ctx(), truth.Revision)
		}
		req := &pb.CompactionRequest{Revision: truth.Revision, Physical: true}
		return clientv3.RetryKVClient(client).Compact(c.ctx(), req, md)
	})
	switch {
	case err != nil && strings.Contains(err.Error(), "has been compacted"):
		c.say("etcd has forgotten what was before revision %d already", shown)
		return nil
	case err != nil:
		return err
	}
	c.say("etcd forgets what was before revision %d, asked %s", shown, c.nb.way(who))
	return nil
}
