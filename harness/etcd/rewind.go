package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"

	"ghostroute/harness/history"
)

// Backup copies the data of a member that is the whole cluster into a folder that does not exist yet, as an operator
// does who stops etcd for it. The member is stopped and started again.
func (m *Member) Backup(ctx context.Context, to string) error {
	return m.stopped(ctx, func() error { return os.CopyFS(to, os.DirFS(m.dir)) })
}

// Rewind gives such a member the data of a backup instead of its own: its revisions go back. A follower of the cluster
// must not run meanwhile: it would wait for the next revision that it does not know.
func (m *Member) Rewind(ctx context.Context, from string) error {
	err := m.stopped(ctx, func() error {
		return errors.Join(os.RemoveAll(m.dir), os.CopyFS(m.dir, os.DirFS(from)))
	})
	if err == nil {
		m.recordMet(history.Rewind, history.Fire, m.Applied(), "its data is that of a backup")
	}
	return err
}

// stopped does something while the member is stopped.
func (m *Member) stopped(ctx context.Context, do func() error) error {
	if n := len(m.cluster.Members); n != 1 {
		return fmt.Errorf("%s is one of %d members: the others would bring it up to date", m.Name, n)
	}
	if err := m.Stop(ctx); err != nil {
		return err
	}
	return errors.Join(do(), m.Restart(ctx))
}
