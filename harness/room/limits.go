//go:build unix

package room

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// limit is how many files this process may have open: Go has raised the soft limit to the hard one (os/rlimit.go). ok
// is false where the system does not say.
func limit() (n uint64, ok bool) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return uint64(l.Cur), true
}

func raise() string {
	n, _ := limit()
	return fmt.Sprintf("%d may be open at a time, ulimit -n 4096 lets there be more", n)
}

// Benches is how many of n benches may stand at a time within the limit of open files; an error where not one may.
func Benches(n int) (int, error) {
	max, ok := limit()
	switch {
	case !ok || max >= uint64(n)*filesOfBench+filesOfOne:
		return n, nil
	case max < filesOfOne:
		return 0, fmt.Errorf("no bench can stand, one opens %d files: %w", filesOfOne, unix.EMFILE)
	}
	return int((max-filesOfOne)/filesOfBench) + 1, nil
}

// Members says whether so many members' data have room in a folder, and they and what stands before them files to open.
func Members(dir string, n int) error {
	if _, err := Benches(1); err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return err
	}
	if fs.Blocks == 0 {
		return nil // /sys, say, has no size: whether anything can be kept there is not a question of room
	}
	if free, need := uint64(fs.Bavail)*uint64(fs.Bsize), uint64(n)*bytesOfMember; free < need {
		return fmt.Errorf("the members' data want %d MB in %s, which has %d: %w", need>>20, dir, free>>20, unix.ENOSPC)
	}
	return nil
}
