package balancer

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// config is the process's configuration.
//
// One thread, so that what comes in an order is placed in that order. The log's line stands for a connection as soon
// as a server has taken it ("logasap"), or when none has. A server that refuses is tried no more, and another is
// ("redispatch 1"); nobody asks the servers whether they live, as nobody does for LVS itself.
func (x *haproxy) config() string {
	var s strings.Builder
	fmt.Fprintf(&s, `global
  nbthread 1
  maxconn 400
  stats socket unix@admin mode 600 level admin
  log unix@log format raw local0
defaults
  mode tcp
  log global
  log-format "%%ci:%%cp %%s %%bi:%%bp %%ts %%rc"
  option logasap
  option redispatch 1
  retries %d
  timeout connect %s
  timeout client 24d
  timeout server 24d
listen px
  bind %s
  balance roundrobin
`, max(0, len(x.backends)-1), dialTimeout, x.front.Addr())
	if x.cfg.Sticky {
		s.WriteString("  stick-table type ip size 10k\n  stick on src\n")
	}
	for i, weight := range scaled(weights(x.backends)) {
		fmt.Fprintf(&s, "  server %s %s id %d weight %d\n", x.backends[i].Name, x.backends[i].Addr, i+1, weight)
	}
	return s.String()
}

// scaled are weights in the same proportion, as high as HAProxy's may be: with low ones its round robin leaves a server
// that had weight 0 out for several rounds, or takes no other (README.md).
func scaled(weights []int) []int {
	all := slices.Clone(weights)
	if len(all) == 0 || slices.Max(all) == 0 {
		return all
	}
	for i, factor := 0, highestHAProxy/slices.Max(all); i < len(all); i++ {
		all[i] *= factor
	}
	return all
}

// weigh sets every weight to 0 first, whereupon HAProxy's round robin begins again. It leads clients that stick to a
// server of weight 0 there all the same; so it forgets them, as LVS does with expire_quiescent_template.
func (x *haproxy) weigh(weights []int) error {
	var lines []string
	for i, b := range x.backends {
		lines = append(lines, "set weight px/"+b.Name+" 0")
		if x.cfg.Sticky && weights[i] == 0 {
			lines = append(lines, fmt.Sprintf("clear table px data.server_id eq %d", i+1))
		}
	}
	for i, weight := range scaled(weights) {
		lines = append(lines, fmt.Sprintf("set weight px/%s %d", x.backends[i].Name, weight))
	}
	return x.tell(lines...)
}

// tell has HAProxy do something, which it says nothing to.
func (x *haproxy) tell(commands ...string) error {
	said, err := x.ask(strings.Join(commands, "; "))
	if err == nil && said != "" {
		err = fmt.Errorf("haproxy does not do %q: %s", commands, said)
	}
	return err
}

// ask asks at the admin socket.
func (x *haproxy) ask(command string) (string, error) {
	conn, err := net.DialTimeout("unix", x.file("admin"), patience)
	if err != nil {
		return "", fmt.Errorf("haproxy is not asked %q: %w", command, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience)) // fails only when it is closed
	if _, err = fmt.Fprintln(conn, command); err != nil {
		return "", fmt.Errorf("haproxy is not asked %q: %w", command, err)
	}
	said, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("haproxy does not answer %q: %w", command, err)
	}
	return strings.TrimSpace(string(said)), nil
}

// counters are how many attempts to connect to each backend have failed: those after which HAProxy tried it again,
// tried another, or gave up.
func (x *haproxy) counters() ([]int, error) {
	said, err := x.ask("show stat px 4 -1")
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(said, "# "))).ReadAll()
	if err != nil || len(rows) != len(x.backends)+1 {
		return nil, fmt.Errorf("haproxy's counters of %d servers are %d rows: %v", len(x.backends), len(rows), err)
	}
	failed := make([]int, len(x.backends))
	for _, column := range []string{"econ", "wretr", "wredis"} {
		at := slices.Index(rows[0], column)
		if at < 0 {
			return nil, fmt.Errorf("haproxy has no counter %s", column)
		}
		for i := range failed {
			n, err := strconv.Atoi(rows[i+1][at])
			if err != nil {
				return nil, fmt.Errorf("haproxy's counter %s of %s: %w", column, x.backends[i].Name, err)
			}
			failed[i] += n
		}
	}
	return failed, nil
}
