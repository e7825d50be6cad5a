package text_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/text"
)

func TestLists(t *testing.T) {
	require.Equal(t, "", text.And(nil))
	require.Equal(t, "a", text.And([]string{"a"}))
	require.Equal(t, "a, b and c", text.And([]string{"a", "b", "c"}))
	require.Equal(t, "a or b", text.Or([]string{"a", "b"}))
	require.Equal(t, "1 cell", text.Count(1, "cell"))
	require.Equal(t, "0 cells", text.Count(0, "cell"))
}

func TestNearest(t *testing.T) {
	words := []string{"register", "release", "put", "revoke"}
	for typed, meant := range map[string]string{"regsiter": "register", "reg": "register", "puts": "put",
		"REVOKE": "revoke", "zzz": "", "": ""} {
		require.Equal(t, meant, text.Nearest(typed, words), typed)
	}
	require.EqualError(t, text.Unknown("verb", "puts", words),
		`there is no verb "puts": did you mean "put"? There are register, release, put and revoke`)
	require.EqualError(t, text.Unknown("verb", "zzz", words[:1]), `there is no verb "zzz": there are register`)
}

func TestPaint(t *testing.T) {
	require.Equal(t, "x", text.Paint(false).In(text.Red, "x"))
	require.Equal(t, "\x1b[31mx\x1b[0m", text.Paint(true).In(text.Red, "x"))
	require.Equal(t, "", text.Paint(true).In(text.Red, ""))
}

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{"a/b-1.txt": "a/b-1.txt", "a b": "'a b'", "it's": `'it'\''s'`, "": "''",
		"$x": "'$x'"} {
		require.Equal(t, want, text.Quote(word))
	}
}

func TestWrap(t *testing.T) {
	require.Empty(t, text.Wrap(" ", 10))
	require.Equal(t, []string{"a proxy", "äöüß-of-ca", "ches ends"}, text.Wrap("a proxy\n äöüß-of-caches ends", 10))
}

func TestFind(t *testing.T) {
	t.Parallel()
	words := []string{"put", "delete"}
	length := func(s string) string { return fmt.Sprint(len(s)) }
	require.Equal(t, []string{"3", "6"}, text.Each(words, length))
	found, err := text.Find("word of length", "6", words, length)
	require.NoError(t, err)
	require.Equal(t, "delete", found)
	_, err = text.Find("word of length", "900", words, length)
	require.EqualError(t, err, `there is no word of length "900": there are 3 and 6`)
}
