package notebook

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
)

// kind is what values an argument may have.
type kind struct {
	word  string                                 // what it is, in a sentence: "a gateway"
	flag  bool                                   // it has no value: it is there or not
	names func(*Notebook) []string               // the values there are just now; nil where valid decides
	valid func(nb *Notebook, value string) error // why a value cannot be; nil where names decide or anything goes
}

func named(word string, names func(*Notebook) []string) kind { return kind{word: word, names: names} }

func oneOf(words ...string) kind {
	return kind{word: or(words), names: func(*Notebook) []string { return words }}
}

// or lists words as a sentence does: "a, b or c".
func or(words []string) string {
	words = strings.Split(strings.ReplaceAll(strings.Join(words, ", "), " or ", ", "), ", ")
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
	return words[0]
}

func (k kind) or(other kind) kind {
	return kind{word: or([]string{k.word, other.word}), names: func(nb *Notebook) []string { return append(k.names(nb), other.names(nb)...) }}
}

var instanceName = regexp.MustCompile(`^[a-z0-9]+-[a-z0-9]+$`)

// The kinds. Each is made when it is asked for, and none has state.
func aFlag() kind      { return kind{word: "a word of its own", flag: true} }
func aText() kind      { return kind{word: "any text"} }
func aProxy() kind     { return named("a proxy", (*Notebook).proxyNames) }
func aMember() kind    { return named("a member", (*Notebook).memberNames) }
func aGateway() kind   { return named("a gateway", (*Notebook).gatewayNames) }
func anInstance() kind { return named("an instance", (*Notebook).instanceNames) }
func aClient() kind    { return named("a client", (*Notebook).clientNames) }
func aCure() kind      { return named("a fix", (*Notebook).matrixFixes) }
func aScenario() kind  { return named("a scenario", (*Notebook).scenarioNames) }
func aFix() kind       { return named("a fix", (*Notebook).fixNames) }

// connected is whoever has a connection through the balancer.
func connected() kind { return aGateway().or(anInstance()).or(aClient()) }

// asker is whoever can be asked to ask etcd: over its own connection, or straight at a proxy or a member.
func asker() kind { return connected().or(aProxy()).or(aMember()) }

func aVariant() kind {
	return named("a proxy variant", func(*Notebook) []string {
		var names []string
		for _, v := range proxy.Variants() {
			names = append(names, v.String())
		}
		return names
	})
}

func aMode() kind {
	var modes []string
	for _, m := range registry.Modes() {
		modes = append(modes, string(m))
	}
	return oneOf(modes...)
}

func newInstance() kind {
	return kind{word: "an instance", valid: func(_ *Notebook, s string) error {
		if !instanceName.MatchString(s) {
			return fmt.Errorf(`an instance is called version-letter, as in "v1-a"`)
		}
		return nil
	}}
}

func aNumber() kind {
	return kind{word: "a number", valid: func(_ *Notebook, s string) error {
		if n, err := strconv.Atoi(s); err != nil || n < 0 {
			return fmt.Errorf("it may be 0, 1, 2 …")
		}
		return nil
	}}
}

func aDuration() kind {
	return kind{word: "a duration", valid: func(_ *Notebook, s string) error {
		if d, err := time.ParseDuration(s); err != nil || d < 0 {
			return fmt.Errorf(`it may be a number and its unit, as in "2s" or "50ms"`)
		}
		return nil
	}}
}

// check says why a value cannot be, with the nearest one that can.
func (k kind) check(nb *Notebook, value string) error {
	if k.names == nil {
		if k.valid == nil {
			return nil
		}
		return k.valid(nb, value)
	}
	names := k.names(nb)
	if slices.Contains(names, value) {
		return nil
	}
	if len(names) == 0 {
		return fmt.Errorf("there is none")
	}
	return fmt.Errorf("there is %s%s", strings.Join(names, ", "), didYouMean(nearest(value, names)))
}

// parse sorts what was typed into the command's arguments, and says of the first that cannot be what is wrong with it.
func (c *call) parse(typed []datadriven.CmdArg) error {
	places := slices.DeleteFunc(slices.Clone(c.command.Args), func(a Arg) bool { return a.Named || a.Kind.flag })
	for _, t := range typed {
		var arg *Arg
		for i, a := range c.command.Args {
			if a.Name == t.Key && (a.Kind.flag || a.Named && t.Vals != nil) {
				arg = &c.command.Args[i]
			}
		}
		values := slices.DeleteFunc(slices.Clone(t.Vals), func(s string) bool { return s == "" })
		switch {
		case arg != nil && arg.Kind.flag && t.Vals != nil:
			return c.wrong("%s takes no value: write %s alone", arg.Name, arg.Name)
		case arg != nil && len(values) > 1 && !arg.Many:
			return c.wrong("%s takes one value, not %d", arg.Name, len(values))
		case arg != nil && len(values) == 0 && !arg.Kind.flag && !arg.Many:
			return c.wrong("%s= has no value: it takes %s", arg.Name, arg.Kind.word)
		case arg == nil && t.Vals != nil:
			return c.wrong("it knows no argument %q%s", t.Key, didYouMean(nearest(t.Key, c.argNames())))
		case arg == nil && len(places) == 0:
			return c.wrong("%q is one word too many%s", t.Key, didYouMean(nearest(t.Key, c.argNames())))
		case arg == nil:
			arg, values = &places[0], []string{t.Key}
			if !arg.Many {
				places = places[1:]
			}
		}
		for _, v := range values {
			if err := arg.Kind.check(c.nb, v); err != nil {
				return c.wrong("%q is not %s: %v", v, arg.Kind.word, err)
			}
		}
		c.args[arg.Name] = append(c.args[arg.Name], values...)
	}
	for _, a := range c.command.Args {
		if !a.Optional && !c.has(a.Name) {
			return c.wrong("%s is missing: %s", strings.TrimSpace(a.usage()), a.Kind.word)
		}
	}
	return nil
}

func (c *call) argNames() []string {
	var names []string
	for _, a := range c.command.Args {
		if a.Named || a.Kind.flag {
			names = append(names, a.Name)
		}
	}
	return names
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
