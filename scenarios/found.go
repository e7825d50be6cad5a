package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
)

// kept is a plan in fixtures/found: a comment, "# check: …; fix: …; cause: …", and the plan.
type kept struct {
	Check, Fix, Cause string
	Plan              plan.Plan
}

func (k kept) String() string {
	return fmt.Sprintf("# check: %s; fix: %s; cause: %s\n%s", k.Check, k.Fix, k.Cause, k.Plan)
}

func (k kept) write(name string) error {
	file, err := Fixture(filepath.Join("found", name+".txt"))
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(k.String()), 0o644)
}

func readKept(file string) (k kept, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return k, err
	}
	first, rest, _ := strings.Cut(string(content), "\n")
	for part := range strings.SplitSeq(strings.TrimPrefix(first, "# "), "; ") {
		name, value, ok := strings.Cut(part, ": ")
		field := map[string]*string{"check": &k.Check, "fix": &k.Fix, "cause": &k.Cause}[name]
		if field == nil || !ok {
			return k, fmt.Errorf(`%s: its first line is %q and should be "# check: …; fix: …; cause: …"`, file, first)
		}
		*field = value
	}
	if k.Plan, err = plan.Parse(rest); err != nil {
		return k, fmt.Errorf("%s: %w", file, err)
	}
	return k, nil
}

// causeNames are the causes' file names. model.EndOfAnother has none: whether a plan shows it is a matter of the tenth
// of a second in which a member looks for watches that begin in the past, so no plan of it can be replayed.
var causeNames = map[model.Cause]string{
	model.OtherProxy: "cross-proxy", model.DirectWrite: "direct-write",
	model.LeaseRevoked: "lease-revoked", model.LeaseExpired: "lease-expired",
	model.BeforeWrite: "race-before-write", model.AnswerInFlight: "race-answer-in-flight",
	model.TxnInFlight: "race-txn-in-flight", model.LaggingMember: "lagging-member",
	model.FromKeyRead: "from-key-read", model.FromKeyDelete: "from-key-delete", model.FromKeyPruned: "from-key-pruned",
	model.NestedTxn: "nested-txn", model.LostTxn: "lost-txn", model.Torn: "torn-answer",
	model.Frozen: "frozen-cache", model.Identity: "identity-leak", model.PastCompaction: "past-compaction",
	model.Unheard: "unheard-permission",

	model.SharedStream: "watch-shared-stream", model.StreamAgain: "watch-asked-again", model.Corpse: "watch-corpse",
	model.LeaderWish: "watch-no-leader", model.StaleList: "watch-livelock", model.CreatedAhead: "watch-created-ahead",
	model.OwnStream: "watch-old-token",
}

// negative is found apart from its cause: the answer that there is nothing.
const negative = "negative-answer"

const foundHead = `# What the explorer found

Each file here is a plan that the explorer drew from a random seed, ran on real members and proxies, and made small.
The suite replays all of them (` + "`go test ./scenarios -run TestFoundPlans`" +
	`), and this replays one and draws its timeline:

    ghostroute explore fixtures/found/NAME.txt --checks all

What the fixes' claims came to is in [claims.md](claims.md).

## Every cause by which the stock proxy is wrong

Lines are those of etcd v3.7.3, under ` + "`server/proxy/grpcproxy`" + ` where no other folder is named.
`

const foundWatches = `
## Every cause by which it breaks a promise about watches

Its watches are [told apart](../beyond.md) in scenarios, too, with what cures them.
`

// foundReadme is fixtures/found/README.md, made of the plans that are kept there and of what the model knows of etcd's
// source.
func foundReadme() (string, error) {
	var b strings.Builder
	b.WriteString(foundHead)
	for _, c := range model.Causes() {
		if err := foundCause(&b, c, "Breaks no check: what is answered was true at the revision that was asked for, and "+
			"etcd itself\nwould refuse."); err != nil {
			return "", err
		}
	}
	b.WriteString(foundWatches)
	for _, c := range model.WatchCauses() {
		if err := foundCause(&b, c, "Breaks "+c.Breaks()+". No plan of it is kept."); err != nil {
			return "", err
		}
	}
	b.WriteString("\n## Not a cause of its own\n\nAn answer that there is nothing is cached as any other: ")
	fmt.Fprintf(&b, "[%[1]s](%[1]s.txt).\n", negative)
	return b.String(), nil
}

// foundCause writes what is known of a cause: the plan that shows it, or otherwise, and its lines of source.
func foundCause(b *strings.Builder, c model.Cause, otherwise string) error {
	fmt.Fprintf(b, "\n### %s\n\n", c)
	file, err := Fixture(filepath.Join("found", causeNames[c]+".txt"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(file); err == nil {
		k, err := readKept(file)
		if err != nil {
			return err
		}
		otherwise = fmt.Sprintf("Breaks %s: [%s](%s)\n\n```\n%s```", k.Check, causeNames[c], filepath.Base(file), k.Plan)
	}
	fmt.Fprintf(b, "%s\n\n%s\n", otherwise, c.Where())
	return nil
}
