package check

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
)

// Record is what the checks read: a history without what they do not need. Times are on the history's clock.
type Record struct {
	Reads   []Read
	Writes  []Write
	Commits []Commit // in the order of revisions
	Faults  []Band

	// Base is the revision at which the store was empty and the record began, 0 where that is not known.
	Base int64
	// Complete says that every change from Base on is among the commits, up to the newest of them.
	Complete bool
	// Healed is when everything was healed and nothing was pending any more; 0 if that never came.
	Healed time.Duration
	// Grants are which user may read what and when; nil where auth is off or it was not recorded.
	Grants []Grant

	// Events are the history itself, for the promises about what clients hold open. Places are the nodes at which they
	// asked for watches, by the Seq of the record of that. Lost are the leaders that members lost.
	Events []history.Event
	Places map[int]string
	Lost   []Lost
}

// Read is one answer to one client.
type Read struct {
	Seq          int
	Client       string // "" where that is not known
	Via          string // the proxy or member
	Began, Ended time.Duration
	Key, End     string
	Shape        plan.Shape // without the modes
	At           int64      // the revision that was asked for, 0 for none
	Source       history.Source
	Revision     int64    // of the header
	Keys         []string // answered, in order
	Mods         []int64  // their revisions, nil where they were not recorded
	Count        int64    // for a count
	Err          string
}

// Write is a change as its client saw it. With Err its outcome is unknown to the client.
type Write struct {
	Seq          int
	Client, Via  string
	Began, Ended time.Duration
	Key, End     string
	Revision     int64
	Err          string
	Nothing      bool // it changed no key: the revision it was acknowledged with is some other change's
}

// Commit is a change of one key as a member's watch told it: it was done by At, at most; how long before is not known.
type Commit struct {
	Seq      int
	At       time.Duration
	Revision int64
	Key      string
	Delete   bool
}

// Band is a fault from its beginning to its end.
type Band struct {
	Name, Target string
	Began, Ended time.Duration
}

// Grant says that from From on the user may, or may not, read what lies between Key and End; End "\x00" is no end.
type Grant struct {
	From     time.Duration
	User     string
	Key, End string
	Allowed  bool
}

// FromEvents makes the record of a history: its Range, Write, Commit and Fault events. Base, Complete, Healed and
// Grants are the caller's to set, from what the history does not say.
func FromEvents(events []history.Event) Record {
	var r Record
	open := map[string]int{} // fault → its band
	for _, e := range events {
		switch {
		case e.Range != nil:
			x := e.Range
			read := Read{Seq: e.Seq, Client: x.Client, Via: e.Who, Began: x.Began, Ended: e.At, Key: x.Key, End: x.End,
				Source: x.Source, Revision: x.Revision,
				Keys: x.Keys, Mods: x.Mods, Count: x.Count, Err: x.Err}
			read.Shape, read.At = parseShape(x.Shape)
			r.Reads = append(r.Reads, read)
		case e.Write != nil:
			x := e.Write
			r.Writes = append(r.Writes, Write{Seq: e.Seq, Client: e.Who, Via: x.Via, Began: x.Began, Ended: e.At,
				Key: x.Key, End: x.End, Revision: x.Revision, Err: x.Err, Nothing: nothing(x)})
		case e.Commit != nil:
			x := e.Commit
			r.Commits = append(r.Commits, Commit{Seq: e.Seq, At: e.At, Revision: x.Revision, Key: x.Key,
				Delete: x.Op == "delete"})
		case e.Fault != nil:
			x := e.Fault
			id := string(x.Kind) + " " + x.Target + " " + x.RPC + " " + x.Key
			if i, ok := open[id]; ok && x.Op == history.End {
				r.Faults[i].Ended = e.At
				delete(open, id)
			} else if !ok && x.Op != history.End {
				open[id] = len(r.Faults)
				r.Faults = append(r.Faults, Band{Name: string(x.Kind), Target: x.Target, Began: e.At, Ended: e.At})
			}
		}
	}
	slices.SortStableFunc(r.Commits, func(a, b Commit) int { return cmp.Compare(a.Revision, b.Revision) })
	return r
}

// nothing says whether a write is known to have changed no key. Which keys a revoked lease had was not recorded, so no
// change is attributed to it.
func nothing(w *history.Write) bool {
	switch w.Op {
	case "grant", "keepalive", "compact":
		return true
	case "revoke":
		return w.Err == ""
	case "delete":
		return w.Err == "" && w.Deleted == 0
	}
	return false
}

// parseShape reads the words of history.Range's Shape: those of a plan or of a proxy, and the revision itself.
func parseShape(text string) (s plan.Shape, at int64) {
	for w := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "count", "count-only":
			s.Count = true
		case "keys-only":
			s.KeysOnly = true
		case "limit":
			s.Limit, _ = strconv.Atoi(value)
		case "sort":
			s.Sort = value
		case "rev", "revision":
			at, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	return s, at
}
