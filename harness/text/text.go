// Package text is how words and lists are put for a person: in a terminal, in an error.
package text

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// And names things in a sentence: "a", "a and b", "a, b and c".
func And(words []string) string { return joined(words, "and") }

// Or is And for a choice.
func Or(words []string) string { return joined(words, "or") }

func joined(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}

// Count is a number and what it counts: "1 cell", "2 cells".
func Count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// Each is a word for each of them.
func Each[T any](all []T, word func(T) string) []string {
	var words []string
	for _, x := range all {
		words = append(words, word(x))
	}
	return words
}

// Find is the one of all that has this name. The error of one that is not there lists those that are.
func Find[T any](what, name string, all []T, nameOf func(T) string) (found T, err error) {
	names := Each(all, nameOf)
	if i := slices.Index(names, name); i >= 0 {
		return all[i], nil
	}
	return found, Unknown(what, name, names)
}

// Unknown is the error for a name that is not there: it says which one was meant, if one is near, and which there are.
func Unknown(what, name string, names []string) error {
	if near := Nearest(name, names); near != "" {
		return fmt.Errorf("there is no %s %q: did you mean %q? There are %s", what, name, near, And(names))
	}
	return fmt.Errorf("there is no %s %q: there are %s", what, name, And(names))
}

// Nearest is the word that somebody who typed this most likely meant, or "" where none is near.
func Nearest(typed string, words []string) string {
	best, least := "", len([]rune(typed))/2+1 // as far as that, a guess is no help
	for _, w := range words {
		d := distance(strings.ToLower(typed), strings.ToLower(w))
		if typed != "" && strings.HasPrefix(w, typed) {
			d = 1 // stopping early is one mistake
		}
		if d < least {
			best, least = w, d
		}
	}
	return best
}

// distance is how many letters must be added, dropped, changed or swapped with their neighbour to make b of a.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	rows := make([][]int, len(s)+1)
	for i := range rows {
		rows[i] = make([]int, len(t)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		for j := 1; j <= len(t); j++ {
			change := rows[i-1][j-1]
			if s[i-1] != t[j-1] {
				change++
			}
			rows[i][j] = min(change, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(s)][len(t)]
}

// Colours of a terminal, as Paint takes them.
const (
	Bold  = "1"
	Dim   = "2"
	Red   = "31"
	Green = "32"
	Amber = "33"
	Blue  = "34"
	Cyan  = "36"

	Inverse     = "7"
	BoldRed     = "1;31"
	BoldMagenta = "1;35"
)

// Paint colours a text for a terminal, or leaves it as it is.
type Paint bool

// In is the text in that colour.
func (on Paint) In(colour, s string) string {
	if !on || s == "" || colour == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// Quote writes a word so that a shell takes it as one.
func Quote(word string) string {
	special := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+:=,", r)
	}
	if word != "" && !strings.ContainsFunc(word, special) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
