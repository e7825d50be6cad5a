package record

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"ghostroute/harness/probe"
	"ghostroute/harness/text"
)

// Kind says what a proxy's cache has to do with a read.
type Kind string

const (
	MayLie Kind = "a proxy may answer it from its cache, however old that is"
	Seeds  Kind = "a member answers it, and a proxy files the answer for those who read serializably"
	Past   Kind = "it names a revision: what was true then is so for ever"
)

// Kinds are those that there are, the worst first.
func Kinds() []Kind { return []Kind{MayLie, Seeds, Past} }

// Kind is what a read is (server/proxy/grpcproxy/kv.go, Range).
func (r Read) Kind() Kind {
	switch {
	case r.Request.Revision != 0:
		return Past
	case r.Request.Serializable:
		return MayLie
	}
	return Seeds
}

// Write writes reads as ghostroute probe --form-file takes them.
func Write(w io.Writer, reads []Read) error {
	var b strings.Builder
	for _, r := range reads {
		fmt.Fprintf(&b, "# %s, by %s\n%s\n", text.Count(r.Times, "time"), strings.Join(r.Clients, " "), probe.Line(r.Request))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Parse reads what Write wrote, or lines that somebody wrote.
func Parse(in io.Reader) (reads []Read, err error) {
	var times int
	var clients []string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if said, ok := strings.CutPrefix(line, "#"); ok {
			times, clients = 0, nil
			if count, by, ok := strings.Cut(said, ", by "); ok {
				_, _ = fmt.Sscanf(count, "%d time", &times)
				clients = strings.Fields(by)
			}
			continue
		}
		if line == "" {
			continue
		}
		r, err := probe.ParseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		reads = append(reads, Read{Request: r, Times: max(times, 1), Clients: clients})
		times, clients = 0, nil
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(reads) == 0 {
		return nil, fmt.Errorf("there is no read in it")
	}
	return reads, nil
}

// List writes reads for a person, by kind.
func List(w io.Writer, reads []Read) error {
	var b strings.Builder
	for _, kind := range Kinds() {
		said := false
		for _, r := range reads {
			if r.Kind() != kind {
				continue
			}
			if !said {
				fmt.Fprintf(&b, "%s:\n", kind)
				said = true
			}
			fmt.Fprintf(&b, "%6d×  %s\n", r.Times, probe.Line(r.Request))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Lying are the reads that a proxy may answer from its cache.
func Lying(reads []Read) (n int) {
	for _, r := range reads {
		if r.Kind() == MayLie {
			n++
		}
	}
	return n
}
