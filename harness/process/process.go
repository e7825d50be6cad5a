// Package process runs programs of the system that have an owner: one that ends, however it ends, leaves none behind.
//
// Each stands in a process group of its own, so that a Ctrl-C is the owner's to act on and what it has started ends
// with it. It is killed when its owner dies; what it had started itself is found by a mark in its environment and ended
// by the next run (Sweep).
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"ghostroute/harness/text"
	"ghostroute/harness/wait"
)

// Config is a program to run. All but Args, Env, In and Out are required.
type Config struct {
	Name string   // "m1": in errors
	Path string   // the program
	Args []string // without the program's name
	Env  []string // nil is this process's own
	Log  string   // the file that what it says is appended to
	Run  string   // the folder of the run that it belongs to: its mark

	// In and Out are its standard input and output, which stay the caller's to close; where they are nil it reads nothing,
	// and its output goes to Log, as what it says on standard error always does.
	In, Out *os.File
}

// Process is a program that was started. It is safe for use by many goroutines.
type Process struct {
	cfg  Config
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu    sync.Mutex
	told  bool  // it was told to end
	ended error // how it ended
}

// mark is the name of the variable that a process's run stands in.
const mark = "GHOSTROUTE_RUN="

// Start starts a program. Its owner ends it, with Kill or with Stop.
func Start(cfg Config) (*Process, error) {
	log, err := os.OpenFile(cfg.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s has no log: %w", cfg.Name, err)
	}
	defer log.Close() // the process has its own
	p := &Process{cfg: cfg, cmd: exec.Command(cfg.Path, cfg.Args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if cfg.In != nil {
		p.cmd.Stdin = cfg.In
	}
	if cfg.Out != nil {
		p.cmd.Stdout = cfg.Out
	}
	if cfg.Env == nil {
		cfg.Env = os.Environ()
	}
	p.cmd.Env = append(cfg.Env[:len(cfg.Env):len(cfg.Env)], mark+cfg.Run)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// Linux kills the process when the thread that started it ends, so that is kept.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = p.cmd.Wait()
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // what outlived it; usually there is nothing
		p.mu.Lock()
		p.ended = err
		p.mu.Unlock()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s did not start: %w: %s", cfg.Name, err, p.Command())
	}
	return p, nil
}

// Command is the command line, as a shell takes it.
func (p *Process) Command() string {
	return strings.Join(text.Each(append([]string{p.cfg.Path}, p.cfg.Args...), text.Quote), " ")
}

// Pid is the process's id, and its group's.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Freeze has the process stand still, and returns when every thread of it does: until then it may still answer. Only
// Linux tells.
func (p *Process) Freeze(ctx context.Context) error {
	if err := p.signal(syscall.SIGSTOP); err != nil || runtime.GOOS != "linux" {
		return err
	}
	return wait.Until(ctx, p.cfg.Name+" goes on", func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid()))
		return len(threads) > 0 && !slices.ContainsFunc(threads, func(thread string) bool {
			stat, err := os.ReadFile(thread)
			return err == nil && !strings.Contains(string(stat), ") T ")
		})
	})
}

// Thaw has a process that stands still go on.
func (p *Process) Thaw() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	if err := syscall.Kill(-p.Pid(), s); err != nil {
		return fmt.Errorf("%s did not get the signal %s: %w", p.cfg.Name, s, err)
	}
	return nil
}

// Kill ends the process as a crash does, and returns when it has ended.
func (p *Process) Kill() { p.end(syscall.SIGKILL, nil) }

// Stop tells the process to end (SIGTERM) and returns when it has; if ctx ends first it is killed.
func (p *Process) Stop(ctx context.Context) { p.end(syscall.SIGTERM, ctx.Done()) }

func (p *Process) end(s syscall.Signal, over <-chan struct{}) {
	p.mu.Lock()
	select {
	case <-p.done: // by itself: its id may be another's by now
		p.mu.Unlock()
		return
	default:
	}
	p.told = true
	p.mu.Unlock()
	_ = syscall.Kill(-p.Pid(), s) // fails only where it has just ended
	_ = syscall.Kill(-p.Pid(), syscall.SIGCONT)
	select {
	case <-p.done:
	case <-over:
		_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
		<-p.done
	}
}

// Err says of a process that has ended though nobody told it to how it ended, its command line and the last that it
// said. It is nil of one that runs, and of one that was told.
func (p *Process) Err() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told {
		return nil
	}
	how := "exit status 0"
	if p.ended != nil {
		how = p.ended.Error()
	}
	return fmt.Errorf("%s ended by itself, %s: %s\nthe last that it said (all of it: %s):\n%s",
		p.cfg.Name, how, p.Command(), p.cfg.Log, tail(p.cfg.Log))
}

// Await waits until the process does what is missing no more. If it ends instead the error is Err.
func (p *Process) Await(ctx context.Context, missing func() string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	forget := make(chan struct{})
	defer close(forget)
	go func() {
		select {
		case <-p.done:
			cancel(p.Err())
		case <-forget:
		}
	}()
	err := wait.For(ctx, missing)
	if ended := p.Err(); err != nil && ended != nil {
		return ended
	}
	if err != nil {
		return fmt.Errorf("%w\nthe last that %s said (all of it: %s):\n%s", err, p.cfg.Name, p.cfg.Log, tail(p.cfg.Log))
	}
	return nil
}

// Listens waits until something takes connections at an address, which the process is to do.
func (p *Process) Listens(ctx context.Context, addr string) error {
	return p.Await(ctx, func() string {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return fmt.Sprintf("%s does not listen: %v", p.cfg.Name, err)
		}
		_ = c.Close()
		return ""
	})
}

// lines is how much of a log an error quotes.
const lines = 20

// tail is the last of a log.
func tail(path string) string {
	const most = 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, err = f.Seek(max(0, end-most), io.SeekStart)
		if err != nil {
			return err.Error()
		}
	}
	said, err := io.ReadAll(f)
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimRight(said, "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
