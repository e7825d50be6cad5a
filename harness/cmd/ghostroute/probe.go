package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/probe"
	"ghostroute/harness/room"
	"ghostroute/harness/text"
)

// probing is a command line of probe's.
type probing struct {
	*command
	etcdctl
	probe.Config
	forms     []string
	formFiles []string
	spaces    []string
	watch     time.Duration
	save      string
	out       choice
}

const probeHelp = `Find the grpc-proxy that answers what is not so any more. Each proxy is asked exactly as its clients
ask it, and compared with a member. Members and proxies may be given together: which is which is found out.

A probe never reads linearizably through a proxy (that would heal what it looks at), never compacts, never
writes and never lengthens a lease. With authentication on it leaves nothing behind at all: a proxy answers
what it has cached to any token. With it off, a read of what a proxy has not cached is filed there: that is
said before it is done, and --leave-no-trace takes it out again where the proxy's metrics can be read.

--heal has a proxy forget what lies by a transaction that compares a key's version and does nothing, one
proxy and key at a time, and looks whether it is gone. No revision is made and no lease touched.

Flags and ETCDCTL_ variables are etcdctl's; one that is set both ways is an error, as there.

Exit codes:
  0    every answer is fresh
  1    something lies, and was not healed
  2    somebody was not reached or not asked, and nothing else lies
  128  the command line is wrong`

func (c *command) probe() *cobra.Command {
	p := &probing{command: c, out: choice{value: "table", may: []string{"table", "json", "simple"}}}
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Find out which of your proxies lies, and have it forget",
		Long:  probeHelp,
		Example: "  ghostroute probe --endpoints m1:2379,m2:2379,p1:23790,p2:23790\n" +
			"  ghostroute probe --members m1:2379 --proxies p1:23790,p2:23790 --leave-no-trace -w json\n" +
			"  ghostroute probe --endpoints m1:2379,p1:23790 --heal",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.read(cmd); err != nil {
				return err
			}
			log.SetOutput(io.Discard) // net/http logs what a gRPC server says to one who asks for its metrics
			for {
				err := p.once(cmd.Context())
				if p.watch == 0 || cmd.Context().Err() != nil {
					return err
				}
				if err != nil && !errors.As(err, new(found)) {
					fmt.Fprintf(os.Stderr, "ghostroute: %v\n", err)
				}
				select {
				case <-cmd.Context().Done():
					return err
				case <-time.After(p.watch):
				}
			}
		},
	}
	p.etcdctl.add(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&p.Members, "members", nil, "endpoints that are known to be members")
	f.StringSliceVar(&p.Proxies, "proxies", nil, "endpoints that are known to be proxies")
	f.StringVar(&p.Prefix, "prefix", "", "where services stand: PREFIX/SERVICE/INSTANCE; "+keys.Registry+" if not given")
	f.StringSliceVar(&p.Services, "service", nil, "ask for this one, too: one whose last instance is gone")
	f.StringSliceVar(&p.forms, "form", nil, "how clients read, "+text.Or(formNames())+
		"; go-micro where not given, and register where a look leaves nothing behind")
	f.StringArrayVar(&p.formFiles, "form-file", nil, "how other clients read: a file with an etcdctl get a line")
	f.StringSliceVar(&p.spaces, "namespace", nil, "the --namespace of the proxies; of one of them ENDPOINT=NAMESPACE")
	f.IntVar(&p.Connections, "connections", 1, "to each proxy: several may stand behind one address")
	f.StringVar(&p.ResolverPrefix, "resolver-prefix", "", "ask the proxies that are registered in etcd under it, too")
	f.BoolVar(&p.LookBack, "history", false,
		"look for services that are gone in the history of a large database, too, which a member then reads whole")
	f.BoolVar(&p.Heal, "heal", false, "have proxies forget what lies")
	f.BoolVar(&p.LeaveNoTrace, "leave-no-trace", false, "take out again what reads have filed, last, and only that")
	f.StringVar(&p.save, "save", "", "a file for what was read, as ghostroute draw and judge take it")
	f.DurationVar(&p.watch, "watch", 0, "probe again and again, so long after one another")
	f.VarP(&p.out, "write-out", "w", "table, json or simple")
	_ = cmd.RegisterFlagCompletionFunc("form", cobra.FixedCompletions(formNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func formNames() []string {
	return text.Each(probe.Forms(), func(f probe.Form) string { return f.Name })
}

// read makes the probe's configuration of the command line.
func (p *probing) read(cmd *cobra.Command) error {
	if err := p.etcdctl.read(cmd, len(p.Members)+len(p.Proxies) == 0); err != nil {
		return usage{err}
	}
	p.Endpoints, p.TLS, p.Timeout = p.endpoints, p.tls, p.commandTimeout
	p.User, p.Password, p.Token, p.DialTimeout = p.user, p.password, p.token, p.dialTimeout
	for _, name := range p.forms {
		form, err := probe.FormNamed(name)
		if err != nil {
			return usage{err}
		}
		p.Forms = append(p.Forms, form)
	}
	for _, file := range p.formFiles {
		lines, err := os.ReadFile(file)
		if err != nil {
			return usage{err}
		}
		form, err := probe.ParseForm(file, string(lines))
		if err != nil {
			return usage{err}
		}
		p.Forms = append(p.Forms, form)
	}
	p.Namespaces = map[string]string{}
	for _, s := range p.spaces {
		endpoint, namespace, of := strings.Cut(s, "=")
		if !of {
			endpoint, namespace = "", s
		}
		p.Namespaces[endpoint] = namespace
	}
	if p.Connections < 1 {
		return usagef("--connections is %d: it may be 1 or more", p.Connections)
	}
	if p.watch < 0 {
		return usagef("--watch is %v: it may be 10s", p.watch)
	}
	p.Say = func(what string) { fmt.Fprintln(os.Stderr, what) }
	return nil
}

// once probes, and writes what was found.
func (p *probing) once(ctx context.Context) error {
	line := progress(os.Stderr)
	p.Progress = line.show
	if p.save != "" && p.History == nil {
		p.History = history.New() // one for all rounds of --watch
	}
	report, err := probe.Run(ctx, p.Config)
	line.clear()
	if p.save != "" {
		write := func(w io.Writer) error { _, err := p.History.WriteTo(w); return err }
		if err := room.Write(p.save, write); err != nil {
			return err
		}
	}
	if p.watch > 0 && p.out.value != "json" {
		fmt.Fprintf(p.command.out, "\n%s\n", time.Now().Format(time.DateTime))
	}
	var written error
	switch p.out.value {
	case "json":
		written = report.JSON(p.command.out)
	case "simple":
		written = report.Simple(p.command.out)
	default:
		written = report.Table(p.command.out, text.Paint(colours(p.color.value, p.command.out)))
	}
	switch missed := report.Missed(); {
	case err != nil:
		return ended(ctx, err, "the probe was not ended")
	case written != nil:
		return written
	case report.Lies() > 0:
		return foundf("%s", text.Count(report.Lies(), "answer")+" of a proxy's cache "+
			map[bool]string{true: "lies", false: "lie"}[report.Lies() == 1])
	case len(missed) > 0:
		return fmt.Errorf("%s: not reached, or not asked", strings.Join(missed, ", "))
	}
	return nil
}
