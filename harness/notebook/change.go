package notebook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/registry"
	"ghostroute/harness/service"
	"ghostroute/harness/stage"
)

func changeCommands() []Command {
	instances := Arg{"INSTANCE…", anInstance(), ""}
	instance := Arg{"[instance=…]", anInstance(), ""}
	key := Arg{"[key=…]", aText(), "any key"}
	who := Arg{"WHO", asker(), ""}
	return []Command{{
		Name: "register", Example: "register v2-a v2-b", act: true,
		Does: "Instances start, connect through the balancer, and register: each writes its name and address into " +
			"etcd. v2-a is instance a of version v2.",
		Args: []Arg{
			{"INSTANCE…", newInstance(), ""},
			{"[ttl=…]", aDuration(), "its lease, in whole seconds"},
			{"[interval=…]", aDuration(), "how often it renews the lease"},
			{"[service=…]", aText(), "another service than the bench's"},
			{"[address-of=…]", anInstance(), "it takes the address that this one left"},
		},
		run: each("instance", (*call).register),
	}, {
		Name: "deregister", Example: "deregister v1-a", act: true,
		Does: "Instances leave in good order: each deletes its key from etcd over its own connection, and then stops.",
		Args: []Arg{instances},
		run:  each("instance", (*call).deregister),
	}, {
		Name: "crash", Example: "crash v1-a", act: true,
		Does: "Instances die: they serve nothing, renew nothing, and deregister nothing. etcd keeps the key until the " +
			"lease has run out (see expire).",
		Args: []Arg{instances},
		run:  each("instance", (*call).crash),
	}, {
		Name: "expire", Example: "expire v1-a", act: true,
		Does: "Waits until the leases of instances that crashed have run out, so that etcd itself deletes their keys.",
		Args: []Arg{instances},
		run:  each("instance", (*call).expire),
	}, {
		Name: "restart", Example: "restart g1", act: true,
		Does: "A gateway, an instance or a member ends and starts again, under the same name at the same address. A " +
			"gateway or an instance makes a new connection, and the balancer gives that to the next proxy.",
		Args: []Arg{
			{"NODE…", anyOf(aGateway(), anInstance(), aMember()), ""},
			{"[mode=…]", aMode(), "for a gateway: it reads so from now on"},
		},
		run: each("node", (*call).restart),
	}, {
		Name: "revoke", Example: "revoke p1 v1-a", act: true,
		Does: "Ends the lease of an instance at once, and etcd deletes its key: what a lease that runs out does, " +
			"without the wait.",
		Args: []Arg{who, {"INSTANCE", anInstance(), ""}},
		run:  (*call).revoke,
	}, {
		Name: "renew", Example: "renew m1 v1-a", act: true,
		Does: "Renews the lease of an instance once, as go-micro does for itself: from now on it lives as long again.",
		Args: []Arg{who, {"INSTANCE", anInstance(), ""}, {"[patience=…]", aDuration(), "how long to wait for an answer"}},
		run:  (*call).renew,
	}, {
		Name: "put", Example: "put m1 instance=v1-a", act: true,
		Does: "Writes a key into etcd: a key and value of your own, or the registration of an instance as it last was.",
		Args: []Arg{
			who,
			{"[instance=…]", anInstance(), "whose registration to write again, without a lease"},
			key,
			{"[value=…]", aText(), "of that key"},
		},
		run: (*call).put,
	}, {
		Name: "delete", Example: "delete m1 instance=v1-a", act: true,
		Does: "Deletes a key from etcd: an instance's, or one of your own, or every key that begins so. The instance " +
			"itself runs on.",
		Args: []Arg{who, instance, key, {"[prefix=…]", aText(), "every key that begins so"}},
		run:  (*call).delete,
	}, {
		Name: "txn", Example: "txn m1 delete=(v1-a, v1-b)", act: true,
		Does: "Deletes the keys of instances in a transaction: all of them at one revision, or none.",
		Args: []Arg{who, {"delete=(…)", anInstance(), ""}},
		run:  (*call).txn,
	}, {
		Name: "evict", Example: "evict p2", act: true,
		Does: "A transaction compares the whole registry and does nothing. A proxy that it passes forgets every answer " +
			"that overlaps what was compared. etcd writes nothing.",
		Args: []Arg{who},
		run:  (*call).evict,
	}, {
		Name: "compact", Example: "compact p1", act: true,
		Does: "etcd forgets what was before the revision it is at. Asked through a proxy, or on a member.",
		Args: []Arg{who},
		run:  (*call).compact,
	}}
}

func (c *call) register(id string) error {
	if slices.Contains(c.nb.instances, id) {
		return c.wrong("there is a %s already, or there was: restart %[1]s starts it again", id)
	}
	n := c.b().History.Len()
	if _, err := c.b().Register(c.ctx(), id, c.change); err != nil {
		return c.fails(err, "%s is not registered", id)
	}
	c.nb.instances = append(c.nb.instances, id)
	c.registered(n, id)
	return c.caughtUp()
}

// change is what the arguments change of an instance.
func (c *call) change(cfg *service.Config) {
	cfg.TTL = cmp.Or(c.duration("ttl"), cfg.TTL)
	cfg.Interval = cmp.Or(c.duration("interval"), cfg.Interval)
	cfg.Service = cmp.Or(c.one("service"), cfg.Service)
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

func (c *call) deregister(id string) error {
	n := c.b().History.Len()
	c.nb.left(id)
	if err := c.b().Leave(c.ctx(), id); err != nil {
		return c.fails(err, "%s stops, and could not deregister", id)
	}
	for _, w := range c.writes(n, id) {
		if w.Op == "delete" {
			c.say("%s deregisters%s (revision %d) and stops", id, through(w), c.nb.revision(w.Revision))
		}
	}
	for _, w := range c.writes(n, stage.Operator) { // the fix scatter
		c.say("its key is deleted through %s, too", w.Via)
	}
	if err := c.disconnected(id); err != nil {
		return err
	}
	return c.caughtUp()
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

func (c *call) crash(id string) error {
	if err := c.b().Instance(id).Crash(); err != nil {
		return err
	}
	c.nb.left(id)
	c.say("%s crashes. It deregisters nothing", id)
	return c.disconnected(id)
}

func (c *call) expire(id string) error {
	if err := c.b().Expire(c.ctx(), id); err != nil {
		return err
	}
	truth, err := c.b().Truth(c.ctx())
	if err == nil {
		c.say("the lease of %s has run out: etcd deletes its key (revision %d)", id, c.nb.revision(truth.Revision))
	}
	return err
}

func (c *call) restart(name string) error {
	n, reads := c.b().History.Len(), ""
	var err error
	switch mode := registry.Mode(c.one("mode")); c.nb.kindOf(name) {
	case "instance":
		if _, err = c.b().Restart(c.ctx(), name); err != nil {
			return c.fails(err, "%s does not start again", name)
		}
	case "member":
		m := c.b().Cluster.Member(name)
		if err = m.Stop(c.ctx()); err == nil {
			err = m.Restart(c.ctx())
		}
		if err == nil {
			c.say("%s stops, and starts again with its data", name)
			err = c.caughtUp()
		}
		return err
	default:
		if mode == "" {
			err = c.b().Gateway(name).Restart(c.ctx())
		} else {
			reads = ", in mode " + string(mode)
			_, err = c.b().StartGateway(c.ctx(), name, mode)
		}
		if err != nil {
			return err
		}
	}
	c.say("%s starts again: %s%s", name, c.pinned([]string{name}), reads)
	if c.nb.kindOf(name) == "instance" {
		c.registered(n, name)
	}
	return c.caughtUp()
}

func (c *call) put() error {
	id, key, value := c.one("instance"), c.one("key"), c.one("value")
	if (id == "") == (key == "") {
		return c.wrong("say one of instance= and key=")
	}
	if id != "" {
		key = c.b().Instance(id).Key()
		for _, e := range c.b().History.Events() {
			if e.Commit != nil && e.Commit.Key == key && e.Commit.Op == "put" {
				value = e.Commit.Value
			}
		}
		if value == "" {
			return fmt.Errorf("%s was never registered", id)
		}
	}
	return c.write(clientv3.OpPut(key, value), keyName(key), "written")
}

func (c *call) delete() error {
	key, opts := c.one("key"), []clientv3.OpOption(nil)
	switch id := c.one("instance"); {
	case id != "":
		key = c.b().Instance(id).Key()
		c.nb.left(id)
	case c.has("prefix"):
		key, opts = c.one("prefix"), append(opts, clientv3.WithPrefix())
	case key == "":
		return c.wrong("say one of instance=, key= and prefix=")
	}
	op := clientv3.OpDelete(key, opts...)
	return c.write(op, rangeName(key, string(op.RangeBytes())), "deleted")
}

func (c *call) txn() error {
	var ops []clientv3.Op
	for _, id := range c.all("delete") {
		c.nb.left(id)
		ops = append(ops, clientv3.OpDelete(c.b().Instance(id).Key()))
	}
	return c.write(clientv3.OpTxn(nil, ops, nil), keyName(string(ops[0].KeyBytes())), "deleted in a transaction")
}

func (c *call) evict() error {
	who := c.one("who")
	client, err := c.connect(who)
	if err != nil {
		return err
	}
	way := c.nb.way(who)
	if err := stage.Evicting(c.ctx(), client, keys.Registry); err != nil {
		return c.fails(err, "the evict %s fails", way)
	}
	c.say("%s is compared %s, and nothing is written", keyName(keys.Registry), way)
	return nil
}

// write makes a change of keys over the connection of the node that the command names, which records it, and says what
// became of it.
func (c *call) write(op clientv3.Op, what, did string) error {
	who := c.one("who")
	client, err := c.connect(who)
	if err != nil {
		return err
	}
	way := c.nb.way(who)
	resp, err := client.Do(c.ctx(), op)
	if err != nil {
		return c.fails(err, "the %s of %s %s fails", c.command.Name, what, way)
	}
	c.say("%s is %s %s (revision %d)", what, did, way, c.nb.revision(revisionOf(resp)))
	return c.caughtUp()
}

func revisionOf(r clientv3.OpResponse) int64 {
	switch {
	case r.Put() != nil:
		return r.Put().Header.Revision
	case r.Del() != nil:
		return r.Del().Header.Revision
	}
	return r.Txn().Header.Revision
}

func (c *call) compact() error {
	who := c.one("who")
	client, err := c.connect(who)
	if err != nil {
		return err
	}
	truth, err := c.b().Truth(c.ctx())
	if err != nil {
		return err
	}
	before := c.nb.revision(truth.Revision)
	_, err = client.Compact(c.ctx(), truth.Revision, clientv3.WithCompactPhysical())
	switch {
	case err != nil && strings.Contains(err.Error(), "has been compacted"):
		c.say("etcd has forgotten what was before revision %d already", before)
	case err != nil:
		return err
	default:
		c.say("etcd forgets what was before revision %d, asked %s", before, c.nb.way(who))
	}
	return nil
}
