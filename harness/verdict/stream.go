package verdict

import (
	"time"

	"ghostroute/harness/history"
)

// answer is an event that answers, and how it stands to truth.
type answer struct {
	Answer
	event  history.Event
	failed bool // it is no answer but an error
	lookup int  // of a request: the Seq of the read that it was passed on by
}

// began is when the gateway asked.
func (a answer) began() time.Duration {
	if a.event.Resolve != nil {
		return a.event.Resolve.Began
	}
	return a.event.Request.Began
}

// stream is the answers of one gateway to one kind of question: GetService, ListServices, or a request passed on. A
// gateway agrees with truth when the last answer of each does, because one may be healed and not the other.
type stream struct {
	gateway string
	kind    string
	answers []answer // after observe
	before  []answer // before the act
}

// last is the last answer that says something; of the requests that one lookup was good for, the first that is wrong.
func (s *stream) last() (answer, bool) {
	a, ok := lastOf(s.answers)
	if s.kind == requests && ok {
		for _, other := range s.answers {
			if other.lookup == a.lookup && other.Wrong {
				return other, true
			}
		}
	}
	return a, ok
}

func lastOf(answers []answer) (answer, bool) {
	for i := len(answers) - 1; i >= 0; i-- {
		if answers[i].Right || answers[i].Wrong {
			return answers[i], true
		}
	}
	return answer{}, false
}

// healing is the last wrong answer of the stream and the first right one after it.
func (s *stream) healing() (wrong, right answer, ok bool) {
	for _, a := range s.answers {
		switch {
		case a.Wrong:
			wrong, ok, right = a, true, answer{}
		case a.Right && ok && right.event.Seq == 0:
			right = a
		}
	}
	return wrong, right, ok && right.event.Seq != 0
}

// worst is the symptom to report for several answers: a leak before a ghost before something hidden.
func worst(answers []answer) Symptom {
	rank := map[Symptom]int{None: 0, Hidden: 1, Ghost: 2, Leak: 3}
	w := None
	for _, a := range answers {
		if rank[a.Symptom] > rank[w] {
			w = a.Symptom
		}
	}
	return w
}
