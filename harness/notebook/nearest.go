package notebook

import (
	"fmt"
	"strings"
)

// nearest is the word that somebody who typed this most likely meant, or "" where none is near.
func nearest(typed string, words []string) string {
	best, least := "", len([]rune(typed))/2+1 // as far as that, a guess is no help
	for _, w := range words {
		d := distance(strings.ToLower(typed), strings.ToLower(w))
		if strings.HasPrefix(w, typed) {
			d = 1 // who stops early has made one mistake
		}
		if d < least {
			best, least = w, d
		}
	}
	return best
}

func didYouMean(word string) string {
	if word == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", word)
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
