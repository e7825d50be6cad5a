package notebook

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/datadriven"

	"ghostroute/harness/gateway"
	"ghostroute/harness/verdict"
)

func (c *call) try() error {
	switch {
	case c.has("scenario") && c.input != "":
		return c.wrong("say a scenario or commands of your own, not both")
	case !c.has("scenario") && c.input == "":
		return c.wrong("say a scenario, or put the commands to try between this line and ----")
	case c.has("reading") && c.input != "":
		return c.wrong("with commands of your own, reading is said to bench")
	}
	fixes, run := c.allOr("fix", c.nb.topologyFixNames()), c.trial
	if c.has("scenario") {
		fixes, run = c.allOr("fix", c.nb.fixNames()), c.cell
	}
	results := make([]result, len(fixes))
	var trials sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for i, name := range fixes {
		turns <- struct{}{}
		trials.Go(func() {
			defer func() { <-turns }()
			results[i].Verdict, results[i].says, results[i].err = run(name)
		})
	}
	trials.Wait()

	width := 0
	for _, name := range fixes {
		width = max(width, len(name))
	}
	for i, r := range results {
		if r.err != nil {
			return r.err
		}
		c.say("%-*s  %s", width, fixes[i], r.says)
		if r.Label != "" {
			c.nb.verdicts = append(c.nb.verdicts, r.Verdict)
		}
	}
	return nil
}

// atOnce is how many trials go on at a time. They mostly wait.
const atOnce = 4

// result is what a trial came to, and how that is printed.
type result struct {
	Verdict
	says string
	err  error
}

// cell has the matrix run one of its own.
func (c *call) cell(fix string) (Verdict, string, error) {
	reading := cmp.Or(c.one("reading"), string(gateway.EachRequest))
	v, na, err := c.nb.opts.Try(c.ctx(), c.one("scenario"), fix, reading)
	switch {
	case err != nil:
		return Verdict{}, "", fmt.Errorf("the trial of %s: %w", fix, err)
	case na != "":
		return Verdict{}, "n/a: " + na, nil
	}
	return Verdict{Scenario: c.one("scenario"), Fix: fix, Reading: reading, Label: v.Label()}, says(v), nil
}

// says is a verdict in a line.
func says(v verdict.Verdict) string {
	if v.Outcome == verdict.Unknown {
		return v.Label() + ": " + v.Why
	}
	return v.Label()
}

// trial runs the script on a bench of its own.
func (c *call) trial(fix string) (_ Verdict, _ string, err error) {
	if !slices.Contains(c.nb.topologyFixNames(), fix) {
		return Verdict{}, "", c.wrong("an operator does %s, it is no topology: say a scenario, or do it yourself", fix)
	}
	o := c.nb.opts
	o.Dir = "" // the bench that the notebook itself drives is the one to look at
	sub := newNotebook(c.ctx(), o)
	defer func() { err = errors.Join(err, sub.close()) }()

	script, first := strings.Split(c.input, "\n"), 1
	if !strings.HasPrefix(script[0], "bench") {
		script, first = append([]string{"bench"}, script...), 0
	}
	for i, line := range script {
		name, args, err := datadriven.ParseLine(line)
		switch {
		case err != nil:
			return Verdict{}, "", c.wrong("%v", err)
		case name == c.command.Name:
			return Verdict{}, "", c.wrong("a trial in a trial cannot be")
		case i == 0:
			args = append(args, datadriven.CmdArg{Key: "fix", Vals: []string{fix}})
		}
		if _, err := sub.execute(linesOn(c.pos, first+i), name, args, ""); err != nil {
			return Verdict{}, "", mistake(fmt.Sprintf("in the trial of %s, at %q: %v", fix, line, err))
		}
	}
	v, err := sub.judge("")
	if err != nil {
		return Verdict{}, "", mistake(fmt.Sprintf("in the trial of %s: %v", fix, err))
	}
	return Verdict{}, sub.clean(says(v)), nil
}

// linesOn is the place n lines after pos.
func linesOn(pos string, n int) string {
	at := strings.LastIndexByte(pos, ':')
	line, err := strconv.Atoi(pos[at+1:])
	if err != nil {
		return pos
	}
	return fmt.Sprintf("%s:%d", pos[:at], line+n)
}
