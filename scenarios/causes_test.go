package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
)

// causeName is a cause's file name.
func causeName(c model.Cause) string {
	return map[model.Cause]string{
		model.OtherProxy: "cross-proxy", model.DirectWrite: "direct-write", model.LeaseRevoked: "lease-revoked", model.LeaseExpired: "lease-expired",
		model.BeforeWrite: "race-before-write", model.AnswerInFlight: "race-answer-in-flight", model.TxnInFlight: "race-txn-in-flight",
		model.LaggingMember: "lagging-member", model.FromKeyRead: "from-key-read", model.FromKeyDelete: "from-key-delete",
		model.FromKeyPruned: "from-key-pruned", model.NestedTxn: "nested-txn", model.LostTxn: "lost-txn", model.Torn: "torn-answer",
		model.Frozen: "frozen-cache", model.Identity: "identity-leak", model.PastCompaction: "past-compaction",
	}[c]
}

// negative is found apart from its cause: the answer that there is nothing.
const negative = "negative-answer"

// TestCauses is `make causes`: from a seed that nobody picked it runs plans on real benches until every cause that the model knows has
// turned up there, makes each small, has the bench confirm it, and keeps it under fixtures/found.
func TestCauses(t *testing.T) {
	if asked() != "causes" {
		t.Skip("make causes runs it")
	}
	o := optionsFrom(t, "convergence,identity", 10*time.Minute)
	ctx, _ := lasting(t, o.Time)
	l := newLab(t, lab.Config{})
	missing := map[string]bool{negative: true}
	for _, c := range model.Causes() {
		if c.Breaks() != "" {
			missing[causeName(c)] = true
		}
	}
	began := time.Now()
	for i := uint64(0); len(missing) > 0 && ctx.Err() == nil; i++ {
		p := plan.Random(plan.Config{Steps: o.Steps, Auth: i%4 == 0}, o.Seed+i)
		out, err := l.Try(ctx, p, o.Checks)
		if ctx.Err() != nil {
			break
		}
		require.NoError(t, err, "PLAN='%s'", p.Line())
		if out.Broken() == nil {
			continue
		}
		list, err := model.Explain(p)
		require.NoError(t, err)
		for _, f := range list {
			for name, symptom := range map[string]model.Symptom{causeName(f.Cause): "", negative: model.Negative} {
				if !missing[name] || symptom != "" && f.Symptom != symptom {
					continue
				}
				small := plan.Shrink(p, 0, func(q plan.Plan) bool {
					again, err := model.Explain(q)
					return err == nil && slices.ContainsFunc(again, func(g model.Finding) bool {
						return g.Cause == f.Cause && (symptom == "" || g.Symptom == symptom)
					})
				})
				out, err := l.Try(ctx, small, o.Checks)
				require.NoError(t, err, "PLAN='%s'", small.Line())
				b := out.Broken()
				if b == nil {
					t.Logf("%s: the model says so of PLAN='%s', and no check does", name, small.Line())
					continue
				}
				delete(missing, name)
				fmt.Printf("%6.1fs plan %-5d %s: %s\n", time.Since(began).Seconds(), i+1, name, small.Line())
				kept{Check: b.Check, Fix: "none", Cause: string(f.Cause), Plan: small}.write(t, name)
			}
		}
	}
	require.Empty(t, missing, "seed %d: these never turned up on the bench", o.Seed)
}

// TestFoundReadme holds fixtures/found/README.md to the plans that are kept there and to what the model knows of etcd's source.
// go test ./scenarios -run TestFoundReadme -update rewrites it.
func TestFoundReadme(t *testing.T) {
	t.Parallel()
	file := filepath.Join(foundDir, "README.md")
	want := foundReadme(t)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "go test ./scenarios -run TestFoundReadme -update rewrites it")
}

func foundReadme(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# What the explorer found\n\n" +
		"Each file here is a plan that the explorer drew from a seed nobody picked, ran on a real bench, and made small. The suite replays all of\n" +
		"them (`go test ./scenarios -run TestFoundPlans`); `make explore PLAN=fixtures/found/NAME.txt CHECKS=convergence,identity` replays one and\n" +
		"draws its timeline. What the fixes' claims came to is in [claims.md](claims.md).\n\n" +
		"## Every cause by which the stock proxy is wrong\n\n" +
		"Lines are those of etcd v3.7.3, under `server/proxy/grpcproxy` where no other folder is named.\n")
	for _, c := range model.Causes() {
		fmt.Fprintf(&b, "\n### %s\n\n", c)
		file := filepath.Join(foundDir, causeName(c)+".txt")
		if _, err := os.Stat(file); err == nil {
			k := readKept(t, file)
			fmt.Fprintf(&b, "Breaks %s: [%s](%s)\n\n```\n%s```\n\n", k.Check, causeName(c), filepath.Base(file), k.Plan)
		} else {
			b.WriteString("Breaks no check: what is answered was true at the revision that was asked for, and etcd itself would refuse.\n\n")
		}
		fmt.Fprintf(&b, "%s\n", c.Where())
	}
	b.WriteString("\n## Not a cause of its own\n\nAn answer that there is nothing is cached as any other: [" + negative + "](" + negative + ".txt).\n")
	return b.String()
}

// TestCausesAreNamed keeps causeName complete.
func TestCausesAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range model.Causes() {
		require.NotEmpty(t, causeName(c), "%s", c)
	}
	for _, c := range Fixes() {
		_, ok := Claims()[c.Name]
		require.True(t, ok, "claims.go says nothing of the fix %s", c.Name)
	}
	for name, promises := range Claims() {
		_, err := FixNamed(name)
		require.NoError(t, err)
		for _, p := range promises {
			_, err := hunt.Checks(p)
			require.NoError(t, err)
		}
	}
	require.Empty(t, Claims()["none"], "the stock proxy promises nothing")
}
