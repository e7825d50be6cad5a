// Package room says whether the machine has room for a run, on the disk and for open files, and of an error that it had
// none.
package room

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
)

// What the incident's bench takes, measured: 243 open files of three members, three proxies and what stands before
// them, and 2.1 MB of a disk for each member.
const (
	filesOfBench  = 170 // more than each bench of many had
	filesOfOne    = 300 // more than one bench of the incident had
	bytesOfMember = 4 << 20
)

// disk and files are what the system says where there is no room.
var (
	disk  = []error{syscall.ENOSPC, syscall.EDQUOT}
	files = []error{syscall.EMFILE, syscall.ENFILE}
)

// Short is err where the machine had no room, in one sentence that says what to do; ok is false where it is of anything
// else. etcd gives some of its errors on as text.
func Short(err error) (said error, ok bool) {
	if err == nil {
		return nil, false
	}
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		switch {
		case slices.ContainsFunc(disk, says(line)):
			return fmt.Errorf("what a run writes could not be kept: %s: make room there, or name another folder: "+
				"--out for what is kept, TMPDIR for the members' data", line), true
		case slices.ContainsFunc(files, says(line)):
			return fmt.Errorf("what a run needs could not be opened: %s: %s", line, raise()), true
		}
	}
	return nil, false
}

func says(line string) func(error) bool {
	return func(err error) bool { return strings.Contains(line, err.Error()) }
}

// Write writes a whole file or, where that fails, none: what is there already then stays. What is no regular file
// (/dev/stdout) is written as it is.
func Write(name string, write func(io.Writer) error) error {
	part := name + ".part"
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		part = name
	}
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Close()); part == name {
		return err
	}
	if err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}
