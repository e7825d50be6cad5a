package probe

import (
	"context"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/keys"
)

// evict has a proxy forget every answer whose range holds the key, by a transaction that compares the key's version
// with what it cannot be less than, and does nothing (kv.go, Txn). It makes no revision, touches no lease, needs the
// permission to read, passes no raft (a transaction without a linearizable read is serializable), and is not filed.
func (n *node) evict(ctx context.Context, key string) error {
	ctx, cancel := n.call(ctx)
	defer cancel()
	_, err := n.kv.Txn(ctx, &pb.TxnRequest{Compare: []*pb.Compare{{Key: []byte(key), Target: pb.Compare_VERSION,
		Result: pb.Compare_GREATER, TargetUnion: &pb.Compare_Version{Version: -1}}}})
	return err
}

// heal evicts what lies, a range at a time, and looks whether it is gone.
func (p *asking) heal(ctx context.Context, say func(string)) {
	sent := map[Key]error{}
	for _, e := range p.entries {
		if e.Verdict == Fresh {
			continue
		}
		key := string(e.Key)
		if p.cut {
			e.Help = "restart " + p.addr + ": it reaches no member, and without one a transaction takes nothing out"
			continue
		}
		err, done := sent[e.Key]
		if !done {
			say(fmt.Sprintf("%s: a transaction that compares the version of %s and does nothing: answers that hold this "+
				"key are forgotten", p.addr, e.Key))
			err = p.evict(ctx, key)
			sent[e.Key] = err
			p.row.Sent++
			p.there = slices.DeleteFunc(p.there, func(e *Entry) bool { return keys.In(key, e.ask.key(), e.ask.end()) })
		}
		switch {
		case err != nil:
			e.Help = "the transaction failed: " + plain(err)
		case p.healed(ctx, e):
			e.Healed = true
			p.row.Healed++
		case string(e.End) == keys.FromKey:
			e.Help = "restart " + p.addr + ": no write reaches an answer to a read from a key on (22397)"
		default:
			e.Help = "restart " + p.addr + ": the answer is still there"
		}
	}
}

// healed asks for an entry again: it must be fresh, or gone.
func (p *asking) healed(ctx context.Context, e *Entry) bool {
	resp, err := p.look(ctx, e.ask.req)
	if err != nil {
		return p.free && refused(err)
	}
	again := &Entry{}
	p.truth.judge(ctx, p.node, e.ask, resp, again)
	if p.alone {
		p.planted = append(p.planted, e.ask)
	}
	return again.Verdict == Fresh
}

// leave takes out what the reads have filed. A transaction takes out whatever holds its key, so a key is sought that
// no answer holds that was there before. Where there is none, those that hold it are filed again as they were, which
// they can be if they are fresh; if one lies, what was filed is left: taking it out would heal.
func (p *asking) leave(ctx context.Context) {
	left := map[string]ask{}
	for _, a := range p.planted {
		left[a.bytes] = a
	}
	for _, a := range p.planted {
		if _, still := left[a.bytes]; !still {
			continue
		}
		key, along, found := p.own(a)
		if !found {
			continue
		}
		if err := p.evict(ctx, key); err != nil {
			p.fail(err)
			return
		}
		p.row.Sent++
		for bytes, b := range left {
			if keys.In(key, b.key(), b.end()) && b.end() != keys.FromKey {
				delete(left, bytes)
			}
		}
		for _, b := range along {
			if _, err := p.look(ctx, b.req); err != nil {
				p.fail(err)
				return
			}
		}
	}
	if p.row.Left = len(left); len(left) > 0 {
		p.row.Note("%d of the %d answers that it filed are left: taking them out would take out one that lies", len(left),
			len(p.planted))
	}
}

// own is a key of a planted answer's range that no answer's range has that was there before; or one that fresh answers
// have, which are taken along.
func (p *asking) own(a ask) (key string, along []ask, found bool) {
	if a.end() == keys.FromKey {
		return "", nil, false
	}
	tries := []string{a.key(), a.key() + "\x00", a.key() + "\xff"}
	for _, i := range p.truth.between(a.key(), a.end()) {
		tries = append(tries, i.key)
	}
	for _, try := range tries {
		if !keys.In(try, a.key(), a.end()) {
			continue
		}
		taken, lies := p.holding(try)
		if len(taken) == 0 && !lies {
			return try, nil, true
		}
		if !lies && !found {
			key, along, found = try, taken, true
		}
	}
	return key, along, found
}

// holding are the answers that were there before and hold a key, and whether one of them lies.
func (p *asking) holding(key string) (all []ask, lies bool) {
	for _, e := range p.there {
		if keys.In(key, e.ask.key(), e.ask.end()) && e.ask.end() != keys.FromKey {
			all, lies = append(all, e.ask), lies || e.Verdict != Fresh
		}
	}
	return all, lies
}
