package fresh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// 16: a snapshot is restored and revisions go back behind a warm proxy, whether or not the watch breaks off.
func TestARestoredSnapshot(t *testing.T) {
	t.Parallel()
	for what, restore := range map[string]func(*member){
		"revision": func(m *member) { m.header.Revision = 5 },
		"term":     func(m *member) { m.header.RaftTerm = 2 },
		"cluster":  func(m *member) { m.header.ClusterId = 2 },
	} {
		t.Run(what, func(t *testing.T) {
			for _, bound := range []time.Duration{0, 20 * time.Millisecond} {
				m := newMember(t)
				m.put("a")
				o := quick
				o.MaxStaleness = bound
				f := m.fenced(o)
				require.Equal(t, "a=11 ", m.hit(f, "a", ""))
				m.set(func() {
					restore(m)
					m.keys["a"] = &mvccpb.KeyValue{Key: []byte("a"), Value: []byte("restored")}
				})
				if bound > 0 {
					m.eventually("beyond the bound", func() bool { return f.Stats().FenceAge > bound || !f.Stats().Live })
				}
				require.Equal(t, "a=restored ", m.look(f, "a", ""))
				m.eventually("begun anew", func() bool {
					s := f.Stats()
					return s.Purges["another history"]+s.Purges["another cluster"] == 1 && s.Live
				})
				require.Equal(t, "a=restored ", m.hit(f, "a", ""))
			}
		})
	}
}

// 16, seen by the watch first.
func TestTheWatchOfAnotherCluster(t *testing.T) {
	m, f := holding(t, quick)
	m.set(func() { m.header.ClusterId = 2 })
	m.put("a")
	m.eventually("begun anew", func() bool { s := f.Stats(); return s.Live && s.Purges["another cluster"] == 1 })
	require.Equal(t, "a=12 ", m.hit(f, "a", ""))
}
