package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const top = "../../.."

var (
	making    = regexp.MustCompile(`make [a-z].*`)
	playing   = regexp.MustCompile(`make notebook.*`)
	codeSpan  = regexp.MustCompile("(?ms)^```.*?^```|`[^`\n]+`|^ {4}[^\n]+$")
	makeRule  = regexp.MustCompile(`(?m)^([a-z-]+):`)
	madeRule  = regexp.MustCompile("(?m)^[ `]*" + `make ([a-z][a-z-]*)((?: [A-Z]+=[\w."-]+)*)`)
	madeArgs  = regexp.MustCompile(`make ([a-z-]+) ARGS="([^"]*)"`)
	shellName = regexp.MustCompile(`\$[A-Z_]+`)
	someFlags = regexp.MustCompile(`\bghostroute ([a-z][^'"#` + "`" + `]*)`)
)

// TestCommandsInThePapers looks for every target of make, and every verb, flag, scenario and fix of ghostroute, that
// the papers, the workflows and the Kubernetes jobs name.
func TestCommandsInThePapers(t *testing.T) {
	t.Setenv("JOB_COMPLETION_INDEX", "0")
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	require.NoError(t, err)
	rules := map[string]bool{}
	for _, m := range makeRule.FindAllStringSubmatch(string(makefile), -1) {
		rules[m[1]] = true
	}
	made, called := 0, 0
	for file, code := range papers(t) {
		for _, m := range madeRule.FindAllStringSubmatch(code, -1) {
			made++
			assert.True(t, rules[m[1]], "%s says make %s, and there is no such target", file, m[1])
			for _, set := range strings.Fields(m[2]) {
				variable, _, _ := strings.Cut(set, "=")
				assert.True(t, strings.Contains(string(makefile), "$("+variable+")"), "%s says make %s with %s", file, m[1], set)
			}
		}
		for _, m := range madeArgs.FindAllStringSubmatch(code, -1) {
			args := strings.Fields(shellName.ReplaceAllString(m[2], "1"))
			assert.NoError(t, understood(append([]string{m[1]}, args...)), "%s says %s", file, m[0])
		}
		for _, m := range someFlags.FindAllStringSubmatch(code, -1) {
			called++
			assert.NoError(t, understood(strings.Fields(m[1])), "%s says ghostroute %s", file, m[1])
		}
	}
	require.NotZero(t, made)
	require.NotZero(t, called)
}

// understood is why a command line of ghostroute's cannot be.
func understood(args []string) error {
	cmd, rest, err := (&command{}).root().Find(args)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	named := map[string]string{}
	for _, flag := range []string{"scenario", "fix"} {
		if f := cmd.Flags().Lookup(flag); f != nil && f.Value.String() != "NAME" {
			named[flag] = f.Value.String()
		}
	}
	if cmd.Name() == "beyond" {
		_, _, err = beyondChosen(named["scenario"], named["fix"])
	} else {
		_, _, err = chosen(named["scenario"], named["fix"])
	}
	return err
}

// papers is the code in the project's Markdown files, what notebooks say of how they are played, and what jobs make, by
// file.
func papers(t *testing.T) map[string]string {
	t.Helper()
	code := map[string]string{}
	require.NoError(t, filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && (e.Name() == "artifacts" || e.Name() == "testdata") {
			return fs.SkipDir
		}
		in := map[string]*regexp.Regexp{".md": codeSpan, ".txt": playing, ".yml": making, ".yaml": making}[filepath.Ext(path)]
		if err != nil || in == nil {
			return err
		}
		text, err := os.ReadFile(path)
		code[path] = strings.Join(in.FindAllString(string(text), -1), "\n")
		return err
	}))
	return code
}
