package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Sweep ends what is left of a run whose owner is gone: the processes that have the run's mark in their environment,
// which no other process has. It returns when they have ended, or after a second.
func Sweep(run string) {
	// The kernel tells nobody but a parent that a process has ended: it is looked for again.
	for end := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		left := marked(run)
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(left) == 0 || time.Now().After(end) {
			return
		}
	}
}

// marked are the processes that belong to a run, or to a folder in it. One that has ended and is not waited for yet has
// no environment.
func marked(run string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range all {
		env, err := os.ReadFile(file)
		if err != nil {
			continue // another user's, or gone
		}
		for v := range bytes.SplitSeq(env, []byte{0}) {
			if v = append(v, '/'); bytes.HasPrefix(v, []byte(mark+run+"/")) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file))) // the pattern has digits only
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}
