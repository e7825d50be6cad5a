package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ghostroute/harness/explore"
	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/program"
)

// Etcd is an etcd, or one's members and another's proxies, and how it is called in a table.
type Etcd struct {
	On
	Ctl  program.Program // the proxies' etcdctl, if there is one
	Name string          // "3.5.35", "3.4.23 behind proxies of 3.7.3"
}

const versionsHead = `# Every cause on every etcd

<!-- written by make versions -->

The plan of each cause by which the stock proxy is wrong ([found](found/README.md)), run on ` + "`etcd`" + ` and
` + "`etcd grpc-proxy start`" + ` as processes. **yes**: it is wrong there too, and answered every step as ` +
	`the model of 3.7.3
says. Anything else is below the table.

**etcdctl heals**: [the README's line](../README.md#if-you-run-grpc-proxy-today), typed with the etcdctl of the proxies'
version, makes a proxy forget its ghost and writes nothing.

"3.5.35 and 3.6.16" are members in turn: m1 and m3 run the first, m2 the second. etcd's members are at most one minor
version apart; a 3.7 beside a 3.5, or a 3.4 beside a 3.6, panics as it starts. 3.4 beside 3.5 is not tried: a user who
is added through a 3.5 member cannot log in at a 3.4 one, which ignores the hash that 3.5 sends for a password
(etcdserver/v3_server.go, UserAdd).

`

// OnEach replays the plan of each cause on each etcd. It returns the table, and how many cells are another thing than
// yes.
func OnEach(ctx context.Context, out Output, etcds []Etcd) (table string, others int, err error) {
	var causes []string
	for _, c := range model.Causes() {
		if c.Breaks() != "" {
			causes = append(causes, causeNames[c])
		}
	}
	causes = append(causes, negative)
	columns := make([][]string, len(etcds))
	for i, e := range etcds {
		began := time.Now()
		if columns[i], err = e.replay(ctx, causes); err != nil {
			return "", 0, fmt.Errorf("on %s: %w", e.Name, err)
		}
		healed, err := e.heals(ctx)
		if err != nil {
			return "", 0, fmt.Errorf("on %s, its etcdctl: %w", e.Name, err)
		}
		columns[i] = append(columns[i], healed)
		fmt.Fprintf(out, "%s: %d causes in %.0f s\n", e.Name, len(causes), time.Since(began).Seconds())
	}
	var rows, notes strings.Builder
	rows.WriteString("| cause |")
	for _, e := range etcds {
		fmt.Fprintf(&rows, " %s |", e.Name)
	}
	rows.WriteString("\n|---|" + strings.Repeat("---|", len(etcds)) + "\n")
	for n, row := range append(causes, etcdctlHeals) {
		if n < len(causes) {
			fmt.Fprintf(&rows, "| [%[1]s](found/%[1]s.txt) |", row)
		} else {
			fmt.Fprintf(&rows, "| %s |", row)
		}
		for i := range etcds {
			cell := columns[i][n]
			if cell != yes && cell != none {
				others++
				fmt.Fprintf(&notes, "\n%s, %s:\n\n```\n%s\n```\n", etcds[i].Name, row, cell)
				cell = "**no**"
			}
			fmt.Fprintf(&rows, " %s |", cell)
		}
		rows.WriteString("\n")
	}
	table = versionsHead + rows.String()
	if others == 0 {
		return table + "\nNo version differs in any of them.\n", 0, nil
	}
	return table + "\n## What differs\n" + notes.String(), others, nil
}

// What a cell says.
const yes, none = "yes", "–"

// etcdctlHeals is the row of OneLiner.
const etcdctlHeals = "etcdctl heals"

// replay is what the plan of each cause comes to on an etcd.
func (e Etcd) replay(ctx context.Context, causes []string) (cells []string, err error) {
	l, err := lab.New(lab.Config{Topology: e.topology(lab.Config{}.Topology)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for _, cause := range causes {
		cell, err := replayed(ctx, l, cause)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cause, err)
		}
		cells = append(cells, cell)
	}
	return cells, nil
}

// replayed is what the plan of a cause comes to in a lab.
func replayed(ctx context.Context, l *lab.Lab, cause string) (string, error) {
	file, err := Fixture(filepath.Join("found", cause+".txt"))
	if err != nil {
		return "", err
	}
	k, err := readKept(file)
	if err != nil {
		return "", err
	}
	checks, err := hunt.Checks(k.Check)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	result, err := l.Try(ctx, k.Plan, checks)
	var d *explore.Disagreement
	switch {
	case errors.As(err, &d):
		return d.Error(), nil
	case err != nil:
		return "", err
	}
	if r := result.Results[0]; r.Outcome != check.Broken {
		return fmt.Sprintf("%s is %s: %s", r.Check, r.Outcome, r.Why), nil
	}
	return yes, nil
}

// WriteVersions writes fixtures/versions.md.
func WriteVersions(table string) error {
	file, err := Fixture("versions.md")
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(table), 0o644)
}
