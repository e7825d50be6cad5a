package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/harness/cachebench"
	"ghostroute/harness/proxy"
	"ghostroute/harness/scratch"
	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

// benched are the variants whose caches are measured: stock, the one that never answers from its cache, and those that
// keep one.
func benched() []proxy.Variant {
	return []proxy.Variant{proxy.Stock(), proxy.Upgrade(), proxy.Watching(), proxy.Revalidate(), proxy.Consistent(),
		proxy.Coherent(0)}
}

const benchHead = `# What a cache is worth

Written by ` + "`make bench-cache`" + `: %s a variant and case, the variants in turn, on %d cores that members, proxies
and clients share. Clients read serializably and make a put for every hundred reads, through the same proxy, into what
they read. *upgrade* makes every read linearizable and keeps its cache unread. A miss is the first read after such a
put, with nobody else reading. Asked are requests to the members, bytes those of their answers on the wire.

![Reads a second](bench-cache.svg)

`

const membersHead = `# What a cache spares the members

Written by ` + "`ghostroute bench-cache --on real`" + `: three members of %s, each a process, and proxies before them;
%s a variant and case, on %d cores. Clients read serializably and make a put for every hundred reads, through the same
proxy, into what they read. *cache-off* asks a member each time, serializably, and *upgrade* linearizably. The CPU time
is what Linux counts of the members' processes, the puts and their idling among it. It depends less than the reads a
second on what else the machine does.

`

func (c *command) benchCache() *cobra.Command {
	var lasts time.Duration
	var variant string
	var on on
	cmd := &cobra.Command{
		Use:   "bench-cache",
		Short: "Measure what a proxy's cache is worth; writes fixtures/bench-cache.md and .svg",
		Long: "Read through proxies whose caches differ, side by side: 1, 32 and 256 clients, one range of 10, 100 and\n" +
			"1,000 keys and a thousand ranges of 10. The table and the picture are written to fixtures, unless one\n" +
			"variant alone is measured. With --on real members are processes, their CPU time is counted, and it is\n" +
			"fixtures/bench-cache-members.md that is written. Let nothing else run.",
		Example: "  ghostroute bench-cache\n  ghostroute bench-cache --for 300ms --variant revalidate",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lasts <= 0 {
				return usagef("--for is %s: it may be more than 0", lasts)
			}
			found, err := on.find(cmd.Context())
			if err != nil {
				return err
			}
			if len(found.Etcd.Paths()) > 1 {
				return usagef("bench-cache measures one etcd: --etcd names %s", found.Etcd.Name())
			}
			isReal := on.where.value == real
			variants, clients, layouts := benched(), []int{1, 32, 256}, cachebench.Layouts()
			if isReal {
				variants = append(variants, proxy.CacheOff())
				clients, layouts = clients[1:], layouts[:2]
			}
			if variant != "" {
				v, err := proxy.VariantNamed(variant)
				if err != nil {
					return usage{err}
				}
				variants = []proxy.Variant{proxy.Upgrade(), v}
			}
			dir, remove, err := scratch.Folder()
			if err != nil {
				return err
			}
			all, err := cachebench.Run(cmd.Context(), cachebench.Config{Variants: variants, Clients: clients,
				Layouts: layouts, For: lasts, Dir: dir, Program: found.Etcd.Of(1),
				Tell: func(s string) { fmt.Fprintln(os.Stderr, s) }})
			if err = errors.Join(err, remove()); err != nil {
				return ended(cmd.Context(), err, "not every case was measured; nothing was written")
			}
			base := proxy.Upgrade().String()
			table, cores := cachebench.Markdown(all, base), runtime.GOMAXPROCS(0)
			pages := map[string]string{".md": fmt.Sprintf(benchHead, lasts, cores) + table, ".svg": cachebench.SVG(all, base)}
			if isReal {
				table = cachebench.Advice(all, proxy.Stock().String()) + cachebench.MembersMarkdown(all)
				pages = map[string]string{"-members.md": fmt.Sprintf(membersHead, found.Etcd, lasts, cores) + table}
			}
			if variant == "" {
				for name, content := range pages {
					file, err := scenarios.Fixture("bench-cache" + name)
					if err == nil {
						err = os.WriteFile(file, []byte(content), 0o644)
					}
					if err != nil {
						return err
					}
				}
			}
			_, err = fmt.Fprint(c.out, table)
			return err
		},
	}
	cmd.Flags().DurationVar(&lasts, "for", 2*time.Second, "how long a variant is read in a case")
	name(cmd, &variant, "variant", "measure this one only, beside upgrade",
		text.Each(proxy.Variants(), proxy.Variant.String))
	return on.flags(cmd)
}
