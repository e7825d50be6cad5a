package notebook

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
)

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
			require.NotEmpty(t, a.says(), "%s: %s", c.Name, a.Name)
		}
	}
	for _, write := range []func(*bytes.Buffer) error{func(b *bytes.Buffer) error { return Help(b) }, func(b *bytes.Buffer) error { return Markdown(b) }} {
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
	nb := &Notebook{opts: o, ctx: ctx, gates: map[string][]*gate{}}
	t.Cleanup(func() { require.NoError(t, nb.close()) })
	return nb
}

// line has a notebook execute one line, with what stands under it.
func (nb *Notebook) line(line string, input ...string) (string, error) {
	name, args, err := datadriven.ParseLine(line)
	if err != nil {
		return "", err
	}
	return nb.execute("a.txt:1", name, args, strings.Join(input, "\n"))
}

func TestAMistakeIsSaidWithTheNearestRightWord(t *testing.T) {
	t.Parallel()
	nb := pad(t, Options{Fixes: []Fix{{Name: "upgrade"}}})

	_, err := nb.line("resolve g1")
	require.ErrorContains(t, err, "a notebook begins with the command bench")
	_, err = nb.line("bench proxies=2 gateways=2")
	require.NoError(t, err)

	for _, c := range []struct {
		line string
		says []string
	}{
		{"deregistr v1-a", []string{`there is no command "deregistr"`, `did you mean "deregister"?`}},
		{"Then v1-a leaves", []string{`there is no command "Then"`, "a line of prose begins with #"}},
		{"resolve g3", []string{`"g3" is not a gateway: there is g1, g2: did you mean "g1"?`, "resolve [GATEWAY…]", "resolve g1 g2"}},
		{"resolve v1-a", []string{`"v1-a" is not a gateway`}},
		{"deregister v1-c", []string{`"v1-c" is not an instance: there is v1-a, v1-b: did you mean "v1-a"?`}},
		{"deregister", []string{"INSTANCE… is missing: an instance"}},
		{"register a", []string{`"a" is not an instance: an instance is called version-letter, as in "v1-a"`}},
		{"register v2-a tll=3s", []string{`it knows no argument "tll": did you mean "ttl"?`}},
		{"register v2-a ttl=3", []string{`"3" is not a duration: it may be a number and its unit`}},
		{"register v2-a ttl=", []string{"ttl= has no value: it takes a duration"}},
		{"register v1-a", []string{"there is a v1-a already", "restart v1-a starts it again"}},
		{"get ops mode=linearisable", []string{`"linearisable" is not linearizable or serializable`, `did you mean "linearizable"?`}},
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
		{"report", []string{"arrange begins one"}},
		{"try fix=(upgrade)", []string{`"upgrade" is not a fix`}}, // no matrix was given
	} {
		_, err := nb.line(c.line)
		for _, s := range c.says {
			require.ErrorContains(t, err, s, c.line)
		}
	}
	_, err = nb.line("resolve g1", "resolve g2")
	require.ErrorContains(t, err, `the line after a command and its arguments is ----; here it is "resolve g2"`)
}

func TestAMistakeInAFileNamesItsLine(t *testing.T) {
	t.Parallel()
	require.Equal(t, "fixtures/notebooks/03.txt:7", place("../fixtures/notebooks/03.txt:7"))
	require.Equal(t, "a.txt:9", linesOn("a.txt:7", 2))
}

func TestAtTheDeadlineItSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	nb := pad(t, Options{})
	for _, line := range []string{"bench proxies=1 gateways=1", "hold p1 put"} {
		_, err := nb.line(line)
		require.NoError(t, err)
	}
	whole := nb.ctx
	for line, says := range map[string]string{
		"wait-for g1 ghost":  "waited for g1 to be told of somebody who is gone: it is told v1-a v1-b",
		"wait-for p1 held":   "waited for p1 to hold a put",
		"wait-for v1-a gone": "waited for v1-a to be gone from etcd",
	} {
		ctx, cancel := context.WithTimeoutCause(whole, 300*time.Millisecond, errors.New("the notebook's deadline of 300ms"))
		nb.ctx = ctx
		_, err := nb.line(line)
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
		got, err := nb.line(line)
		require.NoError(t, err, line)
		require.Contains(t, got, want, line)
	}
	run("bench proxies=1 gateways=1", "truth     v1-a v1-b (revision 3)")
	run("hold p1 delete before", "p1 will hold the next delete, before etcd sees it")
	run("deregister v1-a", "p1 holds the delete on its way to etcd: etcd has not seen it")
	run("truth", "truth is v1-a v1-b (revision 3)")
	run("resolve g1", "fresh  miss at p1, revision 3")
	run("release p1", "v1-a deregisters through p1 (revision 4) and stops")
	run("resolve g1", "GHOST v1-a  hit at p1, revision 3; truth is at 4")
	// A bench that ends lets go what was held on it.
	run("hold p1 put", "p1 will hold the next put, on its way back from etcd")
	run("register v2-a", "p1 holds etcd's answer to the put: etcd has done it, p1 does not know")
	run("bench proxies=1 gateways=1", "truth     v1-a v1-b (revision 3)")
}

func TestTheDiffReadsLikeTheStory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.txt")
	require.NoError(t, os.WriteFile(path, []byte("# One leaves.\n# Who is left?\n\ncall g1\n----\na\nb\nc\n"), 0o600))
	nb := &Notebook{story: []told{
		{data: datadriven.TestData{Pos: path + ":4"}, expected: "a\nb\nc\n", actual: "a\nd\nc\n"},
		{data: datadriven.TestData{Pos: path + ":9"}, expected: "same\n", actual: "same\n"},
	}}
	require.Equal(t, path+":4\n    # One leaves.\n    # Who is left?\n    \n    call g1\n    ----\n    a\n  - b\n  + d\n    c\n\n", nb.differences())
}

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"wait-for", "register", "deregister", "resolve", "release", "report"}
	for typed, want := range map[string]string{"regster": "register", "Resolve": "resolve", "resovle": "resolve", "relase": "release", "wait": "wait-for", "xyzzy": ""} {
		require.Equal(t, want, nearest(typed, words), typed)
	}
}

func TestAPlayedNotebookShowsWhatHappens(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.txt")
	require.NoError(t, os.WriteFile(path, []byte("# A STORY\n#\n# It begins.\n\nbench direct gateways=1 members=1\n----\nmembers   m7\n\n# It goes on.\n\ntruth\n----\ntruth is v1-a v1-b (revision 3)\n\n# The end.\n"), 0o600))
	var out bytes.Buffer
	Run(t, Options{Player: &Player{Out: &out}}, path)
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

func TestEveryCommandRuns(t *testing.T) {
	t.Parallel()
	Run(t, Options{}, "testdata/commands.txt")
}
