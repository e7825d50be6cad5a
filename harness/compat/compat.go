// Package compat runs go-micro over the etcd client that the incident had, coreos/etcd 3.3.18 on gRPC 1.26, as a
// process (module harness/period). It is what today's stand-in, the aliases of harness/compat/coreos-etcd, is held to:
// fixtures/period.md has what differs.
package compat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	micro "github.com/micro/go-micro/v2/registry"

	"ghostroute/harness/process"
	"ghostroute/harness/program"
)

// Config is a client to run. All but Mode, Timeout and CacheTTL are required.
type Config struct {
	Name      string          // "g1"
	Program   program.Program // see program.Period
	Dir       string          // for its log; the process is a part of that folder's run
	Addresses []string        // "host:port"
	Mode      string          // a registry.Mode; "" is go-micro's as shipped
	Timeout   time.Duration   // of each of go-micro's calls that has one; 5 s, as in go-micro, where it is 0
	CacheTTL  time.Duration   // of go-micro's registry/cache; its own, a minute, where it is 0
}

// Command is a command of the program; its source says what there is and what each needs.
type Command struct {
	ID      int            `json:"id"` // Do gives it one
	Do      string         `json:"do"`
	Name    string         `json:"name,omitempty"`
	Service *micro.Service `json:"service,omitempty"`
	TTL     int            `json:"ttl,omitempty"` // seconds
	Of      int            `json:"of,omitempty"`
}

// Answer is what became of a command.
type Answer struct {
	Services []*micro.Service `json:"services"`
	Error    string           `json:"error"`
	NotFound bool             `json:"not_found"`
	Calls    []Call           `json:"calls"` // what it asked of etcd, in order
}

// Err is the command's error; go-micro's ErrNotFound is that of today's go-micro.
func (a Answer) Err() error {
	switch {
	case a.NotFound:
		return micro.ErrNotFound
	case a.Error != "":
		return errors.New(a.Error)
	}
	return nil
}

// Call is one that went to etcd.
type Call struct {
	Op           string            `json:"op"`    // as history.Write's; "range" for a read
	Began        time.Duration     `json:"began"` // after the program had taken the command
	Key          string            `json:"key"`
	End          string            `json:"end"`
	Serializable bool              `json:"serializable"`
	Lease        int64             `json:"lease"`
	Revision     int64             `json:"revision"`
	Found        int               `json:"found"`
	Deleted      int64             `json:"deleted"`
	Header       map[string]string `json:"header"` // the metadata in which a proxy says where the answer came from
	Error        string            `json:"error"`
}

// line is one of the program's output: an answer, or what a watch met.
type line struct {
	ID int `json:"id"`
	Answer
	Watch   int            `json:"watch"`
	Action  string         `json:"action"`
	Service *micro.Service `json:"service"`
}

// Client is a running program. It is safe for use by many goroutines.
type Client struct {
	cfg     Config
	process *process.Process
	in      *os.File
	reading sync.WaitGroup

	writing sync.Mutex // a line at a time
	mu      sync.Mutex
	last    int
	asked   map[int]chan Answer
	watches map[int]*Watch
	closed  bool
	ended   error // why there are no answers any more
}

// Start runs the program. It dials at once; Do "connect" waits for that. Its owner closes it.
func Start(cfg Config) (*Client, error) {
	in, toIt, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromIt, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close(), toIt.Close())
	}
	args := []string{"-addresses", strings.Join(cfg.Addresses, ",")}
	if cfg.Mode != "" {
		args = append(args, "-mode", cfg.Mode)
	}
	if cfg.Timeout > 0 {
		args = append(args, "-timeout", cfg.Timeout.String())
	}
	if cfg.CacheTTL > 0 {
		args = append(args, "-cache-ttl", cfg.CacheTTL.String())
	}
	p, err := process.Start(process.Config{Name: "the process of " + cfg.Name, Path: cfg.Program.Path, Args: args,
		Log: filepath.Join(cfg.Dir, "period-"+cfg.Name+".log"), Run: cfg.Dir, In: in, Out: out})
	err = errors.Join(err, in.Close(), out.Close()) // the process has its own
	if err != nil {
		if p != nil {
			p.Kill()
		}
		return nil, errors.Join(err, toIt.Close(), fromIt.Close())
	}
	c := &Client{cfg: cfg, process: p, in: toIt, asked: map[int]chan Answer{}, watches: map[int]*Watch{}}
	c.reading.Go(func() { c.read(fromIt) })
	return c, nil
}

// read takes the program's lines until it has ended, and then ends what waits for one.
func (c *Client) read(from *os.File) {
	defer from.Close()
	d := json.NewDecoder(from)
	var err error
	for err == nil {
		var l line
		if err = d.Decode(&l); err == nil {
			c.take(l)
		}
	}
	<-c.process.Done() // it has closed its output: it ends
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		c.ended = fmt.Errorf("%s was closed", c.cfg.Name)
	case c.process.Err() != nil:
		c.ended = c.process.Err()
	default:
		c.ended = fmt.Errorf("%s gives no answers any more: %w", c.cfg.Name, err)
	}
	for _, answer := range c.asked {
		close(answer)
	}
	c.asked = nil
	for _, w := range c.watches {
		w.put(meeting{err: c.ended})
	}
	c.watches = nil
}

func (c *Client) take(l line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.Watch == 0 {
		if answer := c.asked[l.ID]; answer != nil {
			answer <- l.Answer // it has room for one, and there is but one
		}
		delete(c.asked, l.ID)
		return
	}
	w := c.watches[l.Watch]
	if w == nil {
		return
	}
	m := meeting{result: &micro.Result{Action: l.Action, Service: l.Service}}
	if l.Error != "" {
		m = meeting{err: errors.New(l.Error)}
		delete(c.watches, l.Watch)
	}
	w.put(m)
}

// patience is how long a command that was canceled has to say how it ended, and the program to end.
const patience = 2 * time.Second

// Do has a command carried out. An error in the answer is the command's own; Do's error is that there is no answer.
// When ctx ends the command is canceled, and the answer is how that ended it, if it does.
func (c *Client) Do(ctx context.Context, command Command) (Answer, error) {
	id, answer, err := c.send(command, nil)
	if err != nil {
		return Answer{}, err
	}
	return c.await(ctx, id, answer)
}

// send sends a command, whose answer comes by the channel. Where it is a watch, w has what that meets.
func (c *Client) send(command Command, w *Watch) (id int, answer chan Answer, err error) {
	answer = make(chan Answer, 1)
	c.mu.Lock()
	if c.ended != nil || c.closed {
		defer c.mu.Unlock()
		if c.ended != nil {
			return 0, nil, c.ended
		}
		return 0, nil, fmt.Errorf("%s was closed", c.cfg.Name)
	}
	c.last++
	command.ID = c.last
	c.asked[command.ID] = answer
	if w != nil {
		w.id = command.ID
		c.watches[command.ID] = w
	}
	c.mu.Unlock()
	text, err := json.Marshal(command)
	if err != nil {
		return 0, nil, err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	// Where the program has just ended the read end says why.
	_, _ = c.in.Write(append(text, '\n'))
	return command.ID, answer, nil
}

func (c *Client) await(ctx context.Context, id int, answer chan Answer) (Answer, error) {
	select {
	case a, ok := <-answer:
		return c.had(a, ok)
	case <-ctx.Done():
	}
	if _, _, err := c.send(Command{Do: "cancel", Of: id}, nil); err != nil {
		return Answer{}, err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case a, ok := <-answer:
		return c.had(a, ok)
	case <-late.C:
		return Answer{}, context.Cause(ctx)
	}
}

func (c *Client) had(a Answer, ok bool) (Answer, error) {
	if ok {
		return a, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return a, c.ended
}

// Close ends the program as the end of its owner would: its standard input ends. It returns when it has ended. A
// program that ended before by itself is the error, once.
func (c *Client) Close() error {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if was {
		c.reading.Wait()
		return nil
	}
	err := c.process.Err()
	c.writing.Lock()
	err = errors.Join(err, c.in.Close())
	c.writing.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-c.process.Done():
	case <-late.C:
		c.process.Kill()
		err = errors.Join(err, fmt.Errorf("the process of %s did not end with its standard input: it was killed", c.cfg.Name))
	}
	c.reading.Wait()
	return err
}

// Pid is the process's id.
func (c *Client) Pid() int { return c.process.Pid() }
