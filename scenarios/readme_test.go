package scenarios

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	readmeEnglish = "../README.md"
	readmeChinese = "../fixtures/README.zh-CN.md"
)

var (
	inlineMake = regexp.MustCompile("`(make [^`]+)`")
	indented   = regexp.MustCompile(`(?m)^ {4}.+$`)
	makeLine   = regexp.MustCompile(`(?m)^(?: {4})?(make .+)$`)
	comment    = regexp.MustCompile(`\s+#.*$`)
	layoutName = regexp.MustCompile(`[\w.-]+/|\w+\.go\b`)
	linkTo     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
	scheme     = regexp.MustCompile(`^[a-z]+:`)
)

// TestReadmeInChinese holds the Chinese README to the English one: the same make commands, and the same fenced blocks to the letter. Only of
// the block that shows the folders, which is mostly prose, names alone are compared.
func TestReadmeInChinese(t *testing.T) {
	english, chinese := readmeOf(t, readmeEnglish), readmeOf(t, readmeChinese)
	for _, by := range []struct {
		what string
		of   func(readmeText) []string
	}{{"command", readmeText.commands}, {"block", readmeText.code}} {
		want, got := by.of(english), by.of(chinese)
		require.NotEmpty(t, want, "no %s found in %s: this test looks for the wrong thing", by.what, english.file)
		onlyIn(t, by.what, chinese, got, english, want)
		onlyIn(t, by.what, english, want, chinese, got)
	}
}

// TestReadmeLinks follows every link in both READMEs that stays within the project, to its file and its heading.
func TestReadmeLinks(t *testing.T) {
	for _, file := range []string{readmeEnglish, readmeChinese} {
		links := linkTo.FindAllStringSubmatch(readmeOf(t, file).prose, -1)
		require.NotEmpty(t, links, "no link found in %s: this test looks for the wrong thing", file)
		for _, l := range links {
			if scheme.MatchString(l[1]) {
				continue
			}
			path, anchor, _ := strings.Cut(l[1], "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(target); !assert.NoError(t, err, "%s links to %s, which does not exist", file, l[1]) || anchor == "" {
				continue
			}
			assert.Contains(t, readmeOf(t, target).anchors(), anchor, "%s links to %s, and %s has no such heading", file, l[1], target)
		}
	}
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

// Commands are the make commands, inline or on a line of code each, without the comment behind them.
func (r readmeText) commands() (all []string) {
	for _, m := range inlineMake.FindAllStringSubmatch(r.prose, -1) {
		all = append(all, m[1])
	}
	text := strings.Join(append(r.blocks, indented.FindAllString(r.prose, -1)...), "\n")
	for _, m := range makeLine.FindAllStringSubmatch(text, -1) {
		all = append(all, comment.ReplaceAllString(m[1], ""))
	}
	return all
}

func (r readmeText) code() (all []string) {
	for _, block := range r.blocks {
		if strings.HasPrefix(block, "\nscenarios/ ") {
			block = strings.Join(layoutName.FindAllString(block, -1), " ")
		}
		all = append(all, block)
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
		assert.True(t, slices.Contains(lacks, one), "%s has this %s, and %s does not:\n%s", here.file, what, there.file, strings.TrimSpace(one))
	}
}
