package registry

import (
	"context"
	"errors"
	"testing"
	"time"

	micro "github.com/micro/go-micro/v2/registry"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
)

// other is a registry that is none of go-micro's etcd, as another version's might be.
type other struct {
	micro.Registry
	client string
}

func TestAnotherGoMicroIsRefusedByName(t *testing.T) {
	t.Parallel()
	_, err := exchangeClient(&other{client: "x"}, nil)
	require.EqualError(t, err, "go-micro's *registry.other has no field client of type *clientv3.Client: "+
		"the harness was written for go-micro v2.9.1")
	_, err = exchangeClient(other{}, nil)
	require.ErrorContains(t, err, "no pointer to a struct")
}

// careless is go-micro's watcher meeting a delete whose value before it was compacted away.
type careless struct{ micro.Watcher }

func (careless) Next() (*micro.Result, error) {
	var before *struct{ Value []byte }
	_ = before.Value
	return nil, errors.New("not reached")
}

func TestAWatchersPanicIsAnErrorAndAFault(t *testing.T) {
	t.Parallel()
	h := history.New()
	w := &watcher{Watcher: careless{}, cfg: &Config{Client: "g1", History: h}}
	_, err := w.Next()
	require.ErrorContains(t, err, "go-micro's watcher panicked: runtime error: invalid memory address")
	require.Equal(t, history.Panic, h.Events()[0].Fault.Kind)
	require.Equal(t, "g1", h.Events()[0].Who)
}

// hung is etcd's watcher when it hangs: it establishes nothing, and ends with its caller's context only.
type hung struct{ clientv3.Watcher }

func (hung) Watch(ctx context.Context, _ string, _ ...clientv3.OpOption) clientv3.WatchChan {
	<-ctx.Done()
	c := make(chan clientv3.WatchResponse)
	close(c)
	return c
}

func TestAWatchThatIsNeverEstablishedEndsWithTheClient(t *testing.T) {
	t.Parallel()
	life, end := context.WithCancel(t.Context())
	w := &watches{Watcher: hung{}, life: life}
	returned := make(chan clientv3.WatchChan)
	go func() { returned <- w.Watch(context.Background(), "k") }()
	end()
	select {
	case c := <-returned:
		_, open := <-c
		require.False(t, open)
	case <-time.After(5 * time.Second):
		t.Fatal("the watch outlived its client")
	}
}
