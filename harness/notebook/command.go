package notebook

import (
	"fmt"
	"strings"
)

// Command is one word of a notebook: what it does, what it takes, and how it does it.
type Command struct {
	Name    string
	Theme   string // under which heading it is listed
	Does    string // what it does, in a sentence or two
	Example string // a line of a notebook
	Args    []Arg

	script bool // it takes lines of input, between its own line and "----"
	look   bool // a gateway reads the registry: what it is told is judged
	act    bool // it changes the bench: what happens before it is arranged, what comes after is judged
	run    func(*call) error
}

// Arg is one thing a command takes.
type Arg struct {
	Name     string
	Kind     kind
	Named    bool   // written name=value; otherwise by its place
	Optional bool   // may be left out
	Many     bool   // by its place: one or more; named: name=(one, two)
	Says     string // what it is, where its name and kind do not say
}

// Commands are all commands, in the order in which a reader meets them.
func Commands() []Command {
	return []Command{
		benchCommand(), clientCommand(), userCommand(),
		truthCommand(), getCommand(), resolveCommand(), callCommand(), listCommand(), cacheCommand(), pinsCommand(),
		registerCommand(), deregisterCommand(), crashCommand(), expireCommand(), restartCommand(), revokeCommand(),
		putCommand(), deleteCommand(), txnCommand(), compactCommand(),
		weightsCommand(), drainCommand(), reconnectCommand(), restartProxyCommand(), narrowCommand(),
		holdCommand(), releaseCommand(), cutCommand(), mendCommand(), delayCommand(), waitForCommand(),
		arrangeCommand(), reportCommand(), tryCommand(),
	}
}

// commandNamed finds a command, or says which one was meant.
func commandNamed(name string) (*Command, error) {
	var names []string
	for _, c := range Commands() {
		if c.Name == name {
			return &c, nil
		}
		names = append(names, c.Name)
	}
	near := nearest(name, names)
	if near == "" || name != strings.ToLower(name) {
		return nil, fmt.Errorf("there is no command %q (make notebook-help lists all); a line of prose begins with #", name)
	}
	return nil, fmt.Errorf("there is no command %q%s (make notebook-help lists all)", name, didYouMean(near))
}

// Usage is the command's line with what it takes: "get WHO [mode=MODE]".
func (c Command) Usage() string {
	words := []string{c.Name}
	for _, a := range c.Args {
		words = append(words, a.usage())
	}
	return strings.Join(words, " ")
}

func (a Arg) usage() string {
	word := strings.ToUpper(a.Name)
	switch {
	case a.Kind.flag:
		word = a.Name
	case a.Named && a.Many:
		word = a.Name + "=(…)"
	case a.Named:
		word = a.Name + "=…"
	case a.Many:
		word += "…"
	}
	if a.Optional {
		return "[" + word + "]"
	}
	return word
}
