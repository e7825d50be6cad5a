package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/internal/onemember"
	"ghostroute/harness/proxy"
)

// asProgram has the test's own binary be the program, so that what go-micro leaves running ends with a process.
const asProgram = "GHOSTROUTE_SURVIVORS"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// said is what the program at a path says, by its version and of the defects.
func said(t *testing.T, path, member string, proxies ...string) (made string, outcomes []outcome) {
	t.Helper()
	ask := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env, cmd.WaitDelay = append(os.Environ(), asProgram+"=1"), time.Second
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		require.NoError(t, err, "%s: %s", cmd, errs.String())
		return out
	}
	made = strings.TrimSpace(string(ask("-version")))
	lines := json.NewDecoder(bytes.NewReader(ask("-member", member, "-proxies", strings.Join(proxies, ","))))
	for {
		var o outcome
		if err := lines.Decode(&o); err == io.EOF {
			break
		} else {
			require.NoError(t, err)
		}
		t.Logf("%+v", o)
		outcomes = append(outcomes, o)
	}
	require.Len(t, outcomes, len(defects))
	for i, o := range outcomes {
		require.Equal(t, defects[i].name, o.Defect)
	}
	return made, outcomes
}

// stood starts an etcd and two proxies, and has a program say what it says there.
func stood(t *testing.T, name, path string) version {
	t.Helper()
	f := onemember.Start(t)
	p1, p2 := f.Proxy("p1", proxy.Stock()), f.Proxy("p2", proxy.Stock())
	made, outcomes := said(t, path, f.Member(), p1.Addr(), p2.Addr())
	return newVersion(t, name, made, outcomes)
}

// TestThePageIsOfTheCode tries go-micro v2, and holds the page's column of it, and its rows, to what came of that.
func TestThePageIsOfTheCode(t *testing.T) {
	require.Len(t, rows, len(defects))
	is, err := os.ReadFile(fixture(t))
	require.NoError(t, err)
	table := strings.Split(strings.TrimPrefix(string(is), head), "\n")
	require.Equal(t, "| | v2 | v3 | v4 | v5 |", table[0], "fixtures/%s: make survivors", file)
	v := stood(t, "v2", os.Args[0])
	for i, d := range defects {
		want := "| " + rows[d.name].title + " | " + v.cells[d.name] + " | "
		require.True(t, strings.HasPrefix(table[i+2], want), "fixtures/%s: make survivors\nit has %s\nit was to have %s",
			file, table[i+2], want)
		require.Contains(t, string(is), v.outcomes[d.name]+"\n")
	}
}
