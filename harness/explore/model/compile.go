package model

import (
	"fmt"
	"strconv"
	"strings"

	"go.etcd.io/etcd/pkg/v3/adt"

	"ghostroute/harness/explore/plan"
)

// compile resolves a step's names. Steps that stand for several calls (Register …) are not for it: see Model.Apply.
func (u *universe) compile(s *plan.Step, door func(client string) string, value int) (op, error) {
	o := op{proxy: -1, hold: s.Hold, value: uint16(value)}
	if s.Who != "" {
		o.who = uint8(number(s.Who) - 1)
	}
	via := s.Via
	if via == plan.VIP {
		o.vip = true
		via = door(s.Who)
		o.nowhere = via == ""
	}
	o.enter(via)
	if s.Name != "" {
		n := number(s.Name)
		if n < 1 || n > maxHolds {
			return o, fmt.Errorf("the model has room for %d holds, h1 to h%d", maxHolds, maxHolds)
		}
		o.slot = uint8(n - 1)
	}
	var err error
	switch s.Verb {
	case plan.Read, plan.Put, plan.Delete:
		err = u.compileCall(&o, plan.Op{Verb: s.Verb, Keys: s.Keys, Lease: s.Lease, Shape: s.Shape})
	case plan.Txn:
		o.kind = opTxn
		if o.txn, err = u.compileTxn(s.Txn, o.value); err == nil {
			_, _, twice := checkIntervals(u, s.Txn.Then)
			_, _, twiceElse := checkIntervals(u, s.Txn.Else)
			o.invalid = twice || twiceElse
		}
	case plan.Grant, plan.Revoke, plan.Keepalive, plan.Expire:
		o.kind = map[plan.Verb]kind{plan.Grant: opGrant, plan.Revoke: opRevoke, plan.Keepalive: opKeepalive, plan.Expire: opExpire}[s.Verb]
		o.lease = uint8(number(s.Lease))
		if o.lease > namedLeases {
			err = fmt.Errorf("the model has room for %d leases with a name", namedLeases)
		}
	case plan.Compact:
		o.kind, o.back = opCompact, uint8(min(s.Back, 255))
	case plan.Release:
		o.kind = opRelease
	case plan.Fail:
		o.kind = opFail
	case plan.Flood:
		o.kind = opFlood
	case plan.Cut, plan.Mend:
		o.compileLink(s)
	case plan.Permit, plan.Forbid:
		o.kind = map[plan.Verb]kind{plan.Permit: opPermit, plan.Forbid: opForbid}[s.Verb]
		o.who = uint8(number(s.Target) - 1)
	case plan.Reboot:
		o.kind = opNothing
		if s.Target[0] == 'p' {
			o.kind = opReboot
			o.enter(s.Target)
		}
	case plan.Pin:
		o.kind, o.proxy, o.member = opPin, int8(number(s.Target)-1), uint8(number(s.Other)-1)
	default:
		o.kind = opNothing
	}
	return o, err
}

func (o *op) enter(door string) {
	if strings.HasPrefix(door, "p") {
		o.proxy = int8(number(door) - 1)
	} else if strings.HasPrefix(door, "m") {
		o.member = uint8(number(door) - 1)
	}
}

func (o *op) compileLink(s *plan.Step) {
	from, to, isLink := strings.Cut(s.Target, "-")
	cut := s.Verb == plan.Cut
	pick := func(a, b kind) kind {
		if cut {
			return a
		}
		return b
	}
	switch {
	case !isLink:
		o.kind, o.member = pick(opCut, opMend), uint8(number(from)-1)
	case from[0] == 'p' && to[0] == 'm':
		o.kind, o.proxy, o.member = pick(opCutLink, opMendLink), int8(number(from)-1), uint8(number(to)-1)
	case from[0] == 'g':
		o.kind, o.who = pick(opCutClient, opMendClient), uint8(number(from)-1)
	default:
		o.kind = opNothing
	}
}

// number is the number in a name; names were checked when the plan was read.
func number(name string) int {
	n, _ := strconv.Atoi(strings.TrimLeft(name, "gpmlhs"))
	return n
}

// compileCall is for a read, a put or a delete, also inside a transaction.
func (u *universe) compileCall(o *op, c plan.Op) error {
	key, end, err := plan.Bounds(c.Keys)
	if err != nil {
		return err
	}
	if o.rng, err = u.keyRange(key, end); err != nil {
		return err
	}
	switch c.Verb {
	case plan.Put:
		o.kind = opPut
		if c.Lease != "" {
			o.lease = uint8(number(c.Lease))
		}
	case plan.Delete:
		o.kind = opDelete
	case plan.Read:
		o.kind, o.linear, o.past, o.shape, o.back = opRead, c.Linearizable, c.Past, c.Shape, uint8(min(c.Ago, 255))
		if !o.past {
			o.req, err = u.request(request{rng: o.rng, shape: c.Shape})
		}
	}
	return err
}

func (u *universe) compileTxn(b *plan.Branches, value uint16) (*txn, error) {
	t := &txn{readonly: true, local: true}
	for _, c := range b.If {
		key, end, err := plan.Bounds(c.Keys)
		if err != nil {
			return nil, err
		}
		rng, err := u.keyRange(key, end)
		if err != nil {
			return nil, err
		}
		t.ifs = append(t.ifs, compare{rng, c.Absent})
	}
	branch := func(ops []plan.Op) ([]op, error) {
		var list []op
		for _, x := range ops {
			o := op{proxy: -1, value: value}
			var err error
			if x.Verb == plan.Txn {
				o.kind = opTxn
				o.txn, err = u.compileTxn(x.Txn, value)
			} else {
				err = u.compileCall(&o, x)
			}
			if err != nil {
				return nil, err
			}
			t.readonly = t.readonly && o.kind == opRead
			t.local = t.local && o.kind == opRead && !o.linear
			list = append(list, o)
		}
		return list, nil
	}
	var err error
	if t.then, err = branch(b.Then); err != nil {
		return nil, err
	}
	t.els, err = branch(b.Else)
	return t, err
}

// checkIntervals is the API server's test whether a transaction writes a key twice (etcdserver/api/v3rpc/key.go, checkIntervals).
// Its quirk is the cache's: a delete from a key on is taken for an interval that ends before it begins, and so collides with nothing.
func checkIntervals(u *universe, ops []plan.Op) (puts map[string]bool, dels adt.IntervalTree, twice bool) {
	dels, puts = adt.NewIntervalTree(), map[string]bool{}
	for _, o := range ops {
		if o.Verb == plan.Delete {
			key, end, _ := plan.Bounds(o.Keys)
			b, e := interval(&keyRange{key: key, end: end})
			dels.Insert(adt.NewStringAffineInterval(b, e), nil)
		}
	}
	for _, o := range ops {
		if o.Verb != plan.Txn {
			continue
		}
		thenPuts, thenDels, bad := checkIntervals(u, o.Txn.Then)
		if bad {
			return puts, dels, true
		}
		elsePuts, elseDels, bad := checkIntervals(u, o.Txn.Else)
		if bad {
			return puts, dels, true
		}
		for k := range thenPuts {
			if puts[k] || dels.Intersects(adt.NewStringAffinePoint(k)) {
				return puts, dels, true
			}
			puts[k] = true
		}
		for k := range elsePuts {
			if puts[k] && !thenPuts[k] || dels.Intersects(adt.NewStringAffinePoint(k)) {
				return puts, dels, true
			}
			puts[k] = true
		}
		dels.Union(thenDels, adt.NewStringAffineInterval("\x00", ""))
		dels.Union(elseDels, adt.NewStringAffineInterval("\x00", ""))
	}
	for _, o := range ops {
		if o.Verb != plan.Put {
			continue
		}
		k, _, _ := plan.Bounds(o.Keys)
		if puts[k] || dels.Intersects(adt.NewStringAffinePoint(k)) {
			return puts, dels, true
		}
		puts[k] = true
	}
	return puts, dels, false
}
