package notebook

import (
	"fmt"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
)

// rpcs are the words for the RPCs that can be held, and etcd's names for them.
var rpcs = [...]struct{ word, name string }{
	{"read", "Range"}, {"put", "Put"}, {"delete", "DeleteRange"}, {"txn", "Txn"}, {"revoke", "LeaseRevoke"}, {"watch", "Watch"},
}

func rpcWords() []string {
	var words []string
	for _, r := range rpcs {
		words = append(words, r.word)
	}
	return words
}

// wordFor is the notebook's word for an RPC.
func wordFor(name string) string {
	for _, r := range rpcs {
		if r.name == name {
			return r.word
		}
	}
	return name
}

func holdCommand() Command {
	return Command{
		Name:  "hold",
		Theme: "Faults",
		Does: "A proxy will hold the next read, put, delete, txn or revoke that passes it: before etcd sees it, or after etcd has done it and before the proxy hears of that. " +
			"A command that is held prints so, and the notebook goes on; release prints what became of it. Of a watch everything is held that it delivers.",
		Example: "hold p1 delete before",
		Args: []Arg{
			{Name: "proxy", Kind: aProxy()},
			{Name: "rpc", Kind: oneOf(rpcWords()...)},
			{Name: "point", Kind: oneOf(string(history.BeforeMember), string(history.AfterMember)), Optional: true, Says: "after if it is not said"},
		},
		act: true,
		run: func(c *call) error {
			p, word := c.one("proxy"), c.one("rpc")
			h := proxy.Hold{Point: history.Point(c.one("point"))}
			for _, r := range rpcs {
				if r.word == word {
					h.RPC = r.name
				}
			}
			what := fmt.Sprintf("the next %s", word)
			switch {
			case word == "watch" && h.Point == history.BeforeMember:
				return c.wrong("what a watch delivers comes from etcd: it is held after")
			case word == "watch":
				h.Key, what = keys.Registry, "whatever a watch delivers"
			}
			c.nb.gates[p] = append(c.nb.gates[p], &gate{Gate: c.b().Proxy(p).Hold(h), rpc: word, pos: c.pos})
			if h.Point == history.BeforeMember {
				c.say("%s will hold %s, before etcd sees it", p, what)
			} else {
				c.say("%s will hold %s, on its way back from etcd", p, what)
			}
			return nil
		},
	}
}
