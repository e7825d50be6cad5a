package etcd

import (
	"fmt"
	"time"
)

// CPU is how long all members have been on a CPU since they were started. They must be processes, and run.
func (c *Cluster) CPU() (total time.Duration, err error) {
	for _, m := range c.Members {
		c.mu.Lock()
		x, ok := m.run.(*external)
		c.mu.Unlock()
		if !ok {
			return 0, fmt.Errorf("%s has no CPU time of its own: it is no process, or does not run", m.Name)
		}
		took, err := x.Process.CPU()
		if err != nil {
			return 0, err
		}
		total += took
	}
	return total, nil
}
