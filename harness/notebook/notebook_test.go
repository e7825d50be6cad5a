package notebook

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
)

var update = flag.Bool("update", false, "have testdata/commands.txt say what was printed")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, gateway.KnownLeaks()...) }

func TestEveryCommandSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, c := range Commands() {
		require.False(t, names[c.Name], "%s is there twice", c.Name)
		names[c.Name] = true
		require.NotEmpty(t, c.Theme, c.Name)
		require.True(t, strings.HasSuffix(c.Does, "."), "%s: what it does is a sentence", c.Name)
		require.True(t, strings.HasPrefix(c.Example, c.Name), "%s: its example is another command's", c.Name)
		require.NotNil(t, c.run, c.Name)
		for _, a := range c.Args {
			require.NotEmpty(t, a.says(), "%s: %s", c.Name, a.Form)
		}
	}
	for _, write := range []func(io.Writer) error{Help, Markdown} {
		var out bytes.Buffer
		require.NoError(t, write(&out))
		for name := range names {
			require.Contains(t, out.String(), name)
		}
	}
}

// pad is a notebook without a file.
func pad(t *testing.T, o Options) *Notebook {
	ctx, cancel := harness.Context(t)
	t.Cleanup(cancel)
	nb := newNotebook(ctx, o)
	t.Cleanup(func() { require.NoError(t, nb.close()) })
	return nb
}

// typed has a notebook execute one line, with what stands under it.
func (nb *Notebook) typed(line string, input ...string) (string, error) {
	out, err := nb.line("a.txt:1", line, strings.Join(input, "\n"))
	return strings.Join(out, "\n"), err
}

func TestAMistakeIsSaidWithTheNearestRightWord(t *testing.T) {
	t.Parallel()
	nb := pad(t, Options{Fixes: []Fix{{Name: "upgrade"}}})

	_, err := nb.typed("resolve g1")
	require.ErrorContains(t, err, "a notebook begins with the command bench")
	_, err = nb.typed("bench proxies=2 gateways=2")
	require.NoError(t, err)

	for _, c := range []struct {
		line string
		says []string
	}{
		{"deregistr v1-a", []string{`there is no command "deregistr"`, `did you mean "deregister"?`}},
		{"Then v1-a leaves", []string{`there is no command "Then"; a line of prose begins with #`}},
		{"resolve g3", []string{`"g3" is not a gateway: there is g1, g2: did you mean "g1"?`,
			"resolve [GATEWAY…]", "resolve g1 g2"}},
		{"resolve v1-a", []string{`"v1-a" is not a gateway`}},
		{"deregister v1-c", []string{`"v1-c" is not an instance: there is v1-a, v1-b: did you mean "v1-a"?`}},
		{"deregister", []string{"INSTANCE… is missing: an instance"}},
		{"register a", []string{`"a" is not an instance: an instance is called version-letter, as in "v1-a"`}},
		{"register v2-a tll=3s", []string{`it knows no argument "tll": did you mean "ttl"?`}},
		{"register v2-a ttl=3", []string{`"3" is not a duration: it may be a number and its unit`}},
		{"register v2-a ttl=", []string{"ttl= has no value: it takes a duration"}},
		{"register v1-a", []string{"there is a v1-a already", "restart v1-a starts it again"}},
		{"get ops mode=linearisable", []string{`"linearisable" is not linearizable or serializable`,
			`did you mean "linearizable"?`}},
		{"get ops linearizable", []string{`"linearizable" is one word too many`}},
		{"get", []string{"WHO is missing"}},
		{"truth g1", []string{`"g1" is one word too many`}},
		{"bench auth=yes", []string{"auth takes no value: write auth alone"}},
		{"bench members=2", []string{`"2" is not 1, 3 or 5`}},
		{"bench proxies=12", []string{"Proxies is 12: it may be 1 to 9"}},
		{"bench fix=upgrad", []string{`"upgrad" is not a fix: there is upgrade: did you mean "upgrade"?`}},
		{"bench variant=cash-off", []string{`did you mean "cache-off"?`}},
		{"hold p1 del", []string{`"del" is not read, put, delete, txn, revoke or watch`, `did you mean "delete"?`}},
		{"hold p1 watch before", []string{"what a watch delivers comes from etcd"}},
		{"release p1", []string{"p1 holds nothing"}},
		{"weights 1 0 0", []string{"there are 2 proxies and 3 weights"}},
		{"cut m3 from=m1", []string{"from is for proxies"}},
		{"wait-for g1 held", []string{"held is for a proxy, and g1 is none"}},
		{"wait-for p1 held", []string{"p1 was not told to hold anything"}},
		{"delete m1", []string{"say one of instance=, key= and prefix="}},
		{"put m1", []string{"say one of instance= and key="}},
		{"user ann", []string{"begin with bench auth"}},
		{"client g1", []string{"there is a g1 already"}},
		{"watch ops laeder", []string{`"laeder" is one word too many: did you mean "leader"?`}},
		{"watch ops patience=soon", []string{`"soon" is not a duration`}},
		{"watch p3", []string{`"p3" is not a gateway, an instance, a client, a proxy or a member`}},
		{"told ops", []string{`"ops" is not a node that watches: there is none`}},
		{"unwatch", []string{"WHO is missing: a node that watches"}},
		{"renew m1", []string{"INSTANCE is missing: an instance"}},
		{"report", []string{"arrange begins one"}},
		{"try fix=(upgrad)", []string{`"upgrad" is not a fix: there is upgrade`}},
		{"try fix=() scenario=crash", []string{`"crash" is not a scenario: there is none`}}, // no matrix was given
	} {
		_, err := nb.typed(c.line)
		for _, s := range c.says {
			require.ErrorContains(t, err, s, c.line)
		}
	}
	_, err = nb.typed("resolve g1", "resolve g2")
	require.ErrorContains(t, err, `the line after a command and its arguments is ----; here it is "resolve g2"`)
}

func TestAtTheDeadlineItSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	nb := pad(t, Options{})
	for _, line := range []string{"bench proxies=1 gateways=1", "hold p1 put"} {
		_, err := nb.typed(line)
		require.NoError(t, err)
	}
	whole := nb.ctx
	for line, says := range map[string]string{
		"wait-for g1 ghost":  "g1 is still not ghost: it is told v1-a v1-b",
		"wait-for p1 held":   `no Put of "" came to be held at p1`,
		"wait-for v1-a gone": "v1-a is still in truth, its lease has not ended",
	} {
		ctx, cancel := context.WithTimeoutCause(whole, 300*time.Millisecond, errors.New("the notebook's deadline of 300ms"))
		nb.ctx = ctx
		_, err := nb.typed(line)
		cancel()
		require.ErrorContains(t, err, "the notebook's deadline of 300ms ended here", line)
		require.ErrorContains(t, err, says, line)
		if line != "wait-for p1 held" {
			continue
		}
		require.ErrorContains(t, err, "p1 was told to hold a put in a.txt:1, and never to release it")
	}
	nb.ctx = whole
}

func TestACommandThatIsHeldLetsTheNotebookGoOn(t *testing.T) {
	t.Parallel()
	nb := pad(t, Options{})
	run := func(line, want string) {
		t.Helper()
		got, err := nb.typed(line)
		require.NoError(t, err, line)
		require.Contains(t, got, want, line)
	}
	run("bench proxies=1 gateways=1", "truth     v1-a v1-b (revision 3)")
	run("hold p1 delete before", "p1 will hold the next delete, before etcd sees it")
	run("deregister v1-a", "p1 holds the delete on its way to etcd: etcd has not seen it")
	run("truth", "truth is v1-a v1-b (revision 3)")
	run("resolve g1", "fresh  miss at p1, revision 3")
	run("release p1", "v1-a deregisters through p1 (revision 4) and stops")
	run("resolve g1", "GHOST v1-a  hit at p1, an entry of revision 3; truth is at 4")
	// A bench that ends releases what was held on it.
	run("hold p1 put", "p1 will hold the next put, on its way back from etcd")
	run("register v2-a", "p1 holds etcd's answer to the put: etcd has done it, p1 does not know")
	run("bench proxies=1 gateways=1", "truth     v1-a v1-b (revision 3)")
}

// writtenAs writes a notebook of these lines.
func writtenAs(t *testing.T, lines ...string) string {
	path := filepath.Join(t.TempDir(), "a.txt")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

// A write is one event, whichever connection it goes over: that of a registry's client, which records what it sends, or
// a plain one.
func TestAWriteIsOneEvent(t *testing.T) {
	t.Parallel()
	nb := pad(t, Options{})
	run := func(line string) {
		t.Helper()
		_, err := nb.typed(line)
		require.NoError(t, err, line)
	}
	run("bench proxies=1 gateways=1 instances=(v1-a, v1-b, v1-c, v1-d, v1-e, v1-f)")
	for line, via := range map[string]string{
		"revoke g1 v1-a": "", "revoke p1 v1-b": "p1", "revoke ops v1-c": "",
		"revoke m1 v1-d": "m1", // a proxy does not say that a lease's end passed it: the client knows where it asked
		"renew g1 v1-e":  "", "renew m2 v1-f": "m2",
		"put g1 key=/a value=1": "p1", "put m2 key=/b value=2": "m2", "delete v1-a key=/a": "p1",
		"compact g1": "p1", "compact p1": "p1", "compact ops": "p1", "compact m2": "m2",
	} {
		run("put m1 key=/c value=3") // something to compact
		n := nb.bench.History.Len()
		run(line)
		var writes []history.Event
		for _, e := range nb.bench.History.Since(n) {
			if e.Write != nil {
				writes = append(writes, e)
			}
		}
		require.Len(t, writes, 1, line)
		w, words := writes[0].Write, strings.Fields(line)
		if nb.kindOf(words[1]) == "proxy" || nb.kindOf(words[1]) == "member" {
			words[1] = "ops" // an operator writes there
		}
		if words[0] == "renew" {
			words[0] = "keepalive"
		}
		require.Equal(t, []string{words[0], words[1], via, ""}, []string{w.Op, writes[0].Who, w.Via, w.Err}, line)
		require.NotZero(t, w.Revision, line)
	}
}

// A notebook's trial has the patience of the matrix': for go-micro's gateways two lives of their copy.
func TestReportHasTheMatrixsPatience(t *testing.T) {
	t.Parallel()
	nb := pad(t, Options{})
	var out string
	for _, line := range []string{
		"bench proxies=2 gateways=1 reading=go-micro cache-ttl=1s", "hold p2 watch", "arrange",
		"deregister v1-a", "resolve g1", "report",
	} {
		var err error
		out, err = nb.typed(line)
		require.NoError(t, err, line)
	}
	require.Contains(t, out, "verdict: unknown ghost")
	require.Contains(t, out, "it may yet heal: hold of Watch at p2 has not ended",
		"patience is over, and something is held")
	var phases []time.Duration
	for _, e := range nb.bench.History.Events() {
		if e.Step != nil && (e.Step.Phase == history.PhaseObserve || e.Step.Phase == history.PhaseEnd) {
			phases = append(phases, e.At)
		}
	}
	require.Len(t, phases, 2)
	require.GreaterOrEqual(t, phases[1]-phases[0], 2*time.Second, "two lives of the copy")
}

func TestTheDiffReadsLikeTheStory(t *testing.T) {
	t.Parallel()
	path := writtenAs(t, "# One leaves.", "# Which is left?", "", "call g1", "----", "a", "b", "c", "",
		"truth", "----", "same")
	f, err := readFile(path)
	require.NoError(t, err)
	require.Equal(t, path+":4\n    # One leaves.\n    # Which is left?\n    \n    call g1\n    ----\n"+
		"    a\n  - b\n  + d\n    c\n\n",
		f.differences([][]string{{"a", "d", "c"}, {"same"}}))
}

func TestAPlayedNotebookShowsWhatHappens(t *testing.T) {
	t.Parallel()
	path := writtenAs(t, "# A STORY", "#", "# It begins.", "", "bench direct gateways=1 members=1",
		"----", "members   m7", "",
		"# It goes on.", "", "truth", "----", "truth is v1-a v1-b (revision 3)", "", "# The end.")
	var out bytes.Buffer
	_, err := Play(t.Context(), Options{Player: &Player{Out: &out}}, path)
	require.NoError(t, err)
	require.Equal(t, `A STORY

It begins.

> bench direct gateways=1 members=1
  members   m1
  instances v1-a v1-b
  gateways  g1
  truth     v1-a v1-b (revision 3)
  the file says:
  | members   m7

It goes on.

> truth
  truth is v1-a v1-b (revision 3)

The end.

1 command printed something else than `+path+` says.
`, out.String())
}

func TestWhatDiffersIsAnErrorOrWritten(t *testing.T) {
	t.Parallel()
	path := writtenAs(t, "# Begin.", "bench direct gateways=1 members=1", "----", "members   m7", "",
		"truth", "", "# The end.")
	_, err := Play(t.Context(), Options{}, path)
	var changed Changed
	require.ErrorAs(t, err, &changed)
	require.Contains(t, changed.Diff, path+":2\n    # Begin.\n    bench direct gateways=1 members=1\n    ----\n"+
		"  - members   m7\n  + members   m1\n")
	require.Contains(t, changed.Diff, path+":6\n    truth\n    ----\n  + truth is v1-a v1-b (revision 3)\n")

	_, err = Play(t.Context(), Options{Write: true}, path)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "# Begin.\nbench direct gateways=1 members=1\n----\n"+
		"members   m1\ninstances v1-a v1-b\ngateways  g1\n"+
		"truth     v1-a v1-b (revision 3)\n\ntruth\n----\ntruth is v1-a v1-b (revision 3)\n\n# The end.\n", string(text))
	_, err = Play(t.Context(), Options{}, path)
	require.NoError(t, err)
}

func TestAMistakeInAFileNamesItsLine(t *testing.T) {
	t.Parallel()
	_, err := Play(t.Context(), Options{}, writtenAs(t, "# Begin.", "", "bench proxis=2"))
	require.ErrorContains(t, err, `a.txt:3: bench: it knows no argument "proxis": did you mean "proxies"?`)
	f, err := readFile("testdata/commands.txt")
	require.NoError(t, err)
	f.path = "../../harness/notebook/testdata/commands.txt"
	require.Equal(t, "harness/notebook/testdata/commands.txt:3", f.pos(f.commands[0]))
	require.Equal(t, "a.txt:9", linesOn("a.txt:7", 2))
}

// Ctrl-C ends a notebook wherever it is, in time, and goleak finds nothing left of it.
func TestAnInterruptedNotebookEnds(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]string{
		"while it starts": "bench",
		"while it waits":  "wait-for g1 ghost",
		"while it holds":  "register v2-a",
		"while it tries":  "expire v1-a",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := writtenAs(t, "bench proxies=1 gateways=1", "----", "", "hold p1 put", "----", "",
				last, "----", "", "wait-for v1-b gone", "----")
			ctx, cancel := context.WithCancelCause(t.Context())
			var ended time.Time
			stop := time.AfterFunc(time.Second, func() { ended = time.Now(); cancel(errors.New("interrupted")) })
			defer stop.Stop()
			_, err := Play(ctx, Options{}, path)
			require.ErrorContains(t, err, "interrupted")
			require.Less(t, time.Since(ended), patience-time.Second, "it was waited for what it waits for")
		})
	}
}

func TestChapters(t *testing.T) {
	t.Parallel()
	const dir = "../../fixtures/notebooks"
	c, err := FindChapter(dir, "", "3")
	require.NoError(t, err)
	require.Equal(t, Chapter{"03-the-incident", []string{dir + "/03-the-incident.txt", dir + "/answers/03.txt"}}, c)
	_, err = FindChapter(dir, "", "18")
	require.EqualError(t, err, `there is no chapter "18": there are 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, `+
		`16 and 17`)
	_, err = FindChapter(dir, "zh-CN", "4")
	require.EqualError(t, err, `there is no chapter "4": there are 1, 2, 3 and 13`)
	_, err = Chapters(dir, "zh")
	require.EqualError(t, err, `there is no translation "zh": did you mean "zh-CN"? There are zh-CN`)
	_, err = Chapters(t.TempDir(), "")
	require.ErrorContains(t, err, "there is no chapter in")
}

func TestEveryCommandRuns(t *testing.T) {
	t.Parallel()
	ctx, cancel := harness.Context(t)
	defer cancel()
	_, err := Play(ctx, Options{Write: *update}, "testdata/commands.txt")
	require.NoError(t, err)
}
