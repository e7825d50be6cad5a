package notebook

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cockroachdb/datadriven"
)

// parse sorts what was typed into the command's arguments. Its error says what is wrong with the first that cannot be.
func (c *call) parse(typed []datadriven.CmdArg) error {
	places := slices.DeleteFunc(slices.Clone(c.command.Args), func(a Arg) bool { return !a.placed() })
	var names []string
	for _, a := range c.command.Args {
		if !a.placed() {
			names = append(names, a.name())
		}
	}
	for _, t := range typed {
		var arg *Arg
		for i, a := range c.command.Args {
			if a.name() == t.Key && (a.flag() || a.named() && t.Vals != nil) {
				arg = &c.command.Args[i]
			}
		}
		values := slices.DeleteFunc(slices.Clone(t.Vals), func(s string) bool { return s == "" })
		switch {
		case arg != nil && arg.flag() && t.Vals != nil:
			return c.wrong("%s takes no value: write %[1]s alone", t.Key)
		case arg != nil && len(values) > 1 && !arg.many():
			return c.wrong("%s takes one value, not %d", t.Key, len(values))
		case arg != nil && len(values) == 0 && arg.named() && !arg.many():
			return c.wrong("%s= has no value: it takes %s", t.Key, arg.Kind.word)
		case arg == nil && t.Vals != nil:
			return c.wrong("it knows no argument %q%s", t.Key, didYouMean(t.Key, names))
		case arg == nil && len(places) == 0:
			return c.wrong("%q is one word too many%s", t.Key, didYouMean(t.Key, names))
		case arg == nil:
			arg, values = &places[0], []string{t.Key}
			if !arg.many() {
				places = places[1:]
			}
		}
		for _, v := range values {
			if err := arg.Kind.check(c.nb, v); err != nil {
				return c.wrong("%q is not %s: %v", v, arg.Kind.word, err)
			}
		}
		c.args[arg.name()] = append(c.args[arg.name()], values...)
	}
	for _, a := range c.command.Args {
		if !a.optional() && !c.has(a.name()) {
			return c.wrong("%s is missing: %s", a.Form, a.Kind.word)
		}
	}
	return nil
}

// wrong is an error about how a command was written, with how it is.
func (c *call) wrong(format string, args ...any) error {
	return mistake(fmt.Sprintf("%s: %s\n    it is written: %s\n    for example:   %s",
		c.command.Name, fmt.Sprintf(format, args...), c.command.Usage(), firstLine(c.command.Example)))
}

// has says whether an argument was given.
func (c *call) has(name string) bool { _, ok := c.args[name]; return ok }

// one is an argument's value, "" where it was not given.
func (c *call) one(name string) string {
	if v := c.args[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// all are an argument's values.
func (c *call) all(name string) []string { return c.args[name] }

// allOr are an argument's values, or others where none was given.
func (c *call) allOr(name string, others []string) []string {
	if v := c.args[name]; len(v) > 0 {
		return v
	}
	return others
}

// number is an argument's value, 0 where it was not given. parse has seen that it is one.
func (c *call) number(name string) int {
	n, _ := strconv.Atoi(c.one(name))
	return n
}

// duration is an argument's value, 0 where it was not given. parse has seen that it is one.
func (c *call) duration(name string) time.Duration {
	d, _ := time.ParseDuration(c.one(name))
	return d
}
