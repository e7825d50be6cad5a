package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/micro/go-micro/v2/registry"
)

// command is a line of standard input.
type command struct {
	ID      int               `json:"id"` // the asker's; no two that are carried out at a time have the same
	Do      string            `json:"do"`
	Name    string            `json:"name"`    // a service's
	Service *registry.Service `json:"service"` // what is to be registered or deregistered
	TTL     int               `json:"ttl"`     // of its lease, seconds; 0 is no lease
	Of      int               `json:"of"`      // the id of another command
}

// answer is a line of standard output.
type answer struct {
	ID       int                 `json:"id"`
	Services []*registry.Service `json:"services,omitempty"`
	Error    string              `json:"error,omitempty"`
	NotFound bool                `json:"not_found,omitempty"` // the error is go-micro's ErrNotFound
	Calls    []call              `json:"calls,omitempty"`     // what it asked of etcd
}

// event is a line of standard output, too: what a watch met, the id of whose command it has.
type event struct {
	Watch   int               `json:"watch"`
	Action  string            `json:"action,omitempty"`
	Service *registry.Service `json:"service,omitempty"`
	Error   string            `json:"error,omitempty"` // the watch has ended
}

// verbs are the commands, and what each needs.
var verbs = []struct{ do, needs string }{
	{"register", "service"},
	{"deregister", "service"},
	{"get", "name"},   // GetService of the registry
	{"list", ""},      // ListServices of the registry
	{"route", "name"}, // go-micro's API router, with the cache and the watches that it has
	{"watch", ""},     // all, or with a name one service; answered when it stands
	{"stop", "of"},    // a watch
	{"connect", ""},   // answered when there is a connection
	{"cancel", "of"},  // a command that is being carried out
}

// parse reads a command. What could be read of one that is wrong is returned with the error.
func parse(line []byte) (c command, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return c, err
	}
	if _, err := d.Token(); err != io.EOF {
		return c, errors.New("there is more on the line than one JSON object")
	}
	if c.ID < 1 {
		return c, fmt.Errorf("its id is %d: it may be 1 or more", c.ID)
	}
	if c.TTL < 0 {
		return c, fmt.Errorf("its ttl is %d: it may be 0 (no lease) or more, in seconds", c.TTL)
	}
	var all []string
	for _, v := range verbs {
		if v.do != c.Do {
			all = append(all, v.do)
			continue
		}
		given := map[string]bool{"": true, "service": c.Service != nil && len(c.Service.Nodes) > 0, "name": c.Name != "",
			"of": c.Of != 0}
		if !given[v.needs] {
			return c, fmt.Errorf("%s needs a %q", c.Do, v.needs)
		}
		return c, nil
	}
	return c, fmt.Errorf("there is no command %q: there are %s", c.Do, strings.Join(all, ", "))
}
