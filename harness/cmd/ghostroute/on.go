package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ghostroute/harness/balancer"
	"ghostroute/harness/program"
	"ghostroute/scenarios"
)

// on are the flags that say what members and proxies are.
type on struct {
	where       choice
	etcd, proxy string
	balancer    choice // without the flag, our own
	client      choice // without the flag, go-micro's over today's etcd client
}

// flags gives a verb the flags --on, --etcd and --proxy.
func (o *on) flags(cmd *cobra.Command) *cobra.Command {
	o.where = choice{value: embedded, may: []string{embedded, real}}
	cmd.Flags().Var(&o.where, "on", "what members and proxies are: embedded in this process, or real, processes of etcd")
	names := append(program.Names(), "3.4", "3.5", "3.6", "3.7")
	name(cmd, &o.etcd, "etcd", "with --on real: the etcd that runs, a version (3.5) or the path of a program, "+
		"or with commas one for each member (3.5,3.6,3.7); 3.7 where it is not given", names)
	name(cmd, &o.proxy, "proxy", "with --on real: the etcd whose grpc-proxy runs; --etcd's, or its first, where "+
		"it is not given", names)
	return cmd
}

// balancerFlag gives a verb the flag --balancer.
func (o *on) balancerFlag(cmd *cobra.Command) {
	kinds := balancer.Kinds()
	o.balancer = choice{value: kinds[0], may: kinds}
	cmd.Flags().Var(&o.balancer, "balancer", "what balances: our own, in this process; HAProxy, a process; "+
		"or the kernel's IPVS, of which it says how")
}

// What clients may be.
const goMicro, naming, period = "go-micro", "naming", "period"

// clientFlag gives a verb the flag --client.
func (o *on) clientFlag(cmd *cobra.Command) {
	o.client = choice{value: goMicro, may: []string{goMicro, naming, period}}
	cmd.Flags().Var(&o.client, "client", "whose instances and gateways: go-micro's over today's etcd client; naming's, "+
		"etcd's own gRPC resolver, of the incident only; or period, go-micro's over the client that the incident had, "+
		"processes, built first")
}

// elsewhere says whether anything is to be outside of this process.
func (o *on) elsewhere() bool {
	return o.where.value != embedded || o.balancer.value != "" && o.balancer.value != balancer.Kinds()[0]
}

const embedded, real = "embedded", "real"

// find finds the programs. One that is to be built is, which standard error is told.
func (o *on) find(ctx context.Context) (found scenarios.On, err error) {
	say := func(s string) { fmt.Fprintln(os.Stderr, "ghostroute: "+s) }
	if o.where.value == embedded {
		if given := cmp.Or(o.etcd, o.proxy); given != "" {
			return found, usagef("%s is an etcd that runs as a process: it is given with --on real", given)
		}
	}
	etcd := cmp.Or(o.etcd, "3.7")
	each := strings.Split(etcd, ",")
	if most := len(found.Etcd); len(each) > most {
		return found, usagef("--etcd has %d programs: it may have one for each member, %d at most", len(each), most)
	}
	if err := program.Known(append(each, cmp.Or(o.proxy, each[0]))...); err != nil {
		return found, err
	}
	if kind := o.balancer.value; kind != "" {
		if found.Balancer, err = balancer.Find(ctx, kind); err != nil {
			return found, err
		}
	}
	if o.client.value == period {
		if found.Client, err = program.Period(ctx, say); err != nil {
			return found, err
		}
	}
	if o.where.value == embedded {
		return found, nil
	}
	for i, meant := range each {
		if found.Etcd[i], err = program.Find(ctx, meant, say); err != nil {
			return found, err
		}
	}
	if err := found.Etcd.Check(); err != nil {
		return found, usage{err}
	}
	found.Proxy = found.Etcd[0]
	if o.proxy != "" {
		found.Proxy, err = program.Find(ctx, o.proxy, say)
	}
	return found, err
}
