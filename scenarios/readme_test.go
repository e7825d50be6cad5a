package scenarios

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/proxy"
)

const (
	readmeEnglish = "../README.md"
	readmeChinese = "../fixtures/README.zh-CN.md"
)

var (
	inlineCommand = regexp.MustCompile("`((?:make|ghostroute|go) [^`]+)`")
	indented      = regexp.MustCompile(`(?m)^ {4}.+$`)
	commandLine   = regexp.MustCompile(`(?m)^(?: {4})?((?:make|ghostroute|go) .+)$`)
	comment       = regexp.MustCompile(`\s+#.*$`)
	tableRow      = regexp.MustCompile(`(?m)^\|(.+)\|$`)
	threadNumber  = regexp.MustCompile(`\b\d{5}\b`)
	ports         = regexp.MustCompile(`:\d{4,5}\b`)
	answerShown   = regexp.MustCompile(`\n {4}g\d is told(?:.+\n)+`)
	benchCall     = regexp.MustCompile(`\bb\.([A-Z]\w*)`)
	linkTo        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading       = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
	scheme        = regexp.MustCompile(`^[a-z]+:`)
)

// TestReadmeIsShort holds the README to a length that is read: 9,000 bytes.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(readmeEnglish)
	require.NoError(t, err)
	require.LessOrEqual(t, len(text), 9000)
}

// TestReadmeExample holds the example in the READMEs to yours_test.go, which is compiled and run.
func TestReadmeExample(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("yours_test.go")
	require.NoError(t, err)
	for _, file := range []string{readmeEnglish, readmeChinese} {
		require.Contains(t, readmeOf(t, file).blocks, "go\n"+strings.TrimSpace(string(example)),
			"%s does not show yours_test.go as it is", file)
	}
}

// TestReadmeOneLiner: what make versions types is what the READMEs say.
func TestReadmeOneLiner(t *testing.T) {
	t.Parallel()
	for _, file := range []string{readmeEnglish, readmeChinese} {
		require.True(t, strings.Contains(readmeOf(t, file).prose, "`"+OneLiner+"`"), "%s does not say %s", file, OneLiner)
	}
}

// TestReadmeMatrix holds the few cells of the matrix that the READMEs show to fixtures/matrix.md.
func TestReadmeMatrix(t *testing.T) {
	t.Parallel()
	whole := verdictsIn(readmeOf(t, "../fixtures/matrix.md").prose)
	for _, file := range []string{readmeEnglish, readmeChinese} {
		shown := verdictsIn(readmeOf(t, file).prose)
		require.NotEmpty(t, shown, "no cell found in %s: this test looks for the wrong thing", file)
		for cell, letters := range shown {
			require.Equal(t, whole[cell], letters, "%s: %s against %s", file, cell[0], cell[1])
		}
	}
}

// requireInReadme holds the lines of the incident that the README shows to the story, but for ports.
func requireInReadme(t *testing.T, story string) {
	t.Helper()
	told := strings.Split(ports.ReplaceAllString(story, ":0"), "\n")
	blocks := readmeOf(t, readmeEnglish).blocks
	shown := slices.IndexFunc(blocks, func(b string) bool { return strings.Contains(b, " is told: ") })
	require.NotEqual(t, -1, shown, "the README shows nothing of the incident")
	for _, line := range strings.Split(ports.ReplaceAllString(strings.Trim(blocks[shown], "\n"), ":0"), "\n") {
		require.Contains(t, told, line, "the README shows a line that the incident does not print")
	}
}

// TestReadmeThreads wants a row in the READMEs for each issue and pull request of etcd that a scenario, a fix or a
// variant names.
func TestReadmeThreads(t *testing.T) {
	t.Parallel()
	var sources []string
	for _, s := range All() {
		sources = append(sources, s.Seen)
	}
	for _, f := range Fixes() {
		sources = append(sources, f.Source)
	}
	for _, v := range proxy.Variants() {
		sources = append(sources, v.Source)
	}
	threads := threadNumber.FindAllString(strings.Join(sources, " "), -1)
	require.NotEmpty(t, threads, "no thread is named: this test looks for the wrong thing")
	for _, file := range []string{readmeEnglish, readmeChinese} {
		readme := readmeOf(t, file)
		for _, n := range threads {
			assert.Contains(t, readme.prose, "["+n+"](https://github.com/etcd-io/etcd/",
				"%s does not say what shows etcd's %s", file, n)
		}
	}
}

// TestReadmeChapters wants every chapter in the list of the notebooks' README, and in one of them the answer that it
// shows. TestReadmeLinks follows the list.
func TestReadmeChapters(t *testing.T) {
	t.Parallel()
	chapters, err := filepath.Glob("../fixtures/notebooks/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, chapters)
	readme, told := readmeOf(t, "../fixtures/notebooks/README.md"), false
	answer := strings.ReplaceAll(answerShown.FindString(readme.prose), "\n    ", "\n")
	require.NotEmpty(t, answer)
	for _, c := range chapters {
		assert.Contains(t, readme.prose, "("+filepath.Base(c)+")", "%s does not list it", readme.file)
		text, err := os.ReadFile(c)
		require.NoError(t, err)
		told = told || strings.Contains(string(text), answer)
	}
	assert.True(t, told, "%s shows an answer that no chapter prints", readme.file)
}

// TestReadmeBench looks for each method and field of a bench that the harness' README names.
func TestReadmeBench(t *testing.T) {
	t.Parallel()
	calls := benchCall.FindAllStringSubmatch(readmeOf(t, "../harness/README.md").prose, -1)
	require.NotEmpty(t, calls)
	bench := reflect.TypeFor[*harness.Bench]()
	for _, c := range calls {
		_, method := bench.MethodByName(c[1])
		_, field := bench.Elem().FieldByName(c[1])
		assert.True(t, method || field, "harness/README.md names b.%s, which a bench does not have", c[1])
	}
}

// TestReadmeInChinese holds the Chinese README to the English one: the same commands, and the same fenced blocks to the
// letter.
func TestReadmeInChinese(t *testing.T) {
	t.Parallel()
	english, chinese := readmeOf(t, readmeEnglish), readmeOf(t, readmeChinese)
	for _, by := range []struct {
		what string
		of   func(readmeText) []string
	}{{"command", readmeText.commands}, {"block", func(r readmeText) []string { return r.blocks }}} {
		want, got := by.of(english), by.of(chinese)
		require.NotEmpty(t, want, "no %s found in %s: this test looks for the wrong thing", by.what, english.file)
		onlyIn(t, by.what, chinese, got, english, want)
		onlyIn(t, by.what, english, want, chinese, got)
	}
}

// TestReadmeLinks follows every link of every Markdown file that stays within the project, to its file and its heading.
func TestReadmeLinks(t *testing.T) {
	t.Parallel()
	followed := 0
	for _, file := range markdown(t) {
		for _, l := range linkTo.FindAllStringSubmatch(readmeOf(t, file).prose, -1) {
			followed++
			if scheme.MatchString(l[1]) {
				continue
			}
			path, anchor, _ := strings.Cut(l[1], "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			_, err := os.Stat(target)
			if !assert.NoError(t, err, "%s links to %s, which does not exist", file, l[1]) || anchor == "" {
				continue
			}
			assert.Contains(t, readmeOf(t, target).anchors(), anchor, "%s links to %s, which has no such heading", file, l[1])
		}
	}
	require.NotZero(t, followed, "no link found: this test looks for the wrong thing")
}

// markdown lists the project's Markdown files.
func markdown(t *testing.T) (files []string) {
	t.Helper()
	for _, dir := range []string{"..", "../fixtures", "../harness", "../scenarios"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() && dir == ".." && path != dir {
				return fs.SkipDir // artifacts
			}
			if filepath.Ext(path) == ".md" {
				files = append(files, path)
			}
			return err
		}))
	}
	return files
}

// verdictsIn are the cells of the table of verdicts in a text, by scenario and fix. Its first row names fixes.
func verdictsIn(text string) map[[2]string]string {
	all := map[[2]string]string{}
	var fixes []string
	for _, row := range tableRow.FindAllStringSubmatch(text, -1) {
		columns := strings.Split(row[1], "|")
		for i, c := range columns {
			columns[i] = strings.TrimSpace(c)
		}
		switch _, err := Named(columns[0]); {
		case len(columns) > 1 && columns[1] == "none":
			fixes = columns[1:]
		case err == nil && len(columns) == len(fixes)+1:
			for i, letters := range columns[1:] {
				all[[2]string{columns[0], fixes[i]}] = letters
			}
		}
	}
	return all
}

// A readmeText is a Markdown file, its fenced blocks apart from the rest.
type readmeText struct {
	file, prose string
	blocks      []string // each with the language after its first fence, if any
}

func readmeOf(t *testing.T, file string) readmeText {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	r := readmeText{file: file}
	parts := strings.Split("\n"+string(text), "\n```")
	require.Equal(t, 1, len(parts)%2, "a fenced block in %s does not end", file)
	for i, part := range parts {
		if i%2 == 1 {
			r.blocks = append(r.blocks, part)
		} else {
			r.prose += part + "\n"
		}
	}
	return r
}

// Commands are the commands, inline or on a line of code each, without the comment behind them.
func (r readmeText) commands() (all []string) {
	for _, m := range inlineCommand.FindAllStringSubmatch(r.prose, -1) {
		all = append(all, m[1])
	}
	text := strings.Join(append(r.blocks, indented.FindAllString(r.prose, -1)...), "\n")
	for _, m := range commandLine.FindAllStringSubmatch(text, -1) {
		all = append(all, comment.ReplaceAllString(m[1], ""))
	}
	return all
}

// Anchors are the names under which GitHub links to the headings.
func (r readmeText) anchors() (all []string) {
	for _, m := range heading.FindAllStringSubmatch(r.prose, -1) {
		all = append(all, strings.Map(func(c rune) rune {
			switch {
			case c == ' ':
				return '-'
			case c == '-' || c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c):
				return unicode.ToLower(c)
			}
			return -1
		}, m[1]))
	}
	return all
}

func onlyIn(t *testing.T, what string, here readmeText, has []string, there readmeText, lacks []string) {
	t.Helper()
	for _, one := range has {
		assert.True(t, slices.Contains(lacks, one), "%s has this %s, and %s does not:\n%s",
			here.file, what, there.file, strings.TrimSpace(one))
	}
}
