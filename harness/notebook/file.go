package notebook

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"

	"ghostroute/harness/text"
)

// file is a notebook as it is written: lines of prose, which begin with #, and commands.
type file struct {
	path     string
	lines    []string
	commands []written
}

// written is a command in a file: its line and those of its input, "----", and what it printed when the file was
// written, up to an empty line. A command that was never run may lack all but the first.
type written struct {
	at, input, output, end int // lines[at] is the command's; then its input, "----", its output, and what comes after
}

func readFile(path string) (*file, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &file{path: path, lines: strings.Split(strings.TrimRight(string(data), "\n"), "\n")}
	empty := func(i int) bool { return i >= len(f.lines) || strings.TrimSpace(f.lines[i]) == "" }
	for i := 0; i < len(f.lines); i++ {
		if empty(i) || f.lines[i][0] == '#' {
			continue
		}
		w := written{at: i, input: i + 1, output: i + 1}
		for !empty(w.output) && f.lines[w.output] != "----" {
			w.output++
		}
		for w.end = w.output; !empty(w.end); w.end++ {
		}
		f.commands = append(f.commands, w)
		i = w.end
	}
	return f, nil
}

// pos is where a command stands, "fixtures/notebooks/03-the-incident.txt:7", whichever folder of the repository the
// path is seen from.
func (f *file) pos(w written) string { return fmt.Sprintf("%s:%d", f.name(), w.at+1) }

func (f *file) name() string {
	path := f.path
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, path); err == nil && filepath.IsAbs(path) && filepath.IsLocal(rel) {
			path = rel
		}
	}
	for strings.HasPrefix(path, "../") {
		path = path[len("../"):]
	}
	return path
}

func (f *file) inputOf(w written) string { return strings.Join(f.lines[w.input:w.output], "\n") }

// outputOf is what a command printed when the file was written.
func (f *file) outputOf(w written) []string { return f.lines[min(w.output+1, w.end):w.end] }

// differences are what the commands that printed something else printed: for each where it stands, the prose before it,
// the command, and the lines that went and came. actual is what each command printed, as far as they ran.
func (f *file) differences(actual [][]string) string {
	var out strings.Builder
	for i, now := range actual {
		w := f.commands[i]
		was := f.outputOf(w)
		if slices.Equal(was, now) {
			continue
		}
		first, above := w.at, w.at
		for above > 0 && f.lines[above-1] == "" {
			above--
		}
		for above > 0 && strings.HasPrefix(f.lines[above-1], "# ") { // the last paragraph
			above--
			first = above
		}
		fmt.Fprintf(&out, "%s\n    %s\n    ----\n", f.pos(w), strings.Join(f.lines[first:w.output], "\n    "))
		for _, op := range difflib.NewMatcher(was, now).GetOpCodes() {
			switch op.Tag {
			case 'e':
				indent(&out, "    ", was[op.I1:op.I2])
			default:
				indent(&out, "  - ", was[op.I1:op.I2])
				indent(&out, "  + ", now[op.J1:op.J2])
			}
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}

func indent(out *strings.Builder, by string, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(out, "%s%s\n", by, line)
	}
}

// rewrite has the file say what the commands printed.
func (f *file) rewrite(actual [][]string) error {
	var all []string
	from := 0
	for i, now := range actual {
		w := f.commands[i]
		all = append(append(append(all, f.lines[from:w.output]...), "----"), now...)
		from = w.end
	}
	all = append(all, f.lines[from:]...)
	return os.WriteFile(f.path, []byte(strings.Join(all, "\n")+"\n"), 0o644)
}

// Script is what a notebook does without what it tells: its commands and what they print, line by line.
func Script(path string) ([]string, error) {
	f, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(f.lines, func(line string) bool { return line == "" || line[0] == '#' }), nil
}

// Chapter is a notebook of a course.
type Chapter struct {
	Name  string   // "03-the-incident"
	Paths []string // of its file, and of the answer to its exercise, which goes on where the chapter left the bench
}

// Chapters are those in a folder: in English, or in the language of that name ("zh-CN"), which has a folder within.
func Chapters(dir, language string) ([]Chapter, error) {
	in := filepath.Join(dir, language)
	paths, err := filepath.Glob(filepath.Join(in, "[0-9][0-9]-*.txt"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 && language != "" {
		folders, _ := filepath.Glob(filepath.Join(dir, "*", "[0-9][0-9]-*.txt")) // the pattern is good
		others := text.Each(folders, func(path string) string { return filepath.Base(filepath.Dir(path)) })
		return nil, text.Unknown("translation", language, slices.Compact(others))
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("there is no chapter in %s: a chapter's name is like 03-the-incident.txt", dir)
	}
	var all []Chapter
	for _, path := range paths {
		c := Chapter{Name: strings.TrimSuffix(filepath.Base(path), ".txt"), Paths: []string{path}}
		answer := filepath.Join(in, "answers", c.Name[:2]+".txt")
		if _, err := os.Stat(answer); err == nil {
			c.Paths = append(c.Paths, answer)
		}
		all = append(all, c)
	}
	return all, nil
}

// FindChapter is the chapter of that number, "3" or "03", or of that name, among Chapters.
func FindChapter(dir, language, number string) (Chapter, error) {
	all, err := Chapters(dir, language)
	if err != nil {
		return Chapter{}, err
	}
	var names []string
	for _, c := range all {
		short := strings.TrimPrefix(c.Name[:2], "0")
		if number == c.Name || number == c.Name[:2] || number == short {
			return c, nil
		}
		names = append(names, short)
	}
	return Chapter{}, fmt.Errorf("there is no chapter %q: there are %s", number, text.And(names))
}
