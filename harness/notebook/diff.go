package notebook

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"
)

// differences is the story's own diff: for each command that printed something else than the file says, where it stands, the prose before
// it, the command as it is written, and the lines that went and came. "" where there are none.
func (nb *Notebook) differences() string {
	var out strings.Builder
	for _, s := range nb.story {
		if s.expected == s.actual {
			continue
		}
		prose, written := before(s.data)
		fmt.Fprintf(&out, "%s\n", place(s.data.Pos))
		for _, line := range append(prose, written...) {
			fmt.Fprintf(&out, "    %s\n", line)
		}
		fmt.Fprintf(&out, "    ----\n")
		for _, line := range diff(lines(s.expected), lines(s.actual)) {
			fmt.Fprintf(&out, "  %s\n", line)
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}

// Script is what a notebook does without what it tells: its commands and what they print, line by line.
func Script(path string) ([]string, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var script []string
	for _, line := range strings.Split(string(file), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			script = append(script, line)
		}
	}
	return script, nil
}

// before is the prose that stands before a command, and the command as it is written, with its input.
func before(d datadriven.TestData) (prose, written []string) {
	at := strings.LastIndexByte(d.Pos, ':')
	n, err := strconv.Atoi(d.Pos[at+1:])
	file, rerr := os.ReadFile(d.Pos[:at])
	if err != nil || rerr != nil {
		return nil, []string{d.Cmd}
	}
	all := strings.Split(string(file), "\n")
	first := n - 1
	for first > 0 && all[first-1] == "" {
		first--
	}
	for first > 0 && strings.HasPrefix(all[first-1], "# ") { // the last paragraph
		first--
	}
	last := n
	for last < len(all) && all[last] != "----" {
		last++
	}
	return all[first : n-1], all[n-1 : last]
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// diff marks the lines that only a has with "-", those that only b has with "+", and the others with a space: the longest that both have
// in the same order.
func diff(a, b []string) []string {
	common := make([][]int, len(a)+1) // common[i][j]: how many of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, "  "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, "- "+a[i])
			i++
		default:
			out = append(out, "+ "+b[j])
			j++
		}
	}
	return out
}
