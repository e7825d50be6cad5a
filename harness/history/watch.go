package history

// WatchOp is what becomes of a watch.
type WatchOp string

// What becomes of a watch, in this order.
const (
	WatchAsk      WatchOp = "ask"      // it is asked for
	WatchCreated  WatchOp = "created"  // etcd, or a proxy, says that it stands
	WatchEvents   WatchOp = "events"   // events are delivered
	WatchInquire  WatchOp = "inquire"  // its client asks how far it is
	WatchProgress WatchOp = "progress" // it is told how far
	WatchEnd      WatchOp = "end"      // it is over, and whoever ends it says why
	WatchQuit     WatchOp = "quit"     // who asked for it gives it up
)

// Watch is something that became of a watch: a client's as the client was told, or a proxy's own at a member.
type Watch struct {
	Watch  string  `json:"watch"` // which: a client's by the client's name for it, a proxy's by the stream that carries it
	Op     WatchOp `json:"op"`
	Key    string  `json:"key"`
	End    string  `json:"end,omitempty"`
	From   int64   `json:"from,omitempty"`   // the revision that is asked for; 0 is from now on
	Leader bool    `json:"leader,omitempty"` // it is to end when its member has no leader
	As     string  `json:"as,omitempty"`     // of a proxy's: the client whose token its stream carries

	Revision  int64    `json:"revision,omitempty"`  // of the answer's header
	Events    []Commit `json:"events,omitempty"`    // without leases and values
	Compacted int64    `json:"compacted,omitempty"` // it ended because what is before this revision is compacted
	Reason    string   `json:"reason,omitempty"`    // why it ended
}
