package history

import "fmt"

// Origin is where an answer came from.
type Origin struct {
	Source   Source
	Via      string // the proxy that answered
	Revision int64  // the answer was true at; 0 where that is not known
	Truth    int64  // that truth is at; 0 where that is not to be said
}

// Origin is where the answer came from, with the revision that truth is at; 0 where that is not to be said.
func (r Resolve) Origin(truth int64) Origin { return Origin{r.Source, r.Via, r.Revision, truth} }

// String is the one phrase for it: "hit at p2, an entry of revision 3; truth is at 4".
func (o Origin) String() string {
	s := "of unknown origin"
	switch o.Source {
	case Hit:
		s = "hit at " + o.Via + o.at(", an entry of")
	case Miss:
		s = "miss at " + o.Via + o.at(",")
	case Member:
		s = "from a member" + o.at(",")
	case ClientCache:
		s = "from its own cache"
	}
	if o.Truth > o.Revision && (o.Revision > 0 || o.Source == ClientCache) {
		s += fmt.Sprintf("; truth is at %d", o.Truth)
	}
	return s
}

func (o Origin) at(before string) string {
	if o.Revision == 0 {
		return ""
	}
	return fmt.Sprintf("%s revision %d", before, o.Revision)
}
