package notebook

import (
	"context"
	"fmt"
	"time"

	"ghostroute/harness/history"
)

// grace is how long a command has to end once the notebook's context has.
const grace = 1500 * time.Millisecond

// lookout is what tells that a command stands at a gate. It is made before the command runs, or goes on, because
// commands change the notebook.
type lookout struct {
	history *history.History // nil where no gate is set
	n       int              // how long it was
}

func (nb *Notebook) lookout() lookout {
	if len(nb.gates) == 0 {
		return lookout{}
	}
	return lookout{nb.bench.History, nb.bench.History.Len()}
}

// follow waits until a command is done, or stands at a gate: then it is held, and the notebook goes on.
func (nb *Notebook) follow(c *call, w lookout) ([]string, error) {
	select {
	case <-c.done:
		return c.result()
	default:
	}
	ctx, cancel := context.WithCancel(nb.ctx)
	stopped := make(chan struct{})
	caught := make(chan history.Fault, 1)
	defer func() { cancel(); <-stopped }()
	go func() {
		defer close(stopped)
		if w.history == nil {
			return
		}
		// What a watch delivers is held on its way to a watcher, and no command waits for it.
		if e, err := w.history.Wait(ctx, w.n, func(e history.Event) bool {
			f := e.Fault
			return f != nil && f.Kind == history.Hold && f.Op == history.Fire && f.RPC != "Watch"
		}); err == nil {
			caught <- *e.Fault
		}
	}()
	select {
	case <-c.done:
		return c.result()
	case f := <-caught:
		c.at = f.Target
		nb.held = append(nb.held, c)
		what := "%s holds the %s on its way to etcd: etcd has not seen it"
		if f.Point == history.AfterMember {
			what = "%s holds etcd's answer to the %s: etcd has done it, %[1]s does not know"
		}
		return []string{fmt.Sprintf(what, c.at, wordFor(f.RPC))}, nil
	case <-nb.ctx.Done():
	}
	select {
	case <-c.done:
	case <-time.After(grace):
		return nil, fmt.Errorf("%w ended here, and the command %s does not end", context.Cause(nb.ctx), c.command.Name)
	}
	out, err := c.result()
	for p, gates := range nb.gates {
		for _, g := range gates {
			if err != nil {
				err = fmt.Errorf("%w\n    %s was told to hold a %s in %s, and never to release it", err, p, g.rpc, g.pos)
			}
		}
	}
	return out, err
}

// resume waits for the commands that a proxy held, once it holds them no more, and returns what they print.
func (nb *Notebook) resume(proxy string, w lookout) ([]string, error) {
	var out []string
	held := nb.held
	nb.held = nil
	for i, c := range held {
		if c.at != proxy {
			nb.held = append(nb.held, c)
			continue
		}
		lines, err := nb.follow(c, w)
		if err != nil {
			nb.held = append(nb.held, held[i+1:]...)
			return out, fmt.Errorf("the command of %s: %w", c.pos, err)
		}
		out = append(out, lines...)
	}
	return out, nil
}
