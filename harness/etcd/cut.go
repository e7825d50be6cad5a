package etcd

import (
	"fmt"

	"ghostroute/harness/history"
)

// Cut cuts the member off from all its peers, and them from it: no raft message passes either way until Mend. Its
// clients are still served, serializable reads from what it has applied so far. A leader that is cut off steps down by
// itself after an election timeout; the others have elected by then or a little later.
func (m *Member) Cut() error { return m.setCut(true, history.Fire) }

// Mend ends Cut. Two members hear each other again if neither is cut off.
func (m *Member) Mend() error { return m.setCut(false, history.End) }

// IsCut says whether the member is cut off.
func (m *Member) IsCut() bool {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	return m.cut
}

func (m *Member) setCut(cut bool, op history.FaultOp) error {
	c := m.cluster
	lag := c.behind(m.Applied())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case cut && m.cut:
		return fmt.Errorf("%s cannot be cut off: it is already", m.Name)
	case cut && m.run == nil:
		return fmt.Errorf("%s cannot be cut off: it is not running", m.Name)
	case !cut && !m.cut:
		return fmt.Errorf("%s cannot be mended: it is not cut off", m.Name)
	}
	m.cut = cut
	c.cutPairs()
	c.notify()
	if op == history.Fire {
		lag = 0
	}
	m.recordMet(history.CutPeer, op, lag, "")
	return nil
}

// cutPairs makes each pair of running members hear each other or not, as their cuts say. The caller holds mu.
func (c *Cluster) cutPairs() {
	for _, a := range c.Members {
		for _, b := range c.Members {
			if a == b || a.run == nil || b.run == nil {
				continue
			}
			a.run.hears(b, !a.cut && !b.cut)
		}
	}
}
