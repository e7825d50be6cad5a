package scenarios

import (
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/proxy"
	"ghostroute/harness/stage"
	"ghostroute/harness/text"
)

// What an operator does: with etcdctl, at the balancer, to the proxies.

// as does something with an operator's client at the balancer, or at the members where there is no proxy.
func (t *Trial) as(do func(*clientv3.Client) error) error {
	c, err := t.Client(t.ctx, stage.Operator)
	if err != nil {
		return err
	}
	return do(c)
}

// on does something with an operator's client at one member, or one proxy.
func (t *Trial) on(node string, do func(*clientv3.Client) error) error {
	c, err := t.At(t.ctx, node)
	if err != nil {
		return err
	}
	return do(c)
}

// txn commits a transaction of these operations.
func (t *Trial) txn(ops ...clientv3.Op) error {
	return t.as(func(c *clientv3.Client) error {
		_, err := c.Txn(t.ctx).Then(ops...).Commit()
		return err
	})
}

// delete deletes a key, or a range, with a client.
func (t *Trial) delete(key string, opts ...clientv3.OpOption) func(*clientv3.Client) error {
	return func(c *clientv3.Client) error {
		_, err := c.Delete(t.ctx, key, opts...)
		return err
	}
}

// revoke revokes the lease of an instance through the operator's connection.
func (t *Trial) revoke(id string) error {
	return t.as(func(c *clientv3.Client) error {
		_, err := t.Revoke(t.ctx, c, t.ServiceKey(id))
		return err
	})
}

// compact has etcd forget what was before now, asked at one node, after a write that concerns no reader: a revision can
// be compacted once.
func (t *Trial) compact(node string) error {
	return t.on(node, func(c *clientv3.Client) error {
		w, err := t.Cluster.Client().Put(t.ctx, "/bump", "")
		if err == nil {
			_, err = c.Compact(t.ctx, w.Header.Revision)
		}
		return err
	})
}

// onlyFirstProxy gives every new connection to p1, and with drain closes the others.
func (t *Trial) onlyFirstProxy(drain bool) error {
	if len(t.Proxies()) < 2 {
		return nil
	}
	if err := t.Only("p1"); err != nil || !drain {
		return err
	}
	return t.movedOff(func(at []string) bool { return !slices.Contains(at, "p1") })
}

// movedOff has every client reconnect whose proxies are such.
func (t *Trial) movedOff(such func(at []string) bool) error {
	for client, at := range t.Balancer.Pinned() {
		if such(at) {
			if err := t.Reconnect(t.ctx, client); err != nil {
				return err
			}
		}
	}
	return nil
}

// swap gives new connections to one proxy, closes those of another, and waits until every gateway is connected again.
func (t *Trial) swap(from, to string) error {
	if err := t.Only(to); err != nil {
		return err
	}
	if _, err := t.Balancer.Drain(from); err != nil {
		return err
	}
	return t.Connected(t.ctx)
}

// steer gives new connections to one proxy, or with "" to all again. A fix that has its own idea of the balancer keeps
// it.
func (t *Trial) steer(to string) error {
	if t.Topology.Direct || t.Fix.Deploy != nil || t.Topology.Sticky || len(t.Proxies()) < 2 {
		return nil
	}
	return t.Only(to)
}

// restart restarts proxies, and waits until every gateway is connected again.
func (t *Trial) restart(proxies ...string) error {
	for _, p := range proxies {
		if err := t.RestartProxy(t.ctx, p); err != nil {
			return err
		}
	}
	return t.Connected(t.ctx)
}

// everyProxy are the proxies' names.
func (t *Trial) everyProxy() []string { return text.Each(t.Proxies(), (*proxy.Proxy).Name) }

// restartThrough restarts an instance's process through each of these proxies in turn, without deregistering.
func (t *Trial) restartThrough(id string, proxies ...string) error {
	for _, p := range proxies {
		if err := t.steer(p); err != nil {
			return err
		}
		if _, err := t.Restart(t.ctx, id); err != nil {
			return err
		}
	}
	t.Tell("%s has been restarted, and is connected to %s", id, t.PinnedTo(id))
	return t.steer("")
}

// leaseTTL is how long the lease of an instance that crashes lives: long enough to be seen by every gateway first, on a
// busy machine too.
const leaseTTL = 2 * time.Second
