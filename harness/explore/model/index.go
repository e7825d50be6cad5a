package model

// index is the cache's reverse index: etcd's red-black interval tree (pkg/adt/interval_tree.go), node for node, with ranges for
// intervals. A plain overlap test would not do: an interval that ends before it begins, which is what a read or a delete
// "from a key on" becomes, is found or not depending on the tree's shape.
//
// Node 0 is the sentinel. The values, which requests an interval holds, are kept beside the tree by range: see proxy.filed.
type index struct {
	node [maxRanges + 1]node
	root uint8
	used uint64 // which nodes are taken; bit 0 is the sentinel's
}

type node struct {
	rng                 uint8 // the interval
	max                 uint8 // the range whose end is the highest below and at this node
	left, right, parent uint8
	red                 bool
}

func (t *index) find(u *universe, rng uint8) uint8 {
	x := t.root
	for x != 0 && t.node[x].rng != rng {
		c := &u.cmp[rng][t.node[x].rng]
		if c.begin < 0 || c.begin == 0 && c.end < 0 {
			x = t.node[x].left
		} else {
			x = t.node[x].right
		}
	}
	return x
}

// overlap is Interval.Compare: 0 if a overlaps b, else on which side of b it lies.
func overlap(c *relation) int {
	switch {
	case c.begin < 0 && c.endBegin <= 0:
		return -1
	case c.beginEnd >= 0:
		return 1
	}
	return 0
}

// stab returns the set of ranges that intersect rng, as intervalTree.Stab finds them.
func (t *index) stab(u *universe, rng uint8) uint64 { return t.visit(u, t.root, rng) }

func (t *index) visit(u *universe, x, rng uint8) uint64 {
	if x == 0 {
		return 0
	}
	n := &t.node[x]
	switch v := overlap(&u.cmp[rng][n.rng]); {
	case v < 0:
		return t.visit(u, n.left, rng)
	case v > 0:
		// The interval from this node's begin to the highest end below it, against rng.
		span := relation{
			begin:    u.cmp[n.rng][rng].begin,
			beginEnd: u.cmp[n.rng][rng].beginEnd,
			endBegin: u.cmp[n.max][rng].endBegin,
		}
		if overlap(&span) != 0 {
			return 0
		}
		return t.visit(u, n.left, rng) | t.visit(u, n.right, rng)
	}
	return t.visit(u, n.left, rng) | 1<<n.rng | t.visit(u, n.right, rng)
}

func (t *index) insert(u *universe, rng uint8) {
	z := uint8(1)
	for t.used&(1<<z) != 0 {
		z++
	}
	t.used |= 1 << z
	t.node[z] = node{rng: rng, max: rng, red: true}
	less := func(x uint8) bool {
		c := &u.cmp[rng][t.node[x].rng]
		return c.begin < 0 || c.begin == 0 && c.end < 0
	}
	y, x := uint8(0), t.root
	for x != 0 {
		y = x
		if less(x) {
			x = t.node[x].left
		} else {
			x = t.node[x].right
		}
	}
	t.node[z].parent = y
	if y == 0 {
		t.root = z
	} else {
		if less(y) {
			t.node[y].left = z
		} else {
			t.node[y].right = z
		}
		t.updateMax(u, y)
	}
	t.insertFixup(u, z)
}

func (t *index) updateMax(u *universe, x uint8) {
	for x != 0 {
		n := &t.node[x]
		high := n.rng
		if l := n.left; l != 0 && u.cmp[t.node[l].max][high].end > 0 {
			high = t.node[l].max
		}
		if r := n.right; r != 0 && u.cmp[t.node[r].max][high].end > 0 {
			high = t.node[r].max
		}
		if u.cmp[n.max][high].end == 0 {
			return
		}
		n.max = high
		x = n.parent
	}
}

func (t *index) isRed(x uint8) bool { return x != 0 && t.node[x].red }

func (t *index) insertFixup(u *universe, z uint8) {
	n := &t.node
	for t.isRed(n[z].parent) {
		p := n[z].parent
		g := n[p].parent
		if p == n[g].left {
			if y := n[g].right; t.isRed(y) {
				n[y].red, n[p].red, n[g].red = false, false, true
				z = g
				continue
			}
			if z == n[p].right {
				z = p
				t.rotateLeft(u, z)
			}
			p = n[z].parent
			n[p].red = false
			n[n[p].parent].red = true
			t.rotateRight(u, n[p].parent)
		} else {
			if y := n[g].left; t.isRed(y) {
				n[y].red, n[p].red, n[g].red = false, false, true
				z = g
				continue
			}
			if z == n[p].left {
				z = p
				t.rotateRight(u, z)
			}
			p = n[z].parent
			n[p].red = false
			n[n[p].parent].red = true
			t.rotateLeft(u, n[p].parent)
		}
	}
	n[t.root].red = false
}

func (t *index) rotateLeft(u *universe, x uint8) {
	n := &t.node
	y := n[x].right
	if y == 0 {
		return
	}
	n[x].right = n[y].left
	if l := n[y].left; l != 0 {
		n[l].parent = x
	}
	t.updateMax(u, x)
	t.replaceParent(u, x, y)
	n[y].left = x
	t.updateMax(u, y)
}

func (t *index) rotateRight(u *universe, x uint8) {
	n := &t.node
	y := n[x].left
	if y == 0 {
		return
	}
	n[x].left = n[y].right
	if r := n[y].right; r != 0 {
		n[r].parent = x
	}
	t.updateMax(u, x)
	t.replaceParent(u, x, y)
	n[y].right = x
	t.updateMax(u, y)
}

func (t *index) replaceParent(u *universe, x, y uint8) {
	n := &t.node
	p := n[x].parent
	n[y].parent = p
	if p == 0 {
		t.root = y
	} else {
		if x == n[p].left {
			n[p].left = y
		} else {
			n[p].right = y
		}
		t.updateMax(u, p)
	}
	n[x].parent = y
}

// remove takes out the node of exactly this interval, if there is one.
func (t *index) remove(u *universe, rng uint8) bool {
	n := &t.node
	z := t.find(u, rng)
	if z == 0 {
		return false
	}
	y := z
	if n[z].left != 0 && n[z].right != 0 {
		for y = n[z].right; n[y].left != 0; y = n[y].left {
		}
	}
	x := n[y].left
	if x == 0 {
		x = n[y].right
	}
	n[x].parent = n[y].parent // of the sentinel too, deleteFixup needs it
	if p := n[y].parent; p == 0 {
		t.root = x
	} else {
		if y == n[p].left {
			n[p].left = x
		} else {
			n[p].right = x
		}
		t.updateMax(u, p)
	}
	if y != z {
		n[z].rng = n[y].rng
		t.updateMax(u, z)
	}
	if !n[y].red {
		t.deleteFixup(u, x)
	}
	t.used &^= 1 << y
	return true
}

func (t *index) deleteFixup(u *universe, x uint8) {
	n := &t.node
	for x != t.root && !t.isRed(x) {
		p := n[x].parent
		if x == n[p].left {
			w := n[p].right
			if t.isRed(w) {
				n[w].red, n[p].red = false, true
				t.rotateLeft(u, p)
				w = n[n[x].parent].right
			}
			if !t.isRed(n[w].left) && !t.isRed(n[w].right) {
				n[w].red = true
				x = n[x].parent
				continue
			}
			if !t.isRed(n[w].right) {
				n[n[w].left].red, n[w].red = false, true
				t.rotateRight(u, w)
				w = n[n[x].parent].right
			}
			p = n[x].parent
			n[w].red, n[p].red, n[n[w].right].red = n[p].red, false, false
			t.rotateLeft(u, p)
			x = t.root
		} else {
			w := n[p].left
			if t.isRed(w) {
				n[w].red, n[p].red = false, true
				t.rotateRight(u, p)
				w = n[n[x].parent].left
			}
			if !t.isRed(n[w].left) && !t.isRed(n[w].right) {
				n[w].red = true
				x = n[x].parent
				continue
			}
			if !t.isRed(n[w].left) {
				n[n[w].right].red, n[w].red = false, true
				t.rotateLeft(u, w)
				w = n[n[x].parent].left
			}
			p = n[x].parent
			n[w].red, n[p].red, n[n[w].left].red = n[p].red, false, false
			t.rotateRight(u, p)
			x = t.root
		}
	}
	n[x].red = false
}
