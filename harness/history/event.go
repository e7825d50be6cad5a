// Package history is what happened on a bench: one append-only list of typed events on one monotonic clock.
//
// Verdicts, drawings and stories are made from a history and from no running bench. A history is written as JSON
// lines, one event a line, and read back to the same events.
package history

import "time"

// Event is one thing that happened. Exactly one payload is set.
type Event struct {
	Seq int           `json:"seq"` // its place in the history, from 1
	At  time.Duration `json:"at"`  // when it happened, or ended if it lasted, in nanoseconds since the history began
	Who string        `json:"who"` // the node it happened at: "g1", "p2", "m3", "v1-a", "lb", "bench"

	Step    *Step    `json:"step,omitempty"`    // the story goes on
	Range   *Range   `json:"range,omitempty"`   // a proxy answered a Range
	Write   *Write   `json:"write,omitempty"`   // a client's write was acknowledged, or failed
	Commit  *Commit  `json:"commit,omitempty"`  // truth moved, as a member applied it
	Truth   *Truth   `json:"truth,omitempty"`   // a linearizable read on a member
	Resolve *Resolve `json:"resolve,omitempty"` // a gateway read the registry
	Request *Request `json:"request,omitempty"` // a gateway passed a request on
	Conn    *Conn    `json:"conn,omitempty"`    // the balancer opened, refused or closed a connection
	Watch   *Watch   `json:"watch,omitempty"`   // a watch was asked for, created, told something, or ended
	Fault   *Fault   `json:"fault,omitempty"`   // a fault was armed, fired or ended
}

// Phase is where in a trial a step stands; see harness/verdict/README.md.
type Phase string

const (
	PhaseArrange Phase = "arrange" // every gateway reads once and must see truth
	PhaseAct     Phase = "act"     // the change and its fault begin
	PhaseObserve Phase = "observe" // the change is acknowledged; answers that begin from here on are judged
	PhaseRelease Phase = "release" // what was held is released: from here on the topology may heal
	PhaseEnd     Phase = "end"     // patience is over
)

// Step is a sentence of the story, and for a trial the border between two phases.
type Step struct {
	Phase Phase  `json:"phase,omitempty"`
	Title string `json:"title,omitempty"` // a chapter begins
	Text  string `json:"text,omitempty"`
}

// Source says where an answer came from.
type Source string

const (
	Hit         Source = "hit"    // from the proxy's cache: no call went upstream
	Miss        Source = "miss"   // the proxy asked a member
	Member      Source = "member" // no grpc-proxy on the way
	ClientCache Source = "client" // from go-micro's registry/cache: no RPC left the gateway
)

// Range is a Range that a proxy answered, with its provenance.
type Range struct {
	Began  time.Duration `json:"began"`            // when the request reached the proxy
	Client string        `json:"client,omitempty"` // the client whose connection it came over, "" where unknown
	Key    string        `json:"key"`
	End    string        `json:"end,omitempty"`
	// what else it asked for, "limit=1 keys-only"; part of the cache's key
	Shape        string   `json:"shape,omitempty"`
	Serializable bool     `json:"serializable"`
	Source       Source   `json:"source"`           // Hit or Miss
	Revision     int64    `json:"revision"`         // the revision the answer was true at, from its header
	Member       string   `json:"member,omitempty"` // on a miss: the member that answered
	Keys         []string `json:"keys"`             // the keys answered, in the answer's order
	Mods         []int64  `json:"mods,omitempty"`   // of each of Keys the revision of its last change
	Count        int64    `json:"count,omitempty"`  // how many keys the range held, with those a limit left out
	Upon         int64    `json:"upon,omitempty"`   // the revision of the event upon which a client asked
	Err          string   `json:"err,omitempty"`
}

// Write is a change of truth as its client saw it: acknowledged at Revision, or failed with Err, its outcome then
// unknown.
type Write struct {
	Began    time.Duration `json:"began"`
	Via      string        `json:"via,omitempty"` // the proxy it passed, or the member it was made on
	Op       string        `json:"op"`            // "put", "delete", "txn", "grant", "revoke", "keepalive", "compact"
	Key      string        `json:"key,omitempty"`
	End      string        `json:"end,omitempty"`
	Lease    int64         `json:"lease,omitempty"`
	Read     int           `json:"read,omitempty"` // the Seq of the Range the same call read before it: Register's lookup
	Revision int64         `json:"revision,omitempty"`
	Deleted  int64         `json:"deleted,omitempty"`
	Err      string        `json:"err,omitempty"`
}

// Commit is one key's change as a member's watch reported it: the order of commits is the order of truth.
type Commit struct {
	Revision int64  `json:"revision"`
	Op       string `json:"op"` // "put" or "delete"
	Key      string `json:"key"`
	Lease    int64  `json:"lease,omitempty"`
	Value    string `json:"value,omitempty"`
}

// Endpoint is one instance as a registry answer names it.
type Endpoint struct {
	ID      string `json:"id"`      // the instance's name, "v1-a"
	Version string `json:"version"` // "v1"
	Address string `json:"address"` // "127.0.0.1:31234"
}

// Truth is a linearizable read of a service made directly on a member.
type Truth struct {
	Service   string     `json:"service"`
	Revision  int64      `json:"revision"`
	Endpoints []Endpoint `json:"endpoints"` // sorted by ID
	Err       string     `json:"err,omitempty"`
}

// Resolve is one registry read by a gateway: what it was told and where that came from.
type Resolve struct {
	Began     time.Duration `json:"began"`
	Service   string        `json:"service"`
	List      bool          `json:"list,omitempty"`    // ListServices rather than GetService
	Mode      string        `json:"mode"`              // the read mode
	Reading   string        `json:"reading,omitempty"` // which gateway reads: "each-request" or "go-micro"
	Via       string        `json:"via,omitempty"`     // the proxy that answered
	Source    Source        `json:"source"`
	Revision  int64         `json:"revision,omitempty"` // the answer was true at; 0 where the client's own cache answered
	Range     int           `json:"range,omitempty"`    // the Seq of the Range behind it, or behind the client's copy
	Endpoints []Endpoint    `json:"endpoints"`          // sorted by ID
	Err       string        `json:"err,omitempty"`      // "not found" is an answer, not an error: it is Endpoints empty
}

// Request is one HTTP request through a gateway to an instance.
type Request struct {
	Began    time.Duration `json:"began"`
	Service  string        `json:"service"`
	Status   int           `json:"status"`
	Dialled  string        `json:"dialled,omitempty"`  // the address the gateway dialled
	Target   string        `json:"target,omitempty"`   // the instance that is, or was last, at that address
	Answered string        `json:"answered,omitempty"` // the service that answered, by its own word
	Version  string        `json:"version,omitempty"`  // the version that answered
	Instance string        `json:"instance,omitempty"` // the instance that answered
	Log      string        `json:"log,omitempty"`      // the line the gateway logged, "http: proxy error: …"
	Err      string        `json:"err,omitempty"`
}

// Conn is a connection through the balancer.
type Conn struct {
	Op     string `json:"op"`               // "open", "close", "drain", "refuse", "weights"
	Client string `json:"client,omitempty"` // the client of the VIP
	Proxy  string `json:"proxy,omitempty"`  // the backend it went to
	N      int    `json:"n,omitempty"`      // its ordinal among the new connections of the schedule, from 1
	Detail string `json:"detail,omitempty"`
}
