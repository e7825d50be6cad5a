package scenarios

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Bout is a command that a stress runs again and again, and which may not fail once.
type Bout struct {
	Name    string // "incident"
	Times   int
	Command []string
	Under   bool // a folder of the run's own is its last argument
	AtATime int  // how many runs at a time; 0 is one
}

// busyLoops is how many loops keep the machine busy beside it.
const busyLoops = 2

// stressed is what a stress leaves behind for the next to go on from.
type stressed struct {
	Program string                   // what was stressed, by its digest
	Began   string                   // names the folder of its logs
	Begun   map[string]int           // by bout; a run that was interrupted began, and did not run
	Ran     map[string]int           // by bout
	Failed  map[string][]string      // the logs, by bout
	Took    map[string]time.Duration // by bout, of all its runs
}

// stress is a stress under way.
type stress struct {
	mu sync.Mutex // of what follows, where a bout runs more than once at a time
	stressed
	out  Output
	file string
}

// Stress runs one bout after another, beside two busy loops. It says how far it is, keeps the log of every run
// that failed, and goes on where the last stress of the same program stopped. failed is how many runs did, that one's
// too.
func Stress(ctx context.Context, out Output, bouts []Bout) (failed int, err error) {
	s := stress{out: out, file: filepath.Join(out.Dir, "state.json")}
	if err := s.read(); err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancel(ctx)
	var busy sync.WaitGroup
	defer busy.Wait()
	defer stop()
	for range busyLoops {
		busy.Go(func() {
			for ctx.Err() == nil {
			}
		})
	}
	for _, b := range bouts {
		if err := s.runAll(ctx, b); err != nil {
			return s.failures(bouts), err
		}
	}
	for _, b := range bouts {
		fmt.Fprintln(out, s.says(b))
		for _, log := range s.Failed[b.Name] {
			fmt.Fprintf(out, "  %s\n", log)
		}
	}
	return s.failures(bouts), os.Remove(s.file) // the next begins anew
}

// read reads what the last stress left, if it was of this program and did not come to its end.
func (s *stress) read() error {
	program, err := digest()
	if err != nil {
		return err
	}
	anew := stressed{program, time.Now().Format("20060102-150405"), map[string]int{}, map[string]int{},
		map[string][]string{}, map[string]time.Duration{}}
	content, err := os.ReadFile(s.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.stressed = anew
		return nil
	case err != nil:
		return err
	}
	if err := json.Unmarshal(content, &s.stressed); err != nil {
		return fmt.Errorf("%s is no stress's: remove it to begin anew: %w", s.file, err)
	}
	if s.Program != program {
		fmt.Fprintf(s.out, "the program is another than the last stress was of: it begins anew\n")
		s.stressed = anew
	}
	return nil
}

// digest is that of the running program.
func digest() (string, error) {
	name, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// runAll runs a bout as often as it is to be run, so many at a time. The first error ends those under way.
func (s *stress) runAll(ctx context.Context, b Bout) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var running sync.WaitGroup
	left := b.Times - s.Ran[b.Name]
	for range min(max(b.AtATime, 1), left) {
		running.Go(func() {
			for s.begins(&left) {
				if err := s.run(ctx, b); err != nil {
					end(err)
					return
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// begins takes one of the runs that are left, if there is one.
func (s *stress) begins(left *int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	*left--
	return *left >= 0
}

// run runs a bout once, counts it and says how far it is. A run that ctx has ended does not count.
func (s *stress) run(ctx context.Context, b Bout) error {
	s.mu.Lock()
	s.Begun[b.Name]++
	n := s.Begun[b.Name]
	s.mu.Unlock()
	under := filepath.Join(s.out.Dir, s.Began, fmt.Sprintf("%s-%d", b.Name, n))
	if err := os.MkdirAll(filepath.Dir(under), 0o755); err != nil {
		return err
	}
	command := b.Command
	if b.Under {
		command = append(command[:len(command):len(command)], under)
	}
	began := time.Now()
	log, failed, err := alone(ctx, nil, command)
	took := time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return errors.Join(context.Cause(ctx), os.RemoveAll(under))
	case err != nil:
		return err
	case failed == "":
		err = os.RemoveAll(under)
	default:
		file := under + ".log"
		s.Failed[b.Name] = append(s.Failed[b.Name], file)
		fmt.Fprintf(s.out, "%s %d failed, %s: %s\n", b.Name, n, failed, file)
		err = os.WriteFile(file, log, 0o644)
	}
	if err != nil {
		return err
	}
	s.Ran[b.Name]++
	s.Took[b.Name] += took
	content, err := json.MarshalIndent(s.stressed, "", " ")
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, s.says(b))
	return os.WriteFile(s.file, content, 0o644)
}

// says is how far a bout is, and how long a run of it takes.
func (s *stress) says(b Bout) string {
	ran, says := s.Ran[b.Name], ""
	if ran > 0 {
		says = fmt.Sprintf(", %.1f s each", s.Took[b.Name].Seconds()/float64(ran))
	}
	return fmt.Sprintf("%s: %d of %d, %d failed%s", b.Name, ran, b.Times, len(s.Failed[b.Name]), says)
}

func (s *stress) failures(bouts []Bout) (n int) {
	for _, b := range bouts {
		n += len(s.Failed[b.Name])
	}
	return n
}

// alone runs a command in a process group of its own, of which nothing is left when it returns. The end of ctx is a
// Ctrl-C to all of the group. env is its environment, nil this process's own. failed says how it ended if not well, err
// that it could not be run.
func alone(ctx context.Context, env, command []string) (log []byte, failed string, err error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what outlived its leader; usually there is nothing
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return said.Bytes(), exit.Error(), nil
	}
	return said.Bytes(), "", err
}
