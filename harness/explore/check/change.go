package check

import (
	"time"

	"ghostroute/harness/keys"
)

// change is one revision: what it did, and between which moments it was done.
type change struct {
	revision         int64
	commits          []Commit
	write            *Write        // the write that made it, nil where no acknowledgement names the revision
	earliest, latest time.Duration // both bounds hold; more is not known
}

// changes are the revisions in their order. A change was done after its write began and after the change before it may
// have been; and before it was acknowledged or seen, and before the change behind it was.
func (rec Record) changes() []change {
	acked := map[int64]*Write{}
	for i := range rec.Writes {
		if w := &rec.Writes[i]; w.Err == "" && w.Revision > 0 && !w.Nothing {
			if old := acked[w.Revision]; old == nil || w.Ended < old.Ended {
				acked[w.Revision] = w
			}
		}
	}
	var list []change
	for i := 0; i < len(rec.Commits); {
		c := change{revision: rec.Commits[i].Revision, latest: rec.Commits[i].At}
		for ; i < len(rec.Commits) && rec.Commits[i].Revision == c.revision; i++ {
			c.commits = append(c.commits, rec.Commits[i])
		}
		if n := len(list); n > 0 {
			c.earliest = list[n-1].earliest
		}
		if w := acked[c.revision]; w != nil {
			c.write, c.earliest, c.latest = w, max(c.earliest, w.Began), min(c.latest, w.Ended)
		}
		list = append(list, c)
	}
	for i := len(list) - 2; i >= 0; i-- {
		list[i].latest = min(list[i].latest, list[i+1].latest)
	}
	return list
}

// pending are the writes without an answer that no change can be laid to: they may be done at any time from when they
// began.
func (rec Record) pending(changes []change) (list []Write) {
	taken := map[int64]bool{}
	for _, w := range rec.Writes {
		if w.Err == "" || w.Nothing {
			continue
		}
		done := false
		for _, c := range changes {
			if done || c.write != nil || taken[c.revision] || c.latest < w.Began {
				continue
			}
			for _, x := range c.commits {
				if keys.In(x.Key, w.Key, w.End) {
					done, taken[c.revision] = true, true
					break
				}
			}
		}
		if !done {
			list = append(list, w)
		}
	}
	return list
}
