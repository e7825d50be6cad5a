package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Scratch makes a folder for members' data, and removes those of processes that ended without removing theirs: killed,
// out of memory, or timed out by go test, which panics and runs no cleanup.
func Scratch() (dir string, remove func() error, err error) {
	sweep(os.TempDir())
	dir, err = os.MkdirTemp("", fmt.Sprintf("ghostroute-%d-", os.Getpid()))
	if err != nil {
		return "", nil, fmt.Errorf("there is no folder for the members' data: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

func sweep(tmp string) {
	left, _ := filepath.Glob(filepath.Join(tmp, "ghostroute-*-*"))
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.Split(filepath.Base(dir), "-")[1])
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			os.RemoveAll(dir)
		}
	}
}
