package etcd

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ghostroute/harness/room"
	"ghostroute/harness/scratch"
)

// openLog returns a logger that appends JSON lines to the file at path. Nothing goes to the terminal, not even that a
// line could not be written: etcd's last goroutines may still log when the file is closed.
func openLog(path string) (*zap.Logger, *os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, nil, err
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.Lock(file), zap.InfoLevel)
	return zap.New(core, zap.ErrorOutput(zapcore.AddSync(discard{})), zap.WithFatalHook(fatal{}),
		zap.WithPanicHook(fatal{})), file, nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// fatal panics where etcd ends the process (a write to a data folder that is gone, say): zap's own way is to write to
// the log, which is a file here, and exit without a word. Where the disk is full there is nothing to trace.
type fatal struct{}

func (fatal) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	text := gaveUp(entry, fields)
	if said, ok := room.Short(errors.New(text)); ok {
		die(said)
	}
	panic(text)
}

var dying sync.Mutex // is never given back: who comes later waits for the end

// die ends the process where etcd cannot go on, nor be ended: it waits for the goroutine that failed. It leaves what a
// command that fails leaves, a sentence and nothing else.
func die(said error) {
	dying.Lock()
	fmt.Fprintf(os.Stderr, "ghostroute: %v\n", said)
	scratch.Abandon()
	os.Exit(2)
}

// gaveUp is an entry of etcd's log in one line.
func gaveUp(entry *zapcore.CheckedEntry, fields []zapcore.Field) string {
	text := new(strings.Builder)
	fmt.Fprintf(text, "etcd gave up: %s", entry.Message)
	values := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(values)
	}
	for _, key := range slices.Sorted(maps.Keys(values.Fields)) {
		fmt.Fprintf(text, " %s=%v", key, values.Fields[key])
	}
	return text.String()
}
