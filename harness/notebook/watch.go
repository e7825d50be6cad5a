package notebook

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/stage"
	"ghostroute/harness/tap"
	"ghostroute/harness/text"
	"ghostroute/harness/wait"
)

func watchCommands() []Command {
	patience := Arg{"[patience=…]", aDuration(), "how long to wait for a word"}
	return []Command{{
		Name: "watch", Example: "watch ann service=billing",
		Does: "Has itself told of every change of keys from now on: over the connection of a client, a gateway or an " +
			"instance, or straight at a proxy or a member. What is told then told prints. A second watch of the same " +
			"node takes the place of the first.",
		Args: []Arg{
			{"WHO", asker(), ""},
			{"[leader]", aFlag(), "it is to end when the member that it is at hears no leader"},
			{"[service=…]", aText(), "another service's keys than the bench's"},
			{"[instance=…]", anInstance(), "one instance's key only"},
			{"[key=…]", aText(), "any one key"},
			{"[prefix=…]", aText(), "every key that begins so"},
			{"[from=…]", aText(), "every key from this one on"},
			patience,
		},
		run: (*call).watch,
	}, {
		Name: "told", Example: "told ann",
		Does: "What a watch has been told since it was last looked at. It waits for a word, and for all that was " +
			"changed in the watch's range, or for the watch's end: as long as patience says, twenty seconds if it says " +
			"nothing. SILENT names what was changed, where the watch is told neither of it nor that it is over.",
		Args: []Arg{{"WHO", watcher(), ""}, patience},
		run:  (*call).heard,
	}, {
		Name: "unwatch", Example: "unwatch ann",
		Does: "A watch is given up.",
		Args: []Arg{{"WHO", watcher(), ""}},
		run:  (*call).unwatch,
	}}
}

// watching is a watch that a notebook has begun.
type watching struct {
	*tap.Watched
	key, end string
	way      string // how it reaches etcd
	since    int64  // the revision that etcd was at when it was asked for
	read     int    // how many of its words told has looked at
}

func (c *call) watch() error {
	who, op := c.one("who"), c.read()
	client, err := c.connect(who)
	if err != nil {
		return err
	}
	c.nb.unwatch(who)
	t := &tap.Tap{Client: who, History: c.b().History}
	if kind := c.nb.kindOf(who); kind == "proxy" || kind == "member" {
		t.Client = stage.Operator
	}
	ctx := c.nb.ctx // it outlives the command
	if c.has("leader") {
		ctx = clientv3.WithRequireLeader(ctx)
	}
	key, end := string(op.KeyBytes()), string(op.RangeBytes())
	w := &watching{key: key, end: end, way: c.nb.way(who), since: c.nb.now()}
	c.nb.begun++
	w.Watched = t.Watch(ctx, client.Watcher, fmt.Sprintf("%s's watch %d", who, c.nb.begun), key, false,
		clientv3.WithRange(end))
	c.nb.watches[who] = w
	if err := c.hears(w, func(words []history.Watch) bool { return len(words) > 0 }); err != nil {
		return err
	}
	words := w.Words()
	w.read = min(len(words), 1)
	switch {
	case len(words) == 0:
		c.say("%s asks for a watch of %s %s, and has no answer", who, rangeName(key, end), w.way)
	case words[0].Op == history.WatchEnd:
		c.over(who, words[0])
	case strings.HasSuffix(w.way, who):
		c.say("%s is watched %s", rangeName(key, end), w.way)
	default:
		c.say("%s watches %s %s", who, rangeName(key, end), w.way)
	}
	return nil
}

// longPatience is how long a command waits for what is to come, however busy the machine is. Where nothing is to come a
// notebook says how long it waits.
const longPatience = 20 * time.Second

// hears waits until a watch has had such words, or patience is over.
func (c *call) hears(w *watching, enough func([]history.Watch) bool) error {
	ctx, cancel := c.patiently(longPatience)
	defer cancel()
	_ = wait.Until(ctx, "nothing is told", func() bool { return enough(w.Words()) })
	return context.Cause(c.ctx())
}

// heard says what a watch was told, and what it was not told.
func (c *call) heard() error {
	who := c.one("who")
	w := c.nb.watches[who]
	due, err := c.due(w)
	if err != nil {
		return err
	}
	if err := c.hears(w, func(words []history.Watch) bool {
		return len(words) > w.read && len(untold(due, words)) == 0 || isOver(words)
	}); err != nil {
		return err
	}
	words := w.Words()
	n := len(c.lines)
	for _, word := range words[w.read:] {
		for _, e := range word.Events {
			c.say("%s is told: %s", who, c.nb.change(e))
		}
		if word.Op == history.WatchEnd {
			c.over(who, word)
		}
	}
	w.read = len(words)
	if len(c.lines) == n {
		c.say("%s is told nothing", who)
	}
	if left := untold(due, words); len(left) > 0 && !isOver(words) {
		names := text.Each(left, func(m history.Commit) string { return keyName(m.Key) })
		slices.Sort(names)
		c.say("SILENT %s  %s; truth is at %d", list(slices.Compact(names)), w.way, c.nb.revision(c.nb.now()))
	}
	return nil
}

// due is what was committed in a watch's range since it was asked for.
func (c *call) due(w *watching) (due []history.Commit, err error) {
	if now := c.nb.now(); now > w.since {
		_, err = c.b().History.Wait(c.ctx(), 0, func(e history.Event) bool {
			return e.Commit != nil && e.Commit.Revision >= now
		})
	}
	for _, e := range c.b().History.Events() {
		if m := e.Commit; m != nil && m.Revision > w.since && keys.In(m.Key, w.key, w.end) {
			due = append(due, *m)
		}
	}
	return due, err
}

// untold are the changes that no word tells of.
func untold(due []history.Commit, words []history.Watch) []history.Commit {
	return slices.DeleteFunc(slices.Clone(due), func(d history.Commit) bool {
		return slices.ContainsFunc(words, func(w history.Watch) bool {
			return slices.ContainsFunc(w.Events, func(e history.Commit) bool {
				return e.Key == d.Key && e.Revision == d.Revision
			})
		})
	})
}

func isOver(words []history.Watch) bool {
	return len(words) > 0 && words[len(words)-1].Op == history.WatchEnd
}

func (c *call) over(who string, word history.Watch) {
	c.say("the watch of %s is over: %s", who, c.nb.clean(cmp.Or(word.Reason, "nobody says why")))
}

// change says what a change is.
func (nb *Notebook) change(e history.Commit) string {
	did := map[string]string{"put": "written", "delete": "deleted"}[e.Op]
	return fmt.Sprintf("%s is %s (revision %d)", keyName(e.Key), did, nb.revision(e.Revision))
}

func (c *call) unwatch() error {
	who := c.one("who")
	c.nb.unwatch(who)
	c.say("%s watches no more", who)
	return nil
}

// unwatch gives a node's watch up, if it has one.
func (nb *Notebook) unwatch(who string) {
	if w := nb.watches[who]; w != nil {
		w.Quit()
		delete(nb.watches, who)
	}
}
