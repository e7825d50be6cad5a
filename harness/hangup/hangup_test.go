package hangup

import (
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// slow is a watcher whose client takes longer to end than one that can may.
type slow struct {
	clientv3.Watcher
	closing func()
}

func (s slow) Close() error {
	s.closing()
	return s.Watcher.Close()
}

// A client that hangs has its connection closed; one that was only slow has closed that itself by then.
func TestAClientThatIsLateMayHaveEnded(t *testing.T) {
	for name, ended := range map[string]bool{"it hangs": false, "it has ended": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:1"}, Logger: zap.NewNop()})
			require.NoError(t, err)
			over := make(chan struct{})
			defer close(over)
			c.Watcher = slow{c.Watcher, func() {
				if ended {
					_ = c.ActiveConnection().Close()
				}
				<-over
			}}
			require.NoError(t, Close(c))
			require.Error(t, c.ActiveConnection().Close(), "it was closed before")
		})
	}
}
