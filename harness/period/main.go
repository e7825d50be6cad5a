// Command period is go-micro v2.9.1 over the etcd client that the incident had, coreos/etcd 3.3.18 on gRPC 1.26, as a
// process: it registers, resolves and watches on command. Commands are JSON, one a line, on standard input; answers are
// JSON, one a line, on standard output, each with the id of its command, in the order in which they are had. What it
// logs goes to standard error. It ends when its standard input does.
//
//	{"id":1,"do":"get","name":"hello"}
//	{"id":1,"services":[…],"calls":[{"op":"range","key":"/micro/registry/hello/",…}]}
//
// It is a module of its own because the versions exclude each other: today's etcd needs a gRPC with which the client of
// 2019 cannot be built. ghostroute/harness/compat runs it.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

func main() {
	addresses := flag.String("addresses", "", "where etcd, a proxy or a balancer is: host:port, with commas between")
	timeout := flag.Duration("timeout", 5*time.Second, "of each of go-micro's calls that has one")
	cacheTTL := flag.Duration("cache-ttl", time.Minute, "of go-micro's registry/cache")
	reads := flag.String("mode", string(serializable), "what is read linearizably: linearizable-get is GetService, "+
		"linearizable is all, serializable is nothing, as shipped")
	version := flag.Bool("version", false, "say what it is made of, and end")
	flag.Parse()
	if *version {
		fmt.Println(versions())
		return
	}
	// go-micro's logger, and anything else that prints, is not to be taken for an answer.
	out := &answers{w: json.NewEncoder(os.Stdout)}
	os.Stdout = os.Stderr
	if *addresses == "" || flag.NArg() > 0 {
		fail(fmt.Errorf("it is called with -addresses host:port and nothing else, not with %q", os.Args[1:]))
	}
	c, err := newClient(strings.Split(*addresses, ","), mode(*reads), *timeout, *cacheTTL)
	if err != nil {
		fail(err)
	}
	if err := newSession(c, out).serve(os.Stdin); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "period:", err)
	os.Exit(2)
}

// versions is what this program is made of, as the compiler wrote it down.
func versions() string {
	parts := []string{"github.com/micro/go-micro/v2", "github.com/coreos/etcd", "google.golang.org/grpc"}
	info, _ := debug.ReadBuildInfo()
	for i, path := range parts {
		for _, m := range info.Deps {
			if m.Path == path {
				parts[i] += " " + m.Version
			}
		}
	}
	return strings.Join(parts, ", ")
}

// answers writes lines, one at a time.
type answers struct {
	mu sync.Mutex
	w  *json.Encoder
}

// say writes a line. Where nobody reads any more the program is about to end: its standard input ends too.
func (a *answers) say(line any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.w.Encode(line)
}

// longest is how long a command may be.
const longest = 1 << 20

// serve carries commands out, each beside the others, until there are no more.
func (s *session) serve(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longest)
	for n := 1; lines.Scan(); n++ {
		c, err := parse(lines.Bytes())
		if err == nil {
			err = s.begin(c)
		}
		if err != nil {
			s.out.say(answer{ID: c.ID, Error: fmt.Sprintf("line %d is no command: %v", n, err)})
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("standard input could not be read to its end: %w", err)
	}
	return nil
}
