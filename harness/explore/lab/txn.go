package lab

import (
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/explore/plan"
)

// done is how many keys a transaction put and deleted.
func done(resp *pb.TxnResponse) (puts, deleted int64) {
	for _, x := range resp.GetResponses() {
		if x.GetResponsePut() != nil {
			puts++
		}
		deleted += x.GetResponseDeleteRange().GetDeleted()
		p, d := done(x.GetResponseTxn())
		puts, deleted = puts+p, deleted+d
	}
	return puts, deleted
}

// reads says whether a transaction does nothing else, and whether serializably.
func reads(b *plan.Branches) (only, local bool) {
	only, local = true, true
	for _, o := range slices.Concat(b.Then, b.Else) {
		if o.Verb != plan.Read {
			return false, false
		}
		local = local && !o.Linearizable
	}
	return only, local
}

func linearizable(b *plan.Branches) *plan.Branches {
	c := &plan.Branches{If: b.If, Then: slices.Clone(b.Then), Else: slices.Clone(b.Else)}
	for _, ops := range [][]plan.Op{c.Then, c.Else} {
		for i := range ops {
			ops[i].Linearizable = true
			if ops[i].Txn != nil {
				ops[i].Txn = linearizable(ops[i].Txn)
			}
		}
	}
	return c
}

// written is the one range that a transaction may write to, every key where it may write to several.
func written(b *plan.Branches) (key, end string) {
	var all []string
	var walk func(*plan.Branches)
	walk = func(b *plan.Branches) {
		for _, o := range slices.Concat(b.Then, b.Else) {
			if o.Txn != nil {
				walk(o.Txn)
			} else if o.Verb != plan.Read && !slices.Contains(all, o.Keys) {
				all = append(all, o.Keys)
			}
		}
	}
	walk(b)
	if len(all) == 1 {
		key, end, _ = plan.Bounds(all[0]) // it was parsed before it was asked
		return key, end
	}
	return "\x00", "\x00"
}
