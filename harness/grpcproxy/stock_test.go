package grpcproxy

import (
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestACopyIsStock undoes the cures of each file and compares what is left with the file in etcd's module, token for
// token: comments and where lines break are free.
func TestACopyIsStock(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "go.etcd.io/etcd/server/v3").Output()
	require.NoError(t, err)
	upstream := filepath.Join(strings.TrimSpace(string(out)), "proxy", "grpcproxy")
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	copies := 0
	for _, file := range files {
		stock, err := os.ReadFile(filepath.Join(upstream, file))
		if os.IsNotExist(err) {
			require.Contains(t, []string{"cures.go", "stock_test.go"}, file, "it is no file of upstream's")
			continue
		}
		require.NoError(t, err)
		ours, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, tokens(t, file, string(stock)), tokens(t, file, undone(t, file, string(ours))), file)
		copies++
	}
	require.Equal(t, 7, copies)
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
