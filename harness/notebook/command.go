package notebook

import (
	"fmt"
	"strings"

	"ghostroute/harness/text"
)

// Command is one word of a notebook: what it does, what it takes, and how it does it.
type Command struct {
	Name    string
	Theme   string // the heading that it is listed under
	Does    string // what it does, in a sentence or two
	Example string // a line of a notebook
	Args    []Arg

	script bool // it takes lines of input, between its own line and "----"
	look   bool // a gateway reads the registry: its answer is judged
	act    bool // it changes the bench: what happens before it is arranged, what comes after is judged
	run    func(*call) error
}

// Arg is one thing a command takes.
type Arg struct {
	// Form is how it is written: "WHO" by its place, "mode=…" by its name, "auth" as a word of its own. "[mode=…]" may
	// be left out, "GATEWAY…" may be several, and so may "delete=(…)", which is written delete=(one, two).
	Form string
	Kind kind
	Says string // what it is, where its name and kind do not say
}

func (a Arg) optional() bool { return a.Form[0] == '[' }
func (a Arg) named() bool    { return strings.Contains(a.Form, "=") }
func (a Arg) flag() bool     { return !a.named() && a.Form == strings.ToLower(a.Form) }
func (a Arg) placed() bool   { return !a.named() && !a.flag() }
func (a Arg) many() bool     { return strings.HasSuffix(strings.Trim(a.Form, "[]"), "…") != a.named() }

// name is the argument's name in the code and, where it is named, in a notebook.
func (a Arg) name() string {
	name, _, _ := strings.Cut(strings.Trim(a.Form, "[…]"), "=")
	return strings.ToLower(name)
}

// says is what an argument is.
func (a Arg) says() string {
	switch {
	case a.Says == "":
		return a.Kind.word
	case a.Kind.word == "" || a.Kind.word == anyText:
		return a.Says
	}
	return a.Kind.word + ": " + a.Says
}

// Commands are all commands, in the order in which a reader meets them.
func Commands() []Command {
	var all []Command
	for _, theme := range []struct {
		name     string
		commands []Command
	}{
		{"Set up", setupCommands()},
		{"Look", lookCommands()},
		{"Watch", watchCommands()},
		{"Operate", operatorCommands()},
		{"Change", changeCommands()},
		{"Connections", connectionCommands()},
		{"Faults", faultCommands()},
		{"Judge", judgeCommands()},
	} {
		for _, c := range theme.commands {
			c.Theme = theme.name
			all = append(all, c)
		}
	}
	return all
}

// commandNamed finds a command; its error says which one was meant.
func commandNamed(name string) (*Command, error) {
	var names []string
	for _, c := range Commands() {
		if c.Name == name {
			return &c, nil
		}
		names = append(names, c.Name)
	}
	hint := didYouMean(name, names)
	if hint == "" || name != strings.ToLower(name) {
		hint = "; a line of prose begins with #"
	}
	return nil, fmt.Errorf("there is no command %q%s (ghostroute notebook --commands lists all)", name, hint)
}

// didYouMean is the end of an error about a word: the nearest of those that may be, if one is near.
func didYouMean(typed string, words []string) string {
	if near := text.Nearest(typed, words); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ""
}

// Usage is the command's line with what it takes: "get WHO [mode=…]".
func (c Command) Usage() string {
	forms := text.Each(c.Args, func(a Arg) string { return a.Form })
	return strings.Join(append([]string{c.Name}, forms...), " ")
}

// each runs a command that does the same for each value of an argument, or where there is none for each that there may
// be.
func each(arg string, do func(*call, string) error) func(*call) error {
	return func(c *call) error {
		values := c.all(arg)
		for _, a := range c.command.Args {
			if a.name() == arg && len(values) == 0 {
				values = a.Kind.names(c.nb)
			}
		}
		for _, v := range values {
			if err := do(c, v); err != nil {
				return err
			}
		}
		return nil
	}
}
