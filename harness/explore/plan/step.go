package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	etcdkeys "ghostroute/harness/keys"
)

// Point is where on its way between proxy and member an RPC is held.
type Point string

const (
	NotHeld   Point = ""
	AtRequest Point = "request" // on its way to the member: etcd has not seen it
	AtAnswer  Point = "answer"  // on its way back: etcd has done it, the proxy does not know
)

// VIP in Via means the client's own VIP at the balancer.
const VIP = "vip"

// Step is one thing to do. Which fields count depends on the verb; the others are zero.
type Step struct {
	Verb   Verb
	Client string // "g1"
	Via    string // the endpoint it uses: "p1", "m2" or "vip"
	Keys   string // the keys it is about, see Bounds; for Resolve and Call a service, "s1"

	Shape // of a Read

	Lease  string // "l1"
	Target string // what it acts on: instance "s1/a", member, proxy, link "p1-m2", client
	Other  string // Replace: the new instance; Narrow: the member; Delay: milliseconds
	Back   int    // Compact: this many revisions before now
	N      []int  // Weights: one for each proxy

	Hold Point  // hold the step's RPC there …
	Name string // … under this name, "h1"; Release and Fail: the name; Watch, Unwatch and Follow: the watch's, "w1"

	Leader bool // Watch: it is to end when its member has no leader
	Idle   bool // Watch: its client is busy, and reads nothing of it before the plan is over

	Txn *Branches
}

// Shape is what a read asks for beside its keys. All of it is part of the cache's key.
type Shape struct {
	Linearizable bool // the cache files both modes under the same key
	Count        bool
	KeysOnly     bool
	Limit        int
	Sort         string // "mod:down" and the like; "" for none
	Past         bool   // at a revision, Ago before now; of a Watch: from that revision on
	Ago          int
}

// Branches is a transaction: if every compare holds, Then, else Else.
type Branches struct {
	If   []Compare
	Then []Op
	Else []Op
}

// Compare holds if no key of Keys exists (Absent), or if all that exist were put at least once and one exists.
// Present is the compare "version > 0", Absent "version = 0"; a range compare holds for each key there is.
type Compare struct {
	Keys   string
	Absent bool
}

// Op is one operation of a transaction: Read, Put, Delete or a Txn inside it.
type Op struct {
	Verb  Verb
	Keys  string
	Lease string
	Shape
	Txn *Branches
}

// String is the step's line, without its number.
func (s Step) String() string {
	w := append([]string{string(s.Verb)}, s.words(0)...)
	if s.Verb == Txn && s.Txn != nil {
		w = append(w, s.Txn.String())
	}
	return strings.Join(w, " ")
}

// words are those behind the verb, without the first ones.
func (s Step) words(without int) (w []string) {
	for _, f := range verbs[s.Verb].words[without:] {
		w = append(w, f.get(&s))
	}
	return append(w, texts(s, verbs[s.Verb].options)...)
}

// texts are the options that a step has.
func texts(s Step, options []option) (w []string) {
	for _, o := range options {
		if text := o.get(&s); text != "" {
			w = append(w, text)
		}
	}
	return w
}

// String is the transaction's text: "if k1 absent then put k1; read k* else delete k2".
func (t Branches) String() string {
	var w []string
	if len(t.If) > 0 {
		var c []string
		for _, x := range t.If {
			state := "present"
			if x.Absent {
				state = "absent"
			}
			c = append(c, x.Keys+" "+state)
		}
		w = append(w, "if "+strings.Join(c, " ; "))
	}
	ops := func(word string, list []Op) {
		w = append(w, word)
		for i, o := range list {
			if i > 0 {
				w = append(w, ";")
			}
			w = append(w, o.String())
		}
	}
	ops("then", t.Then)
	if len(t.Else) > 0 {
		ops("else", t.Else)
	}
	return strings.Join(w, " ")
}

// ReadOnly says whether a transaction does nothing but read (etcdserver/txn/txn.go, IsTxnReadonly), and whether it does
// so serializably: then its member answers it without asking the others (IsTxnSerializable).
func (t *Branches) ReadOnly() (only, local bool) {
	only, local = true, true
	for _, o := range slices.Concat(t.Then, t.Else) {
		only = only && o.Verb == Read
		local = only && local && !o.Linearizable
	}
	return only, local
}

// Linearizable is the transaction with every range in it linearizable.
func (t *Branches) Linearizable() *Branches {
	c := &Branches{If: t.If, Then: slices.Clone(t.Then), Else: slices.Clone(t.Else)}
	for _, ops := range [][]Op{c.Then, c.Else} {
		for i := range ops {
			ops[i].Linearizable = true
			if ops[i].Txn != nil {
				ops[i].Txn = ops[i].Txn.Linearizable()
			}
		}
	}
	return c
}

// Writes is the one range that the transaction may write to, every key where it may write to several.
func (t *Branches) Writes() (key, end string) {
	var all []string
	var walk func(*Branches)
	walk = func(b *Branches) {
		for _, o := range slices.Concat(b.Then, b.Else) {
			if o.Txn != nil {
				walk(o.Txn)
			} else if o.Verb != Read && !slices.Contains(all, o.Keys) {
				all = append(all, o.Keys)
			}
		}
	}
	walk(t)
	if len(all) == 1 {
		key, end, _ = Bounds(all[0]) // it was checked when the plan was read
		return key, end
	}
	return "\x00", etcdkeys.FromKey
}

// reads are the transaction's ranges, those of transactions inside it too.
func (t *Branches) reads() (list []Op) {
	for _, o := range slices.Concat(t.Then, t.Else) {
		switch o.Verb {
		case Read:
			list = append(list, o)
		case Txn:
			list = append(list, o.Txn.reads()...)
		}
	}
	return list
}

// String is the operation's text: that of the step of the same verb, without client and endpoint. A transaction inside
// another stands in brackets.
func (o Op) String() string {
	if o.Verb == Txn {
		return "( " + o.Txn.String() + " )"
	}
	s := Step{Verb: o.Verb, Keys: o.Keys, Lease: o.Lease, Shape: o.Shape}
	return strings.Join(append([]string{string(o.Verb)}, s.words(2)...), " ")
}

// String is the shape's words, "" for a plain serializable read.
func (s Shape) String() string { return strings.Join(texts(Step{Shape: s}, shapes), " ") }

func ago(n int) string {
	if n == 0 {
		return "now"
	}
	return "now-" + strconv.Itoa(n)
}

// Bounds are the key and range end of the RangeRequest that names these keys:
//
//	k1      one key, end ""
//	k1..k3  from k1 up to and without k3
//	k1..    from k1 on, end "\x00"
//	..      every key, from "\x00" on
//	k*      every key that begins with k
//	s1/a    the key of instance s1/a in go-micro's registry; s1/* a whole service, /* all services
func Bounds(keys string) (key, end string, err error) {
	if keys == "" {
		return "", "", fmt.Errorf("no keys named")
	}
	if from, to, ok := strings.Cut(keys, ".."); ok {
		switch {
		case from == "" && to == "":
			return "\x00", etcdkeys.FromKey, nil
		case from == "":
			return "", "", fmt.Errorf("%q begins nowhere: say k1..k2 or k1.. or .. for all", keys)
		case to == "":
			return path(from), etcdkeys.FromKey, nil
		}
		return path(from), path(to), nil
	}
	if prefix, ok := strings.CutSuffix(keys, "*"); ok {
		if prefix == "" {
			return "\x00", etcdkeys.FromKey, nil // what clientv3 makes of the empty prefix
		}
		key = path(prefix)
		return key, etcdkeys.PrefixEnd(key), nil
	}
	return path(keys), "", nil
}

// Single says whether the keys are one key.
func Single(keys string) bool {
	_, end, err := Bounds(keys)
	return err == nil && end == ""
}

// path is the name of a key in etcd.
func path(name string) string {
	if strings.Contains(name, "/") {
		return etcdkeys.Registry + strings.TrimPrefix(name, "/")
	}
	return name
}

// BoundsText is how a plan names a key and range end, as far as it can; else the two with a bar between.
func BoundsText(key, end string) string {
	name := func(k string) string {
		if rest, ok := strings.CutPrefix(k, etcdkeys.Registry); ok {
			if !strings.Contains(rest, "/") {
				return "/" + rest
			}
			return rest
		}
		return k
	}
	switch {
	case end == "":
		return name(key)
	case end == etcdkeys.FromKey && key == "\x00":
		return ".."
	case end == etcdkeys.FromKey:
		return name(key) + ".."
	case end == etcdkeys.PrefixEnd(key):
		return name(key) + "*"
	}
	return name(key) + ".." + name(end)
}
