package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"ghostroute/harness/program"
	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

func (c *command) versions() *cobra.Command {
	return &cobra.Command{
		Use:   "versions [VERSION|PATH]...",
		Short: "Get every etcd there is, and try every cause on each; writes fixtures/versions.md",
		Long: "Get an etcd of each minor version, 3.4 to 3.8, and mixtures of the oldest and the newest, and replay on\n" +
			"each the plan of every cause by which the stock proxy is wrong, and with the etcdctl of each how a proxy\n" +
			"is healed. Those that are named are tried alone, and nothing is written.",
		Example: "  ghostroute versions\n  ghostroute versions 3.5 3.7\n  ghostroute versions ~/go/bin/etcd",
		RunE: func(cmd *cobra.Command, args []string) error {
			var etcds []scenarios.Etcd
			for _, meant := range slices.Concat(args, all(len(args) == 0)) {
				say := func(s string) { fmt.Fprintln(os.Stderr, "ghostroute: "+s) }
				p, err := program.Find(cmd.Context(), meant, say)
				if err != nil {
					return err
				}
				ctl, err := program.Etcdctl(cmd.Context(), meant, say)
				if err != nil && p.Release != "" {
					return err
				} else if err != nil {
					say("etcdctl is not tried: " + err.Error())
				}
				etcds = append(etcds, scenarios.Etcd{On: scenarios.On{Etcd: program.Alike(p), Proxy: p}, Ctl: ctl, Name: p.Name()})
			}
			if len(args) == 0 {
				etcds = append(etcds, mixed(etcds)...)
			}
			table, others, err := scenarios.OnEach(cmd.Context(), scenarios.Output{Writer: c.out}, etcds)
			if err == nil && len(args) == 0 {
				err = scenarios.WriteVersions(table)
			}
			if err != nil {
				return ended(cmd.Context(), err, "nothing was written")
			}
			if _, err = fmt.Fprint(c.out, "\n"+table); err == nil && others > 0 {
				err = foundf("%s in %s", text.Count(others, "difference"), text.Count(len(etcds), "etcd"))
			}
			return err
		},
	}
}

// all are the names of all releases, if they are asked for.
func all(asked bool) []string {
	if !asked {
		return nil
	}
	return program.Names()
}

// mixed are the oldest one's members behind the proxies of 3.7, as far as an operator has come who updates proxies
// first, and the other way round; and members of two releases behind the oldest one's proxies, as far as one has come
// who updates one member after the other.
func mixed(etcds []scenarios.Etcd) (all []scenarios.Etcd) {
	var releases []scenarios.Etcd // and none that is older than it is called
	for _, e := range etcds {
		if e.Proxy.Version == e.Proxy.Release {
			releases = append(releases, e)
		}
	}
	oldest, newest := releases[0], releases[len(releases)-1]
	add := func(members program.Members, proxies scenarios.Etcd) {
		all = append(all, scenarios.Etcd{On: scenarios.On{Etcd: members, Proxy: proxies.Proxy}, Ctl: proxies.Ctl,
			Name: fmt.Sprintf("%s, proxies of %s", members.Name(), proxies.Name)})
	}
	add(oldest.Etcd, newest)
	add(newest.Etcd, oldest)
	for i := 2; i < len(releases); i++ { // and not 3.4 beside 3.5, of which the page says why
		add(program.Members{releases[i-1].Proxy, releases[i].Proxy}, oldest)
	}
	return all
}
