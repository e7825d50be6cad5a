package beyond

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"ghostroute/scenarios"
)

// Verdicts are labels ("broken silent") by scenario and fix.
type Verdicts map[Key]string

// Key names one cell.
type Key struct{ Scenario, Fix string }

const verdictsHeader = `# What every scenario about watches and leases comes to against every fix, found by
# running them; compared by "ghostroute beyond", rewritten by "ghostroute beyond --accept". harness/promise
# says what the words mean.
`

// Write writes the verdicts as they are read.
func (v Verdicts) Write(w io.Writer) error {
	var b strings.Builder
	b.WriteString(verdictsHeader)
	for _, s := range Scenarios() {
		fmt.Fprintf(&b, "\n[%s]  %s\n", s.Name, s.Title)
		for _, f := range Fixes() {
			if label := v[Key{s.Name, f.Name}]; label != "" && NotApplicable(s, f) == "" {
				fmt.Fprintf(&b, "%-16s%s\n", f.Name, label)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Read reads what Write wrote. A line that cannot be is an error that names it.
func Read(r io.Reader) (Verdicts, error) {
	v, scenario := Verdicts{}, ""
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			name, _, _ := strings.Cut(line[1:], "]")
			if _, err := Named(name); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			scenario = name
		default:
			name, label, _ := strings.Cut(line, " ")
			if _, err := FixNamed(name); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			if label = strings.TrimSpace(label); scenario == "" || label != "kept" && !strings.HasPrefix(label, "broken ") {
				return nil, fmt.Errorf("line %d: %q is not a fix and a verdict of a scenario", n, line)
			}
			v[Key{scenario, name}] = label
		}
	}
	return v, lines.Err()
}

// Expected reads fixtures/beyond.txt.
func Expected() (Verdicts, error) { return scenarios.ReadFixture("beyond.txt", Read) }

// Files are the fixtures that are written from the verdicts, by their names.
func (v Verdicts) Files() (map[string]string, error) {
	var text, page strings.Builder
	if err := v.Write(&text); err != nil {
		return nil, err
	}
	v.page(&page)
	return map[string]string{"beyond.txt": text.String(), "beyond.md": page.String()}, nil
}

// Accept writes them.
func (v Verdicts) Accept() error {
	files, err := v.Files()
	if err != nil {
		return err
	}
	return scenarios.WriteFixtures(files)
}
