package beyond

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/promise"
	"ghostroute/harness/scratch"
	"ghostroute/harness/text"
	"ghostroute/harness/wait"
	"ghostroute/scenarios"
)

// Incident tells the incident of etcd's own gRPC resolver, on real parts and with no go-micro. Every step asserts what
// happened: the error is the first that did not.
func Incident(ctx context.Context, out scenarios.Output) (err error) {
	dir, remove, err := scratch.Folder()
	if err != nil {
		return err
	}
	c, err := etcd.Start(ctx, etcd.Config{Members: 1, Dir: dir, History: history.New()})
	if err != nil {
		return errors.Join(err, remove())
	}
	defer func() { err = errors.Join(err, c.Close(), remove()) }()
	b, err := open(ctx, c, Scenario{}, Fixes()[0])
	if err != nil {
		return err
	}
	b.follow()
	told := (&tale{Bench: b, Output: out}).all()
	b.unfollow()
	closed := b.close()
	file := filepath.Join(out.Dir, "naming.jsonl")
	f, err := os.Create(file)
	if err != nil {
		return errors.Join(told, closed, err)
	}
	_, err = b.History.WriteTo(f)
	fmt.Fprintf(out, "\nEvery event of it: %s\n", text.Quote(file))
	return errors.Join(told, closed, err, f.Close())
}

// tale is the story.
type tale struct {
	*Bench
	scenarios.Output
	seen int // events that have been told
}

// chapter says what is to come, has it happen, and tells what did.
func (t *tale) chapter(title, words string, do func() error) error {
	fmt.Fprintf(t, "\n%s\n", text.Paint(t.Colour).In(text.Bold, title))
	for _, l := range text.Wrap(words, 110) {
		fmt.Fprintln(t, "  "+l)
	}
	err := do()
	t.tell()
	return err
}

func (t *tale) all() error {
	steps := []struct {
		title, words string
		do           func() error
	}{
		{"1 A service, and etcd's own resolver", `"greeter" runs as a and b. They stand in etcd as client/v3/naming puts
			them. g1 resolves the service with etcd's own gRPC resolver, through a grpc-proxy: it lists, serializably, and then
			watches from the next revision.`, func() error {
			return errors.Join(t.register("a"), t.register("b"), t.calls("g1", 2), t.fails("g1", 0, 2))
		}},
		{"2 A rollout, and the next compaction", `a and b leave and c comes, in good order, straight at a member: nothing
			passes the proxy, which keeps the list that g1 was given. g1 is told by its watch. Then history is compacted, as
			Kubernetes does each five minutes.`, func() error {
			err := errors.Join(t.leave("a"), t.leave("b"), t.register("c"))
			if err != nil {
				return err
			}
			r, err := t.Cluster.Truth(t.ctx, greeter+"/c")
			if err != nil {
				return err
			}
			return errors.Join(t.compact(r.Header.Revision), t.comesTo("g1", "c"))
		}},
		{"3 g2 starts", `It lists: the proxy answers from its cache. It watches from the next revision: that is compacted, and
			the watch ends. The resolver has nothing left that could tell it anything, and does not ask again.`, func() error {
			return errors.Join(t.calls("g2", 20), t.fails("g2", 20, 20))
		}},
		{"4 The proxy is healed", `A transaction that compares the range and does nothing clears the proxy's entry. g2 is
			as it was: its list is its own by now.`, func() error {
			return errors.Join(t.heal(), t.calls("g2", 5), t.fails("g2", 25, 25))
		}},
		{"5 g3 starts", `It lists, and the proxy has to ask. Only a program that starts after the proxy was healed is
			well.`, func() error {
			return errors.Join(t.calls("g3", 5), t.fails("g3", 0, 5))
		}},
	}
	for _, s := range steps {
		if err := t.chapter(s.title, strings.Join(strings.Fields(s.words), " "), s.do); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
	}
	return nil
}

// fails asserts how many calls of a program have failed, of how many.
func (t *tale) fails(program string, failed, of int) error {
	n, bad := 0, 0
	for _, e := range t.History.Events() {
		if e.Who == program && e.Request != nil {
			n++
			if e.Request.Err != "" {
				bad++
			}
		}
	}
	if n != of || bad != failed {
		return fmt.Errorf("%d of %d calls of %s failed, and %d of %d were to", bad, n, program, failed, of)
	}
	return nil
}

// comesTo has a program call until an instance answers it.
func (t *tale) comesTo(program, instance string) error {
	return wait.For(t.ctx, func() string {
		n := t.History.Len()
		if err := t.calls(program, 1); err != nil {
			return err.Error()
		}
		for _, e := range t.History.Since(n) {
			if e.Request != nil && e.Request.Instance == instance {
				return ""
			}
		}
		return program + " is not answered by " + instance
	})
}

// heal clears the proxy's entry of greeter's range, and nothing else.
func (t *tale) heal() error {
	c, err := t.At(t.ctx, "p1")
	if err != nil {
		return err
	}
	_, err = c.Txn(t.ctx).If(clientv3.Compare(clientv3.Version(greeter+"/"), ">", -1).WithPrefix()).Commit()
	return err
}

// tell tells what has happened since it told last, and then what became of the calls.
func (t *tale) tell() {
	paint := text.Paint(t.Colour)
	says := func(who, what string) { fmt.Fprintf(t, "  %-11s %s\n", who, what) }
	all := t.History.Events()
	truth, _ := promise.Reached(all)
	var callers []string
	answered, failed := map[string][]string{}, map[string][]string{}
	for _, e := range all[t.seen:] {
		what := ""
		switch r, w, c := e.Range, e.Watch, e.Commit; {
		case e.Request != nil:
			if !slices.Contains(callers, e.Who) {
				callers = append(callers, e.Who)
			}
			if e.Request.Err == "" {
				answered[e.Who] = append(answered[e.Who], e.Request.Instance)
			} else {
				failed[e.Who] = append(failed[e.Who], e.Request.Err)
			}
		case r != nil && strings.HasPrefix(r.Key, greeter) && e.Who == "p1":
			e.Who = r.Client
			from := history.Origin{Source: r.Source, Via: "p1", Revision: r.Revision, Truth: truth}
			what = fmt.Sprintf("lists: %-8s %s", strings.Join(text.Each(r.Keys, path.Base), " "),
				paint.In(text.Dim, from.String()))
		case w != nil && w.Key == greeter+"/" && w.Op == history.WatchAsk:
			what = fmt.Sprintf("watches for it from revision %d on", w.From)
		case w != nil && w.Key == greeter+"/" && w.Compacted > 0:
			what = paint.In(text.Red, fmt.Sprintf("is told that this is compacted, up to %d: the watch is over", w.Compacted))
		case c != nil && strings.HasPrefix(c.Key, greeter):
			e.Who = path.Base(c.Key)
			what = map[string]string{"put": "registers", "delete": "leaves"}[c.Op] +
				paint.In(text.Dim, fmt.Sprintf(" (revision %d)", c.Revision))
		case e.Write != nil && e.Write.Op == "compact":
			what = fmt.Sprintf("compacts up to revision %d", e.Write.Revision)
		case e.Write != nil && e.Write.Op == "txn" && e.Write.Key == "":
			what = "sends " + e.Write.Via + " a transaction that does nothing"
		}
		if what != "" {
			says(e.Who, what)
		}
	}
	for _, who := range callers {
		if by := answered[who]; len(by) > 0 {
			slices.Sort(by)
			says(who, paint.In(text.Green, fmt.Sprintf("calls, and is answered %s, by %s", times(len(by)),
				text.And(slices.Compact(by)))))
		}
		if errs := failed[who]; len(errs) > 0 {
			why := errs[len(errs)-1]
			if at := strings.Index(why, "dial tcp"); at >= 0 {
				why = strings.Trim(why[at:], `"`)
			}
			says(who, paint.In(text.Red, fmt.Sprintf("calls, and fails %s: %s", times(len(errs)), why)))
		}
	}
	t.seen = len(all)
}

func times(n int) string { return text.Count(n, "time") }
