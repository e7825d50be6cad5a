package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/report"
	"ghostroute/scenarios"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ghostroute-test-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "ghostroute")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// ended is what a run of the program left behind.
type ended struct {
	code      int
	out, errs string
}

// program is a run of the program in a folder for temporary files of its own, which must be empty in the end.
func program(t *testing.T, args ...string) (cmd *exec.Cmd, end func(err error) ended) {
	t.Helper()
	tmp := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	return cmd, func(err error) ended {
		t.Helper()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		left, err := os.ReadDir(tmp)
		require.NoError(t, err)
		require.Empty(t, left, "nothing was to be left behind")
		return ended{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	}
}

func run(t *testing.T, args ...string) ended {
	t.Helper()
	cmd, end := program(t, args...)
	return end(cmd.Run())
}

func TestBadInputIsSaidInOneLineAndIsNeverSuccess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"", 128, "no verb was given"},
		{"incidnet", 128, `there is no verb "incidnet": did you mean "incident"?`},
		{"help incidnet", 128, `there is no verb "incidnet": did you mean "incident"?`},
		{"completion bish", 128, "completion takes one shell: bash, fish, powershell or zsh"},
		{"incident --colour never", 128, `there is no flag "--colour": did you mean "--color"?`},
		{"incident --color blue", 128, `"blue" for "--color" flag: it may be auto, always or never`},
		{"incident --etcd 3.5", 128, "3.5 is an etcd that runs as a process: it is given with --on real"},
		{"incident --on real --etcd 3.7,3.9", 2, `there is no etcd "3.9"`},
		{"incident --on real --etcd 3.7,3.7,3.7,3.7,3.7,3.7", 128, "--etcd has 6 programs: it may have one for each member"},
		{"incident --on real --etcd 3.9", 2, `there is no etcd "3.9"`},
		{"matrix --on real --etcd /bin/true", 2, "/bin/true is no etcd that can be run"},
		{"incident --balancer lvs", 128, `"lvs" for "--balancer" flag: it may be own, haproxy or ipvs`},
		{"incident --balancer haproxy --client naming", 128, "told in this process"},
		{"incident --client naming --etcd 3.5", 128, "3.5 is an etcd that runs as a process: it is given with --on real"},
		{"incident --client period --etcd 3.5", 128, "3.5 is an etcd that runs as a process: it is given with --on real"},
		{"incident --client perid", 128, `"perid" for "--client" flag: it may be go-micro, naming or period`},
		{"matrix --client naming", 128, "naming's clients have scenarios of their own"},
		{"matrix --balancer ipvs", 2, "ipvsadm -A -t VIP:2379 -s wrr"},
		{"matrix --on paper", 128, `"paper" for "--on" flag: it may be embedded or real`},
		{"incident twice", 128, `incident takes no argument, and was given "twice"`},
		{"version -o yaml", 128, `it may be text or json`},
		{"matrix --scenario crush", 128, `there is no scenario "crush": did you mean "crash"?`},
		{"matrix --shard 5/4", 128, `invalid argument "5/4" for "--shard" flag: it is no part: it may be 1/N to N/N`},
		{"matrix --shard 4", 128, "it may be I/N, or N where JOB_COMPLETION_INDEX says which"},
		{"merge", 128, "merge takes the folders of the shards, and was given none"},
		{"merge nowhere", 2, "open nowhere/matrix.json: no such file"},
		{"matrix --fix tlt", 128, `there is no fix "tlt": did you mean "ttl"?`},
		{"explore --fix tlt", 128, `there is no fix "tlt": did you mean "ttl"?`},
		{"explore --checks convergance", 128, `there is no check "convergance": did you mean "convergence"?`},
		{"explore --time 60", 128, `invalid argument "60" for "--time" flag`},
		{"explore --steps 0", 128, `--steps is 0: it may be 1 to`},
		{"explore --seed -1", 128, `invalid argument "-1" for "--seed" flag`},
		{"explore --expected ../../../fixtures/found/lost-txn.txt", 128, `--expected draws plans of its own, and was given`},
		{"explore nowhere.txt", 128, `"nowhere.txt" is neither a plan in one line`},
		{"explore plan members=3", 128, `explore takes one plan, in quotes, or one file`},
		{"notebook", 128, "notebook takes the number of one chapter, list, or --commands"},
		{"notebook 99", 128, `there is no chapter "99": there are 1, 2`},
		{"notebook 1 --in zh-TW", 128, `there is no translation "zh-TW": did you mean "zh-CN"?`},
		{"notebook list --commands", 128, "notebook takes"},
		{"notebook 1 --pace -1", 128, "--pace is -1: it may be 0"},
		{"judge", 128, "judge takes one file, and was given 0"},
		{"draw nowhere.jsonl", 128, "open nowhere.jsonl: no such file"},
		{"judge main.go", 128, "main.go is no history: line 1 is no event"},
		{"judge main.go --reading rarely", 128, "it may be each-request or go-micro"},
		{"causes --fix ttl", 128, `causes: there is no flag "--fix"`},
		{"incident --out " + file + "/below", 2, "the output folder " + file + "/below cannot be made"},
		{"matrix --out " + file, 2, "the output folder " + file + " cannot be made"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			got := run(t, strings.Fields(c.args)...)
			require.Equal(t, c.code, got.code, "%s%s", got.out, got.errs)
			require.Contains(t, got.errs, c.says)
			require.Equal(t, 1, strings.Count(got.errs, "\n"), "one line: %s", got.errs)
			require.Empty(t, got.out)
		})
	}
}

func TestMembersThatCannotBeOfOneClusterAreRefused(t *testing.T) {
	t.Parallel()
	var etcds []string
	for _, version := range []string{"3.5.35", "3.7.3"} {
		path := filepath.Join(t.TempDir(), "etcd")
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho etcd Version: "+version+"\n"), 0o755))
		etcds = append(etcds, path)
	}
	got := run(t, "incident", "--on", "real", "--etcd", strings.Join(etcds, ","))
	require.Equal(t, 128, got.code)
	require.Equal(t, "ghostroute: etcd 3.5.35 and 3.7.3 cannot be members of one cluster: they are more than one minor "+
		"version apart\n", got.errs)
	require.Empty(t, got.out)
}

func TestTheVersionIsThatOfWhatIsBuiltIn(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^etcd      v3\.\d+\.\d+\ngo-micro  v2\.9\.1\ngo        go1\.\d+`, run(t, "version").out)
	require.Regexp(t, `^{"etcd":"v3\.\d+\.\d+","go_micro":"v2\.9\.1","go":"go1\.`, run(t, "version", "-o", "json").out)
}

func TestHelpHasExamplesAndTheShellCompletesNames(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"help", "matrix"}, {"matrix", "--help"}} {
		got := run(t, args...)
		require.Zero(t, got.code)
		require.Contains(t, got.out, "Examples:\n  ghostroute matrix\n")
	}
	require.Contains(t, run(t, "--help").out, "  128  the command line is wrong")
	require.Contains(t, run(t, "completion", "bash").out, "complete -o default")
	require.Contains(t, run(t, "__complete", "matrix", "--fix", "").out, "no-proxy\n")
	require.Contains(t, run(t, "__complete", "notebook", "0").out, "03-the-incident\n")
}

func TestACellOfTheMatrixIsAReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got := run(t, "matrix", "--scenario", "deregister-same", "--fix", "none", "-o", "json", "--out", dir)
	require.Zero(t, got.code, got.errs)
	var r report.Run
	require.NoError(t, json.Unmarshal([]byte(got.out), &r))
	require.Len(t, r.Cells, 1)
	require.Len(t, r.Cells[0].Readings, 2)
	require.Equal(t, "fresh", r.Cells[0].Readings[0].Verdict.Label())
	for _, name := range []string{"matrix.html", "matrix.txt", "matrix.md", "matrix.json"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
}

// TestShardsMergedAreTheRun tries one cell as three machines would: one has it, and two have none.
func TestShardsMergedAreTheRun(t *testing.T) {
	t.Parallel()
	var dirs []string
	for index := range 3 {
		dir := filepath.Join(t.TempDir(), "a b")
		cmd, end := program(t, "matrix", "--scenario", "deregister-same", "--fix", "none", "--shard", "3", "--out", dir)
		cmd.Env = append(cmd.Env, fmt.Sprintf("JOB_COMPLETION_INDEX=%d", index))
		got := end(cmd.Run())
		require.Zero(t, got.code, got.errs)
		dirs = append(dirs, dir)
	}
	out, junit := t.TempDir(), filepath.Join(t.TempDir(), "matrix.xml")
	got := run(t, append([]string{"merge", "-o", "json", "--out", out, "--junit", junit}, dirs...)...)
	require.Zero(t, got.code, got.errs)
	var r report.Run
	require.NoError(t, json.Unmarshal([]byte(got.out), &r))
	require.Len(t, r.Cells, 1)
	require.Equal(t, "fresh", r.Cells[0].Readings[0].Verdict.Label())
	for _, name := range []string{"matrix.html", "matrix.txt", "matrix.md", "matrix.json"} {
		require.FileExists(t, filepath.Join(out, name))
	}
	text, err := os.ReadFile(junit)
	require.NoError(t, err)
	require.Contains(t, string(text), `tests="2" failures="0" errors="0"`)

	cmd, end := program(t, append([]string{"merge", "--out", out, "--junit", junit}, dirs[1:]...)...)
	cmd.Env = append(cmd.Env, "GITHUB_ACTIONS=true")
	got = end(cmd.Run())
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errs, "1 shard missing: 1/3")
	require.Contains(t, got.out, "::error title=1 shard missing::")
	text, err = os.ReadFile(junit)
	require.NoError(t, err)
	require.Contains(t, string(text), `tests="2" failures="0" errors="2"`)
}

// TestAMovedCellIsAnnotated runs a cell in a repository that expects something else of it, as CI does.
func TestAMovedCellIsAnnotated(t *testing.T) {
	t.Parallel()
	clone, junit := t.TempDir(), filepath.Join(t.TempDir(), "matrix.xml")
	require.NoError(t, os.MkdirAll(filepath.Join(clone, "fixtures"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(clone, "go.mod"), []byte("module ghostroute\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(clone, "fixtures", "verdicts.txt"),
		[]byte("[deregister-same]\nnone stale ghost fresh\n"), 0o644))
	cmd, end := program(t, "matrix", "--scenario", "deregister-same", "--fix", "none", "--junit", junit)
	cmd.Dir, cmd.Env = clone, append(cmd.Env, "GITHUB_ACTIONS=true")
	got := end(cmd.Run())
	require.Equal(t, 1, got.code, got.errs)
	require.Contains(t, got.out, "\n::error title=deregister-same against none moved%2C read each-request::"+
		"deregister-same against none moved, read each-request%0A  it was   stale ghost%0A")
	text, err := os.ReadFile(junit)
	require.NoError(t, err)
	require.Contains(t, string(text), `tests="2" failures="1" errors="0"`)
	require.Contains(t, string(text), "go run ./harness/cmd/ghostroute draw artifacts/matrix/deregister-same/none/")
}

func TestTheIncidentIsTold(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a b")
	got := run(t, "incident", "--out", dir, "--color", "always")
	require.Zero(t, got.code, got.errs)
	require.Contains(t, got.out, "7 An instance crashes")
	require.Contains(t, got.out, "\x1b[")
	require.FileExists(t, filepath.Join(dir, "history.jsonl"))
}

// soon is by when a program that was told to end has ended, on a machine with four times as much to do as it has cores
// too: there it was 2.1 s, otherwise it is a fraction of one.
const soon = 10 * time.Second

// authPlan is a plan with authentication on, under which etcd's leasing client waits for ever.
const authPlan = "plan members=3 proxies=2 clients=2 auth | read g1 p1 k1"

func TestAPlanThatAFixCannotBeRunUnderIsNotBegun(t *testing.T) {
	t.Parallel()
	got := run(t, "explore", "--fix", "leasing", "--out", t.TempDir(), authPlan)
	require.Equal(t, 2, got.code)
	require.Contains(t, got.errs, "this plan cannot be run under the fix leasing: with authentication on ")
}

// verbs that go on until they are told to end, or for long enough.
func long(t *testing.T) map[string][]string {
	return map[string][]string{
		"incident": {"incident", "--out", t.TempDir()},
		"matrix":   {"matrix", "--out", t.TempDir()},
		"notebook": {"notebook", "3", "--out", t.TempDir()},
		"soak":     {"soak", "--out", t.TempDir()},
		"stress":   {"stress", "--out", t.TempDir()},
	}
}

func TestASignalEndsItSoonAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, args := range long(t) {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(name+" "+sig.String(), func(t *testing.T) {
				t.Parallel()
				cmd, end := program(t, args...)
				cmd.Stdout = nil
				pipe, err := cmd.StdoutPipe()
				require.NoError(t, err)
				require.NoError(t, cmd.Start())
				_, err = pipe.Read(make([]byte, 1)) // it has begun
				require.NoError(t, err)
				require.NoError(t, cmd.Process.Signal(sig))
				told := time.Now()
				go func() { _, _ = new(bytes.Buffer).ReadFrom(pipe) }()
				got := end(cmd.Wait())
				require.Less(t, time.Since(told), soon)
				require.Equal(t, 2, got.code)
				require.Contains(t, got.errs, "interrupted: ")
			})
		}
	}
}

func TestAClosedPipeEndsItSoonAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, args := range long(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, end := program(t, args...)
			cmd.Stdout = nil
			pipe, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			_, err = pipe.Read(make([]byte, 1))
			require.NoError(t, err)
			require.NoError(t, pipe.Close())
			closed := time.Now()
			got := end(cmd.Wait())
			require.Less(t, time.Since(closed), soon)
			require.Equal(t, 2, got.code)
			require.Contains(t, got.errs, "the output is not read any more: ")
		})
	}
}

// TestAMovedCellIsJudgedAndDrawnFromItsFile takes the two commands from what a moved cell says, and runs them.
func TestAMovedCellIsJudgedAndDrawnFromItsFile(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := scenarios.Named("deregister-elsewhere")
	require.NoError(t, err)
	f, err := scenarios.FixNamed("none")
	require.NoError(t, err)
	expected := scenarios.Verdicts{}
	for _, r := range scenarios.Readings {
		expected[scenarios.Key{Scenario: s.Name, Fix: f.Name, Reading: r}] = "fresh"
	}
	m, err := scenarios.NewMatrix(expected, filepath.Join(t.TempDir(), "a b"))
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	_, moved, err := m.Cell(ctx, s, f)
	require.NoError(t, err)
	require.Len(t, moved, len(scenarios.Readings))
	require.Contains(t, moved[0], "it was   fresh\n  it is    stale ghost: ")
	commands := regexp.MustCompile(`(judge|draw) '(.*)'\n`).FindAllStringSubmatch(moved[0], -1)
	require.Len(t, commands, 2, moved[0])
	file := commands[0][2]

	got := run(t, commands[0][1], file)
	require.Zero(t, got.code, got.errs)
	require.Contains(t, moved[0], "it is    "+strings.SplitN(got.out, "\n", 2)[0])
	got = run(t, "judge", file, "-o", "json")
	require.Contains(t, got.out, `{"outcome":"stale","symptom":"ghost",`)

	got = run(t, commands[1][1], file)
	require.Zero(t, got.code, got.errs)
	require.FileExists(t, strings.TrimSuffix(file, ".jsonl")+".html")

	got = run(t, "judge", file, "--service", "other")
	require.Equal(t, 128, got.code)
	require.Contains(t, got.errs, "has its question in its first line: --service may not ask another")

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	was := filepath.Join(t.TempDir(), "was.jsonl")
	refreshed := bytes.Replace(text, []byte(`"verdict":"stale ghost"`), []byte(`"verdict":"fresh"`), 1)
	require.NoError(t, os.WriteFile(was, refreshed, 0o644))
	got = run(t, "judge", was)
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errs, "it is stale ghost, and was fresh when it was saved")

	first, rest, _ := bytes.Cut(text, []byte("\n"))
	plain := filepath.Join(t.TempDir(), "plain.jsonl")
	require.NoError(t, os.WriteFile(plain, rest, 0o644))
	got = run(t, "judge", plain)
	require.Equal(t, 1, got.code, "a plain history is expected to be fresh: %s%s", got.out, got.errs)
	require.Contains(t, got.out, "stale ghost: ")

	for name, cut := range map[string][]byte{"a line": text[:len(text)-10], "lines": append(first, '\n'), "all": nil} {
		file := filepath.Join(t.TempDir(), "cut.jsonl")
		require.NoError(t, os.WriteFile(file, cut, 0o644))
		for _, verb := range []string{"judge", "draw"} {
			got := run(t, verb, file)
			require.Equal(t, 128, got.code, name)
			require.Contains(t, got.errs, file+" is no history: ")
			require.Equal(t, 1, strings.Count(got.errs, "\n"))
		}
	}
}

// TestMakeInAFolderWithABlankInItsName runs make as in a clone called "a b", with a compiler that hands out the program
// under test.
func TestMakeInAFolderWithABlankInItsName(t *testing.T) {
	t.Parallel()
	top, clone := "../../..", filepath.Join(t.TempDir(), "a b")
	require.NoError(t, os.CopyFS(filepath.Join(clone, "fixtures"), os.DirFS(filepath.Join(top, "fixtures"))))
	for _, name := range []string{"Makefile", "go.mod"} {
		text, err := os.ReadFile(filepath.Join(top, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(clone, name), text, 0o644))
	}
	compiler := filepath.Join(t.TempDir(), "go")
	require.NoError(t, os.WriteFile(compiler, []byte("#!/bin/sh\ncp "+binary+" \"$3\"\n"), 0o755))
	mk := func(args ...string) ended {
		var out, errs bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "make", append(args, "GO="+compiler)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = clone, &out, &errs
		_ = cmd.Run()
		return ended{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	}
	got := mk("incident")
	require.Zero(t, got.code, got.errs)
	require.Contains(t, got.out, "7 An instance crashes")
	require.FileExists(t, filepath.Join(clone, "artifacts", "incident", "history.jsonl"))
	got = mk("notebook", "N=2", "PACE=0")
	require.Zero(t, got.code, got.errs)
	require.Contains(t, got.out, "answers/02.txt")
	for _, args := range [][]string{{"notebook", "N=99"}, {"explore", "ARGS=--fix tlt"}, {"explore", "FIX=ttl"}} {
		got = mk(args...)
		require.NotZero(t, got.code, args)
		require.Contains(t, got.errs, "there is no ", args)
	}
}
