package process

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// tick is the unit in which Linux tells programs of CPU time, whatever its own is (USER_HZ, proc_pid_stat(5)).
const tick = 10 * time.Millisecond

// CPU is how long the process has been on a CPU so far, by itself and in the system.
func (p *Process) CPU() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		return 0, fmt.Errorf("%s does not tell its CPU time: %w", p.cfg.Name, err)
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // its name, in brackets, may have spaces
	var user, system int64
	if _, err := fmt.Sscan(string(bytes.Join(fields[11:13], []byte(" "))), &user, &system); err != nil {
		return 0, fmt.Errorf("%s tells no CPU time: %q", p.cfg.Name, b)
	}
	return time.Duration(user+system) * tick, nil
}
