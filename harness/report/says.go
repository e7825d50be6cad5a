package report

import (
	"cmp"
	"fmt"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
)

// The sentences of the list below a timeline say in words what the picture shows.

func saysResolve(r *history.Resolve, a verdict.Answer) string {
	what := "reads " + r.Service
	if r.List {
		what = "lists services"
	}
	if r.Mode != "" {
		what += " (" + r.Mode + ")"
	}
	if r.Err != "" {
		return fmt.Sprintf("%s%s: %s", what, through(r.Via), r.Err)
	}
	s := fmt.Sprintf("%s: %s → %s", what, r.Origin(a.Truth), list(r.Endpoints))
	return s + differs(a)
}

func saysRange(who string, r *history.Range, a verdict.Answer) string {
	what := r.Key
	if r.End != "" {
		what += " …"
	}
	if r.Shape != "" {
		what += " " + r.Shape
	}
	how := "linearizable"
	if r.Serializable {
		how = "serializable"
	}
	whose := ""
	if r.Client != "" {
		whose = " for " + r.Client
	}
	if r.Err != "" {
		return fmt.Sprintf("answers a %s Range of %s%s: %s", how, what, whose, r.Err)
	}
	from := ""
	if r.Member != "" {
		from = " from " + r.Member
	}
	origin := history.Origin{Source: r.Source, Via: who, Revision: r.Revision, Truth: a.Truth}
	return fmt.Sprintf("answers a %s Range of %s%s: %s%s → %s%s", how, what, whose, origin, from,
		text.Count(len(r.Keys), "key"), differs(a))
}

func saysRequest(r *history.Request) string {
	s := "passes a request for " + r.Service
	if r.Target != "" {
		s += " to " + r.Target
	}
	if r.Dialled != "" {
		s += " at " + r.Dialled
	}
	s += fmt.Sprintf(": %d", r.Status)
	if r.Answered != "" {
		s += fmt.Sprintf(" from %s %s %s", r.Answered, r.Version, r.Instance)
	}
	for _, more := range [...]string{r.Log, r.Err} {
		if more != "" {
			s += ", " + more
		}
	}
	return s
}

func saysWrite(w *history.Write) string {
	s := w.Op
	if w.Key != "" {
		s += " " + w.Key
	}
	if w.End != "" {
		s += " …"
	}
	s += through(w.Via)
	switch {
	case w.Err != "":
		return s + ": " + w.Err
	case w.Revision > 0:
		return s + fmt.Sprintf(": acknowledged at r%d", w.Revision)
	default:
		return s + ": acknowledged"
	}
}

func saysCommit(c *history.Commit) string {
	return fmt.Sprintf("has applied r%d: %s %s", c.Revision, c.Op, c.Key)
}

func saysTruth(t *history.Truth) string {
	if t.Err != "" {
		return fmt.Sprintf("truth of %s could not be read: %s", t.Service, t.Err)
	}
	return fmt.Sprintf("truth of %s at r%d: %s", t.Service, t.Revision, list(t.Endpoints))
}

func saysConn(c *history.Conn) string {
	s := c.Op
	if c.Client != "" || c.Proxy != "" {
		s += fmt.Sprintf(" %s → %s", c.Client, c.Proxy)
	}
	if c.Detail != "" {
		s += ", " + c.Detail
	}
	return s
}

func saysFault(f *history.Fault) string {
	did := map[history.FaultOp]string{history.Arm: "armed", history.Fire: "fired", history.End: "ended"}
	s := f.String() + ": " + did[f.Op]
	if f.Key != "" {
		s += ", " + f.Key
	}
	if f.Detail != "" {
		s += ", " + f.Detail
	}
	return s
}

func through(via string) string {
	if via == "" {
		return ""
	}
	return " through " + via
}

func list(endpoints []history.Endpoint) string {
	return cmp.Or(strings.Join(history.IDs(endpoints), ", "), "none")
}

// differs says how an answer differs from truth.
func differs(a verdict.Answer) string {
	if !a.Wrong {
		return ""
	}
	var s []string
	switch {
	case a.Symptom == verdict.Leak:
		s = append(s, "leaked, truth denies it")
	default:
		if len(a.Ghosts) > 0 {
			s = append(s, "ghost of "+strings.Join(a.Ghosts, ", "))
		}
		if len(a.Hidden) > 0 {
			s = append(s, "hides "+strings.Join(a.Hidden, ", "))
		}
	}
	return "; " + strings.Join(s, ", ")
}
