package text

import "strings"

// Wrap breaks a text into lines of at most n letters, at spaces, and within a word where it is longer than that.
func Wrap(text string, n int) []string {
	var lines []string
	line := []rune{}
	for _, word := range strings.Fields(text) {
		w := []rune(word)
		if len(line) > 0 && len(line)+1+len(w) > n {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		for line = append(line, w...); len(line) > n; line = line[n:] {
			lines = append(lines, string(line[:n]))
		}
	}
	if len(line) > 0 {
		lines = append(lines, string(line))
	}
	return lines
}
