package scenarios

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/explore/model"
	"ghostroute/harness/program"
)

// fixtures/versions.md is of every release and every cause, and says what it shows.
func TestVersionsAreOfEveryReleaseAndEveryCause(t *testing.T) {
	t.Parallel()
	file, err := Fixture("versions.md")
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	rows := tableRow.FindAllString(string(text), -1)
	require.NotEmpty(t, rows)
	for _, name := range program.Names() {
		require.Contains(t, rows[0], " "+name, "make versions writes it anew")
	}
	cells, others := 0, 0
	for _, c := range model.Causes() {
		if c.Breaks() != "" {
			require.Contains(t, string(text), "\n| ["+causeNames[c]+"](found/"+causeNames[c]+".txt) |")
		}
	}
	require.Contains(t, string(text), "\n| "+etcdctlHeals+" |")
	for _, row := range rows[2:] {
		for _, cell := range strings.Split(strings.Trim(row, "|"), "|")[1:] {
			if cells++; strings.TrimSpace(cell) != yes {
				others++
			}
		}
	}
	require.Equal(t, (len(rows)-2)*(strings.Count(rows[0], "|")-2), cells)
	require.Equal(t, others == 0, strings.Contains(string(text), "No version differs in any of them."))
	require.Equal(t, others > 0, strings.Contains(string(text), "## What differs"))
}
