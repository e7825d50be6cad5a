package gateway

import (
	"io"
	"log"
	"strings"
	"sync"

	"ghostroute/harness/goid"
)

// capture runs f and appends to lines what f logged, on the goroutine it was called on, to the standard logger.
//
// net/http/httputil's ReverseProxy, which go-micro's handler makes for each request with nothing set, says why it
// answers 502 in one place only: the process's logger. It logs on its caller's goroutine, and by that a line is its
// request's.
func capture(lines *[]string, f func()) {
	id := goid.Current()
	logTee.mu.Lock()
	logTee.lines[id] = lines
	logTee.mu.Unlock()
	defer func() {
		logTee.mu.Lock()
		defer logTee.mu.Unlock()
		delete(logTee.lines, id)
	}()
	f()
}

// logTee stands before the standard logger's writer, of which a process has one; so it is the process's too. teeLog
// installs it once and for good: taking it out again could not be told from taking out what was put in front of
// it.
var logTee = tee{lines: map[goid.ID]*[]string{}}

var teeLog = sync.OnceFunc(func() {
	logTee.rest = log.Writer()
	log.SetOutput(&logTee)
})

// tee gives a line to the request whose goroutine logs it, and every other line to the writer before it.
type tee struct {
	rest io.Writer

	mu    sync.Mutex
	lines map[goid.ID]*[]string
}

func (t *tee) Write(p []byte) (int, error) {
	id := goid.Current()
	t.mu.Lock()
	lines := t.lines[id]
	t.mu.Unlock()
	if lines == nil {
		return t.rest.Write(p)
	}
	line := strings.TrimSpace(string(p))
	if at := strings.Index(line, "http: "); at > 0 { // without the logger's date
		line = line[at:]
	}
	*lines = append(*lines, line)
	return len(p), nil
}
