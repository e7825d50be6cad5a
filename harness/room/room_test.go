package room_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/room"
)

func TestNoRoomIsOneSentenceThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	full := errors.Join(errors.New("the history was not saved"), fmt.Errorf("write x: %w", syscall.ENOSPC))
	said, ok := room.Short(full)
	require.True(t, ok)
	require.EqualError(t, said, "what a run writes could not be kept: write x: no space left on device: "+
		"make room there, or name another folder: --out for what is kept, TMPDIR for the members' data")
	said, ok = room.Short(fmt.Errorf("accept: %w\nand more", syscall.EMFILE))
	require.True(t, ok)
	require.Regexp(t, `^what a run needs could not be opened: accept: too many open files: \d+ may be open at a time, `+
		`ulimit -n 4096 lets there be more$`, said.Error())
	_, ok = room.Short(errors.New("etcd gave up: failed to commit tx error=no space left on device"))
	require.True(t, ok, "etcd gives some errors on as text")
	_, ok = room.Short(errors.New("connection refused"))
	require.False(t, ok)
	_, ok = room.Short(nil)
	require.False(t, ok)
}

func TestMembersWantRoom(t *testing.T) {
	t.Parallel()
	require.NoError(t, room.Members(t.TempDir(), 1))
	require.ErrorIs(t, room.Members(t.TempDir(), 1<<30), syscall.ENOSPC)
	n, err := room.Benches(3)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	n, err = room.Benches(1 << 40)
	require.NoError(t, err)
	require.Less(t, n, 1<<40, "the limit of open files allows as many as it does")
}

func TestAFileIsWrittenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "history.jsonl")
	require.NoError(t, room.Write(file, func(w io.Writer) error { _, err := io.WriteString(w, "all of it"); return err }))
	err := room.Write(file, func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return syscall.ENOSPC })
	require.ErrorIs(t, err, syscall.ENOSPC)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "all of it", string(text))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.NoError(t, room.Write(os.DevNull, func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }))
}
