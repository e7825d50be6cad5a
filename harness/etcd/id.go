package etcd

// ID is the member's id, by which the header of an answer says who gave it; 0 while the member is stopped.
func (m *Member) ID() uint64 {
	for _, n := range m.cluster.running() {
		if n.Member == m {
			return uint64(n.server.MemberID())
		}
	}
	return 0
}
