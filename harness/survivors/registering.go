package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// registered registers node a of a service through a proxy, for so long, and returns its lease.
func (s *stand) registered(name, through string, ttl time.Duration) (microRegistry, clientv3.LeaseID, error) {
	r := s.registry(through)
	if err := r.Register(serviceOf(name, "a"), registerTTL(ttl)); err != nil {
		return nil, 0, err
	}
	got, err := s.at.Get(s.ctx, keyOf(name, "a"))
	if err != nil {
		return nil, 0, err
	}
	if len(got.Kvs) != 1 || got.Kvs[0].Lease == 0 {
		return nil, 0, fmt.Errorf("etcd was to have one key with a lease after Register, and has %v", got.Kvs)
	}
	return r, clientv3.LeaseID(got.Kvs[0].Lease), nil
}

// elsewhere has node a of a service deregister through the first proxy when the second has all reads of it cached.
func (s *stand) elsewhere(name string) (clientv3.LeaseID, error) {
	r, lease, err := s.registered(name, s.proxies[0], time.Minute)
	if err != nil {
		return 0, err
	}
	second := s.registry(s.proxies[1])
	if _, err := second.GetService(name); err != nil {
		return 0, err
	}
	// an instance that is started again under its name reads its own key, which this client of the test does for it
	c, err := clientv3.New(clientv3.Config{Endpoints: s.proxies[1:]})
	if err != nil {
		return 0, err
	}
	_, err = c.Get(s.ctx, keyOf(name, "a"), clientv3.WithSerializable())
	if err := errors.Join(err, ended(c.Close())); err != nil {
		return 0, err
	}
	return lease, r.Deregister(serviceOf(name, "a"))
}

// serializableGet asks the second proxy.
func serializableGet(s *stand) (bool, string, error) {
	const name = "serializable-get"
	if _, err := s.elsewhere(name); err != nil {
		return false, "", err
	}
	got, err := s.registry(s.proxies[1]).GetService(name)
	return err == nil && len(idsOf(got...)) > 0,
		fmt.Sprintf("a has deregistered through another proxy; GetService says %s", named(got, err)), nil
}

// leaseLeft deregisters, and asks about the lease.
func leaseLeft(s *stand) (bool, string, error) {
	r, lease, err := s.registered("lease-left", s.member, time.Minute)
	if err == nil {
		err = r.Deregister(serviceOf("lease-left", "a"))
	}
	if err != nil {
		return false, "", err
	}
	left, err := s.at.TimeToLive(s.ctx, lease)
	if err != nil {
		return false, "", err
	}
	if left.TTL < 0 {
		return false, "after Deregister the lease is gone", nil
	}
	return true, fmt.Sprintf("after Deregister the lease is there, of %d s", left.GrantedTTL), nil
}

// leaseRenewed deregisters, and looks whether the lease runs out.
func leaseRenewed(s *stand) (renewed bool, saw string, err error) {
	r, lease, err := s.registered("lease-renewed", s.member, 4*time.Second)
	if err == nil {
		err = r.Deregister(serviceOf("lease-renewed", "a"))
	}
	if err != nil {
		return false, "", err
	}
	last := int64(4)
	err = s.until("the end of a lease or its renewal", func() (bool, error) {
		left, err := s.at.TimeToLive(s.ctx, lease)
		if err != nil || left.TTL < 0 {
			return true, err
		}
		renewed = left.TTL > last
		last = left.TTL
		return renewed, nil
	})
	if renewed {
		return true, "after Deregister, what is left of the lease's 4 s grew", err
	}
	return false, "after Deregister, the lease's 4 s ran out", err
}

// again starts the instance again through the second proxy.
func (s *stand) again(name, lease string) (bool, string, error) {
	if err := s.registry(s.proxies[1]).Register(serviceOf(name, "a"), registerTTL(time.Minute)); err != nil {
		return false, "", err
	}
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	got, err := s.at.Get(ctx, keyOf(name, "a"))
	if err != nil {
		return false, "", err
	}
	return got.Count == 0, fmt.Sprintf("a, which has deregistered through another proxy%s, is started again; Register "+
		"returns nil; keys in etcd: %d", lease, got.Count), nil
}

// registerStale has an instance start again when its old lease is still there.
func registerStale(s *stand) (bool, string, error) {
	if _, err := s.elsewhere("register-stale"); err != nil {
		return false, "", err
	}
	return s.again("register-stale", "")
}

// registerLeaseGone has an instance start again when its old lease is gone.
func registerLeaseGone(s *stand) (bool, string, error) {
	lease, err := s.elsewhere("register-lease-gone")
	if err == nil {
		_, err = s.at.Revoke(s.ctx, lease)
	}
	if err != nil {
		return false, "", err
	}
	return s.again("register-lease-gone", " and whose lease was revoked")
}
