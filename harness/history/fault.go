package history

// FaultKind is what goes wrong.
type FaultKind string

// The kinds of fault. Link faults name the link: "p2→m1", "g1→vip".
const (
	Hold       FaultKind = "hold"        // an RPC is held on its way, see Fault.Point
	Cut        FaultKind = "cut"         // a link is cut, its live connections reset
	Blackhole  FaultKind = "blackhole"   // a link swallows what is sent over it, and resets nothing
	Delay      FaultKind = "delay"       // a link is slow
	CutPeer    FaultKind = "cut-peer"    // a member hears no other member
	Narrow     FaultKind = "narrow"      // a proxy asks the members in Detail only
	Stop       FaultKind = "stop"        // a node ends in good order; a proxy, as a killed one does
	Kill       FaultKind = "kill"        // a member ends as a killed process does
	Restart    FaultKind = "restart"     // a node starts again, killed first where it ran
	MoveLeader FaultKind = "move-leader" // another member leads
	Compact    FaultKind = "compact"     // a member forgets history; where it ends, a follower lost commits by it
	Rewind     FaultKind = "rewind"      // a member's data is that of a backup; Met is the revision it is set back to
	Expire     FaultKind = "expire"      // a lease's time is over
	Crash      FaultKind = "crash"       // an instance's process ends without a word
	Panic      FaultKind = "panic"       // go-micro panicked
	Token      FaultKind = "token"       // a user's auth token is no longer good
)

// Momentary says whether such a fault is over as soon as it has fired. The others last until they end.
func (k FaultKind) Momentary() bool {
	switch k {
	case Hold, Cut, Blackhole, Delay, CutPeer, Stop, Kill:
		return false
	}
	return true
}

// Meets says what Fault.Met counts for such a fault, "" where it counts nothing: of a link connections reset or
// refused, or bytes; of a member the revisions it is behind the others when the fault ends.
func (k FaultKind) Meets() string {
	switch k {
	case Cut:
		return "connections reset or refused"
	case Blackhole:
		return "bytes swallowed"
	case CutPeer, Stop, Kill:
		return "revisions behind"
	}
	return ""
}

// FaultOp is where in its life a fault is.
type FaultOp string

// A fault that is armed must later fire, or nothing is proven.
const (
	Arm  FaultOp = "arm"  // it waits for what it is about
	Fire FaultOp = "fire" // it took place
	End  FaultOp = "end"  // it is over
)

// Point is where on its way an RPC is held.
type Point string

// The points of an RPC's way through a proxy.
const (
	BeforeMember Point = "before" // the proxy has done its part and etcd has not seen the request
	AfterMember  Point = "after"  // etcd has done it, and the proxy has not seen the answer
	BeforeClient Point = "client" // the proxy has done it, and the client has not seen the answer
)

// Fault is something that goes wrong on purpose.
type Fault struct {
	Kind   FaultKind `json:"kind"`
	Op     FaultOp   `json:"op"`
	Target string    `json:"target"`          // the node or link: "p2", "p2→m1", "m3"
	RPC    string    `json:"rpc,omitempty"`   // of a hold: "Range", "Put", "DeleteRange", "Txn", "Watch" …
	Key    string    `json:"key,omitempty"`   // of a hold: the prefix of the keys it is about
	Point  Point     `json:"point,omitempty"` // of a hold: where
	Met    int64     `json:"met,omitempty"`   // see FaultKind.Meets; where a hold of a watch ends: responses behind it
	Detail string    `json:"detail,omitempty"`
}

// String names a fault in a sentence: "hold of Range at p1".
func (f Fault) String() string {
	what := string(f.Kind)
	if f.RPC != "" {
		what += " of " + f.RPC
	}
	return what + " at " + f.Target
}
