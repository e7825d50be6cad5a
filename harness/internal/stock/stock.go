// Package stock compares a copy of somebody's code, in which some things are cured, with the original.
//
// A cure stands between "// cure NAME: why" and "// cured"; lines in it that begin with "// was: " are what it takes
// the place of.
package stock

import (
	"go/scanner"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Same holds a copy without its cures to the original, token for token: comments and where lines break are free.
func Same(t *testing.T, file, original, copied string) {
	t.Helper()
	require.Equal(t, tokens(t, file, original), tokens(t, file, undone(t, file, copied)), file)
}

// undone is the text without its cures, with what they took the place of.
func undone(t *testing.T, file, text string) string {
	var lines []string
	in := false
	for n, line := range strings.Split(text, "\n") {
		bare := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(bare, "// cure "):
			require.False(t, in, "%s:%d: a cure in a cure", file, n+1)
			in = true
		case bare == "// cured":
			require.True(t, in, "%s:%d: no cure ends here", file, n+1)
			in = false
		case in && strings.HasPrefix(bare, "// was: "):
			lines = append(lines, strings.TrimPrefix(bare, "// was: "))
		case !in:
			lines = append(lines, line)
		}
	}
	require.False(t, in, "%s: a cure that does not end", file)
	return strings.Join(lines, "\n")
}

// tokens are the text's tokens, one a line. A comma before a closing bracket is a matter of where lines break.
func tokens(t *testing.T, file, text string) string {
	var s scanner.Scanner
	set := token.NewFileSet()
	s.Init(set.AddFile(file, set.Base(), len(text)), []byte(text), func(at token.Position, msg string) {
		require.Fail(t, msg, "%s", at)
	}, 0)
	var all []string
	for {
		_, tok, lit := s.Scan()
		if tok == token.EOF {
			return strings.Join(all, "\n")
		}
		if tok == token.RPAREN && len(all) > 0 && all[len(all)-1] == token.COMMA.String()+" " {
			all = all[:len(all)-1]
		}
		if lit == "\n" {
			lit = ""
		}
		all = append(all, tok.String()+" "+lit)
	}
}
