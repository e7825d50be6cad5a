package fresh

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Who comes while a round is under way is told what the next one came to, and all who do share it.
func TestARoundIsForThoseWhoCameBeforeItBegan(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan int64), make(chan struct{})
	n := int64(0)
	b := barrier{ask: func() (*pb.ResponseHeader, error) {
		n++
		asked <- n
		<-answer
		return &pb.ResponseHeader{Revision: n}, nil
	}}
	first := b.join()
	require.EqualValues(t, 1, <-asked)
	late, later := b.join(), b.join()
	require.NotSame(t, first, late)
	require.Same(t, late, later)
	answer <- struct{}{}
	<-first.done
	require.EqualValues(t, 1, first.header.Revision)
	require.EqualValues(t, 2, <-asked)
	answer <- struct{}{}
	<-late.done
	require.EqualValues(t, 2, late.header.Revision)
	b.end()
	_, err := b.wait(context.Background())
	require.Equal(t, errEnded, err)
}

// Who waits behind a round that fails is told so at once; who comes then has one of his own.
func TestARoundThatFails(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan error)
	b := barrier{ask: func() (*pb.ResponseHeader, error) {
		asked <- struct{}{}
		err := <-answer
		return &pb.ResponseHeader{}, err
	}}
	defer b.end()
	first := b.join()
	<-asked
	behind := b.join()
	lost := errors.New("lost")
	answer <- lost
	<-behind.done
	require.Equal(t, []error{lost, lost}, []error{first.err, behind.err})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := b.wait(context.Background())
		require.NoError(t, err)
	})
	<-asked
	answer <- nil
	wg.Wait()
}
