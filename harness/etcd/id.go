package etcd

// ID is the member's ID, which is in the header of its answers; 0 while the member is stopped.
func (m *Member) ID() uint64 {
	for _, n := range m.cluster.running() {
		if n.Member == m {
			return uint64(n.server.MemberID())
		}
	}
	return 0
}
