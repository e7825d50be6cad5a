// Command survivors says which of go-micro's defects there are in the version that it is built with. Each is shown on
// go-micro's own code, at a real etcd and behind two real grpc-proxies, or it is not there.
//
//	$ survivors -member 127.0.0.1:2379 -proxies 127.0.0.1:23790,127.0.0.1:23791
//	{"defect":"first-event","has":true,"saw":"a transaction put a and b, then c was put; Next told a, c"}
//
// Here it is go-micro v2's. The folders v3, v4 and v5 are modules that have another micro.go, and nothing else:
// program.Survivors builds each with the other files of this one. Those versions require etcd clients that exclude
// each other.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// patience is how long a condition is waited for that comes in a second where the machine is free.
const patience = 20 * time.Second

func main() {
	member := flag.String("member", "", "where an etcd member is, host:port")
	proxies := flag.String("proxies", "", "where two grpc-proxies before it are, with a comma between")
	version := flag.Bool("version", false, "say what it is made of, and end")
	flag.Parse()
	if *version {
		fmt.Println(versions())
		return
	}
	// what go-micro prints is not to be taken for an outcome
	out := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr
	if err := run(*member, strings.Split(*proxies, ","), out.Encode); err != nil {
		fmt.Fprintln(os.Stderr, "survivors:", err)
		os.Exit(2)
	}
}

// outcome is what became of a defect.
type outcome struct {
	Defect string `json:"defect"`
	Has    bool   `json:"has"`
	Absent bool   `json:"absent,omitempty"` // the version does not have the part that it is a defect of
	Saw    string `json:"saw"`
}

// stand is what the defects are shown on.
type stand struct {
	ctx     context.Context
	member  string
	proxies []string
	at      *clientv3.Client // at the member
}

func run(member string, proxies []string, tell func(any) error) error {
	if member == "" || len(proxies) != 2 || proxies[0] == "" || proxies[1] == "" {
		return fmt.Errorf("it is called with a member and two proxies, not with %q", os.Args[1:])
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	at, err := clientv3.New(clientv3.Config{Endpoints: []string{member}, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	s := &stand{ctx: ctx, member: member, proxies: proxies, at: at}
	for _, d := range defects { // one after another: a compaction is everybody's
		o, err := d.shown(s)
		if err != nil {
			return fmt.Errorf("%s was not shown: %w", d.name, err)
		}
		if err := tell(o); err != nil {
			return err
		}
	}
	return ended(at.Close())
}

// ended is the error of a client's Close, which returns its own context's end.
func ended(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (d defect) shown(s *stand) (outcome, error) {
	o := outcome{Defect: d.name}
	var err error
	o.Has, o.Saw, err = d.show(s)
	if errors.Is(err, errAbsent) {
		o.Absent, err = true, nil
	}
	return o, err
}

// registry is go-micro's, of a new process as it were. It has no end: that of the process is its.
func (s *stand) registry(addr string) microRegistry { return newRegistry(addrs(addr)) }

// until waits for a condition.
func (s *stand) until(what string, is func() (bool, error)) error {
	for deadline := time.Now().Add(patience); ; {
		done, err := is()
		if done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w within %s: %s", errLate, patience, what)
		}
		time.Sleep(10 * time.Millisecond) // between two looks: go-micro announces none of what is waited for
	}
}

var errLate = errors.New("it did not come")

// versions is what this program is made of, as the compiler wrote it down.
func versions() string {
	info, _ := debug.ReadBuildInfo()
	var is []string
	for _, path := range append(modules[:len(modules):len(modules)], "go.etcd.io/etcd/client/v3") {
		for _, d := range info.Deps {
			if d.Path == path {
				is = append(is, path+" "+d.Version)
			}
		}
	}
	return strings.Join(is, ", ")
}
