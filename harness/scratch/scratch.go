// Package scratch makes the folders that members keep their data in, and removes those of runs that were killed.
package scratch

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ghostroute/harness/process"
)

// running is the file in each folder that its process holds locked. The system takes the lock away when the process
// ends, however it ends, and from no other: a process ID may be another's by then, or another container's.
const running = ".running"

// run tells this process' folders from those of all others. It never changes.
var run = fmt.Sprintf("ghostroute-%d-%s-", os.Getpid(), strings.ToLower(rand.Text()[:8]))

// Folder makes a folder for members' data, and removes those of processes that ended without removing theirs: killed,
// out of memory, or timed out by go test, which panics and runs no cleanup. Members and proxies that such a one has
// left running, as processes of their own, are ended.
func Folder() (dir string, remove func() error, err error) {
	sweep(os.TempDir())
	if dir, err = os.MkdirTemp("", run); err != nil {
		return "", nil, fmt.Errorf("there is no folder for the members' data: %w", err)
	}
	lock, err := claim(dir)
	if err != nil {
		err = fmt.Errorf("there is no folder for the members' data: %w", err)
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(clear(dir), lock.Close()) }, nil
}

// claim locks the folder's file before it has the name by which others find it.
func claim(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, ".claim"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, running))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// clear removes a folder, the file that proves whose it is last of all.
func clear(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != running {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// sweep removes the folders that are a run's and that no process holds any more.
func sweep(tmp string) {
	left, _ := filepath.Glob(filepath.Join(tmp, "ghostroute-*"))
	for _, dir := range left {
		f, err := os.OpenFile(filepath.Join(dir, running), os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue // it is no run's, or not yet, or no longer, or another user's
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			process.Sweep(dir)
			_ = clear(dir)
		}
		_ = f.Close()
	}
}

// Abandon removes every folder of this process, for one that must end at once. What still writes there finds nothing.
func Abandon() {
	mine, _ := filepath.Glob(filepath.Join(os.TempDir(), run+"*"))
	for _, dir := range mine {
		_ = os.RemoveAll(dir)
	}
}
