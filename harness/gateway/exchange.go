package gateway

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/service"
)

// exchange is one request through the gateway, from its beginning to its outcome.
type exchange struct {
	service string
	began   time.Duration

	// The server's, while run runs.
	answer *answer // of the lookup; set beforehand to make the request without one
	// the address to pass it on to, at first where it may be tried again; "" for go-micro's choice
	only      string
	tried     map[string]bool // addresses that could not be dialled
	connected bool            // whether the attempt got a connection
	transport *http.Transport // the gateway's

	mu  sync.Mutex
	out history.Request
}

type exchangeKey struct{}

// run passes the request on, and on to another instance while the one chosen cannot be dialled and retry allows it.
func (x *exchange) run(w http.ResponseWriter, r *http.Request, p *process, retry int) {
	x.transport = p.transport
	// net/http calls both on the goroutine of the round trip, which is this one; for a request that finds its idle
	// connection closed it calls them again.
	trace := &httptrace.ClientTrace{
		GetConn: x.dials,
		GotConn: func(httptrace.GotConnInfo) { x.connected = true },
	}
	r = r.WithContext(httptrace.WithClientTrace(context.WithValue(r.Context(), exchangeKey{}, x), trace))

	resp := x.attempt(r, p)
	for ; retry > 0 && x.refused(resp, r) && x.tryAnother(); retry-- {
		resp = x.attempt(r, p)
	}
	maps.Copy(w.Header(), resp.header)
	w.WriteHeader(resp.code())
	_, _ = w.Write(resp.body.Bytes()) // an error means that the caller has gone
}

// attempt has go-micro's handler answer the request, and notes what it did.
func (x *exchange) attempt(r *http.Request, p *process) *buffer {
	resp, lines := &buffer{header: http.Header{}}, new([]string)
	defer x.note(func(out *history.Request) {
		out.Status = resp.code()
		out.Answered = resp.header.Get(service.HeaderService)
		out.Version = resp.header.Get(service.HeaderVersion)
		out.Instance = resp.header.Get(service.HeaderInstance)
		if out.Log != "" {
			*lines = append([]string{out.Log}, *lines...)
		}
		out.Log = strings.Join(*lines, "\n")
	})
	x.connected = false
	capture(lines, func() { p.handler.ServeHTTP(resp, r.Clone(r.Context())) })
	return resp
}

// dials notes which address the transport wants a connection to.
func (x *exchange) dials(address string) {
	x.connected = false
	x.note(func(out *history.Request) {
		out.Dialled, out.Target = address, ""
		for _, e := range x.answer.resolve.Endpoints {
			if e.Address == address {
				out.Target = e.ID
			}
		}
	})
}

// refused says whether resp is the handler's answer to an instance that could not be dialled.
func (x *exchange) refused(resp *buffer, r *http.Request) bool {
	return resp.code() == http.StatusBadGateway && !x.connected && r.Context().Err() == nil
}

// tryAnother crosses off the instance that could not be dialled. It is false where none is left.
func (x *exchange) tryAnother() bool {
	if x.tried == nil {
		x.tried = map[string]bool{}
	}
	x.note(func(out *history.Request) { x.tried[out.Dialled] = true })
	for _, e := range x.answer.resolve.Endpoints {
		if x.may(e.Address) {
			return true
		}
	}
	return false
}

// may says whether the request may go to the instance at an address.
func (x *exchange) may(address string) bool {
	return (x.only == "" || x.only == address || len(x.tried) > 0) && !x.tried[address]
}

func (x *exchange) note(f func(*history.Request)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(&x.out)
}

// outcome is what became of the request, or has become of it so far.
func (x *exchange) outcome(cfg *Config) history.Request {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := x.out
	out.Service, out.Began = x.service, x.began
	if out.Dialled != "" && cfg.Target != nil {
		if known := cfg.Target(out.Dialled); known != "" {
			out.Target = known
		}
	}
	return out
}

// buffer is an answer that is not sent yet, so that it can be thrown away and another instance be tried.
type buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *buffer) Header() http.Header { return b.header }

func (b *buffer) WriteHeader(status int) {
	if b.status == 0 && status >= 200 {
		b.status = status
	}
}

func (b *buffer) Write(p []byte) (int, error) { return b.body.Write(p) }

func (b *buffer) code() int {
	if b.status == 0 {
		return http.StatusOK
	}
	return b.status
}
