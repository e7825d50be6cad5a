package notebook

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ghostroute/harness/gateway"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
	"ghostroute/harness/text"
)

// kind is what values an argument may have.
type kind struct {
	word  string                   // what it is, in a sentence: "a gateway"
	names func(*Notebook) []string // the values there are just now; nil where valid decides
	valid func(value string) error // why a value cannot be; nil where names decide or anything goes
}

const anyText = "any text"

var instanceName = regexp.MustCompile(`^[a-z0-9]+-[a-z0-9]+$`)

// The kinds. Each is made when it is asked for, and none has state.
func aFlag() kind      { return kind{} }
func aText() kind      { return kind{word: anyText} }
func aProxy() kind     { return kind{word: "a proxy", names: (*Notebook).proxyNames} }
func aMember() kind    { return kind{word: "a member", names: (*Notebook).memberNames} }
func aGateway() kind   { return kind{word: "a gateway", names: (*Notebook).gatewayNames} }
func anInstance() kind { return kind{word: "an instance", names: (*Notebook).instanceNames} }
func aClient() kind    { return kind{word: "a client", names: (*Notebook).clientNames} }
func watcher() kind    { return kind{word: "a node that watches", names: (*Notebook).watcherNames} }
func aFix() kind       { return kind{word: "a fix", names: (*Notebook).fixNames} }
func aScenario() kind  { return kind{word: "a scenario", names: (*Notebook).scenarioNames} }

// aTopologyFix is a fix that is a matter of topology, and needs no operator.
func aTopologyFix() kind { return kind{word: "a fix", names: (*Notebook).topologyFixNames} }

// connected is what has a connection through the balancer.
func connected() kind { return anyOf(aGateway(), anInstance(), aClient()) }

// asker is what can ask etcd: over its own connection, or straight at a proxy or a member.
func asker() kind { return anyOf(aGateway(), anInstance(), aClient(), aProxy(), aMember()) }

func aVariant() kind {
	return ofNames("a proxy variant", text.Each(append(proxy.Variants(), proxy.Cured()...), proxy.Variant.String)...)
}
func aLibrary() kind { return oneOf(string(gateway.Mended), string(gateway.Resolver)) }
func aReading() kind { return oneOf(string(gateway.EachRequest), string(gateway.GoMicro)) }
func aMode() kind {
	return oneOf(text.Each(registry.Modes(), func(m registry.Mode) string { return string(m) })...)
}

func oneOf(words ...string) kind { return ofNames(text.Or(words), words...) }

func ofNames(word string, names ...string) kind {
	return kind{word: word, names: func(*Notebook) []string { return names }}
}

func anyOf(kinds ...kind) kind {
	word := text.Or(text.Each(kinds, func(k kind) string { return k.word }))
	return kind{word: word, names: func(nb *Notebook) (all []string) {
		for _, k := range kinds {
			all = append(all, k.names(nb)...)
		}
		return all
	}}
}

// newInstance is the name of an instance that there need not be yet.
func newInstance() kind {
	return checked("an instance", `an instance is called version-letter, as in "v1-a"`, instanceName.MatchString)
}

func aNumber() kind {
	return checked("a number", "it may be 0, 1, 2 …", func(s string) bool {
		n, err := strconv.Atoi(s)
		return err == nil && n >= 0
	})
}

func aDuration() kind {
	return checked("a duration", `it may be a number and its unit, as in "2s" or "50ms"`, func(s string) bool {
		d, err := time.ParseDuration(s)
		return err == nil && d >= 0
	})
}

func checked(word, otherwise string, ok func(string) bool) kind {
	return kind{word: word, valid: func(s string) error {
		if !ok(s) {
			return fmt.Errorf("%s", otherwise)
		}
		return nil
	}}
}

// check says why a value cannot be, with the nearest one that can.
func (k kind) check(nb *Notebook, value string) error {
	switch {
	case k.valid != nil:
		return k.valid(value)
	case k.names == nil:
		return nil
	}
	names := k.names(nb)
	if slices.Contains(names, value) {
		return nil
	}
	if len(names) == 0 {
		return fmt.Errorf("there is none")
	}
	return fmt.Errorf("there is %s%s", strings.Join(names, ", "), didYouMean(value, names))
}
