package registry

import (
	"errors"
	"testing"

	micro "github.com/micro/go-micro/v2/registry"
	"github.com/stretchr/testify/require"

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
	require.EqualError(t, err, "go-micro's *registry.other has no field client of type *clientv3.Client: the harness was written for go-micro v2.9.1")
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
	require.Equal(t, "panic", h.Events()[0].Fault.Name)
	require.Equal(t, "g1", h.Events()[0].Who)
}
