package verdict

import (
	"fmt"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/text"
)

// Judge reaches a verdict on events. It changes nothing and depends on nothing else; events may come in any order,
// Seq tells theirs.
//
// The premises are looked at first, in this order: gateways were named; truth is known and does not contradict
// itself; every gateway saw truth before the act; every fault that was armed fired; the change was acknowledged and
// moved truth; every gateway answered afterwards, and once more after the last release. Then the answers that began
// after the acknowledgement decide.
func Judge(events []history.Event, q Question) Verdict {
	t, failed := newTrial(events, q)
	if failed != nil {
		return *failed
	}
	var wrong []answer
	for _, s := range t.streams {
		for _, a := range s.answers {
			if a.Wrong {
				wrong = append(wrong, a)
			}
		}
	}
	if len(wrong) == 0 {
		if v, lost := t.lost(); lost {
			return v
		}
		return t.fresh()
	}
	var still []answer
	for _, s := range t.streams {
		if a, ok := s.last(); ok && a.Wrong {
			still = append(still, a)
		}
	}
	if len(still) == 0 {
		return t.heals(wrong)
	}
	return t.stale(still)
}

// trial is a history whose premises hold.
type trial struct {
	Question
	events   []history.Event
	truths   truths
	streams  []*stream
	observe  time.Duration // when the change was acknowledged
	released time.Duration // when what was held was last released or a fault last ended; observe if neither was
	pending  []string      // faults that have not ended

	releasedBy string // what happened at released, in a sentence
}

const (
	getService   = "GetService"
	listServices = "ListServices"
	requests     = "requests"
)

// newTrial looks at the premises, and returns the unknown verdict that says which one failed.
func newTrial(events []history.Event, q Question) (*trial, *Verdict) {
	fail := func(format string, args ...any) (*trial, *Verdict) {
		v := unknown(format, args...)
		return nil, &v
	}
	t := &trial{Question: q, events: inOrder(events)}
	if len(q.Gateways) == 0 {
		return fail("the question names no gateway, so nothing was asked")
	}
	for i, e := range t.events {
		if e.Step != nil && e.Step.Phase == history.PhaseEnd {
			t.events = t.events[:i] // what follows is tidying up
			break
		}
	}
	var err error
	if t.truths, err = fold(t.events, q.Service); err != nil {
		return fail("truth contradicts itself: %v", err)
	}
	if len(t.truths) == 0 {
		return fail("truth about %s is not known: no commit and no linearizable read on a member tells it", q.Service)
	}

	t.observe = boundary(t.events, history.PhaseObserve)
	act := min(boundary(t.events, history.PhaseAct), t.observe)
	t.gather(act)
	if why := t.arranged(); why != "" {
		return fail("%s", why)
	}
	if why := t.fired(); why != "" {
		return fail("%s", why)
	}
	if why := t.shown(); why != "" {
		return fail("%s", why)
	}
	if t.observe == never {
		return fail("the change was never acknowledged: there is no step of phase observe")
	}
	if !q.Unchanged && !t.moved(act) {
		return fail("the change never reached truth: %s had the same endpoints at act and at observe", q.Service)
	}
	t.findRelease()
	if why := t.answered(); why != "" {
		return fail("%s", why)
	}
	return t, nil
}

// gather sorts the gateways' answers into streams, in the order of the question's gateways.
func (t *trial) gather(act time.Duration) {
	for _, g := range t.Gateways {
		for _, kind := range [...]string{getService, listServices, requests} {
			s, lookup := &stream{gateway: g, kind: kind}, 0
			for _, e := range t.events {
				if e.Who != g {
					continue
				}
				if e.Resolve != nil || !t.Requests { // where reads are judged each request is judged by itself
					lookup = e.Seq
				}
				var a answer
				switch r := e.Resolve; {
				case r != nil && r.Service == t.Service && (t.Reading == "" || r.Reading == t.Reading) &&
					kind != requests && r.List == (kind == listServices):
					a = answer{Answer: resolve(e, t.truths, t.Question, t.observe), event: e}
					a.failed = r.Err != "" && !a.Right
					if t.Requests && a.began() >= t.observe {
						a.Answer = Answer{Right: r.Err == ""} // what it is worth, the requests show
					}
				case e.Request != nil && e.Request.Service == t.Service && kind == requests:
					a = answer{Answer: request(e, t.truths, t.Question), event: e, lookup: lookup}
				default:
					continue
				}
				switch {
				case a.began() >= t.observe:
					s.answers = append(s.answers, a)
				case e.At <= act:
					s.before = append(s.before, a)
				}
			}
			if len(s.answers)+len(s.before) > 0 {
				t.streams = append(t.streams, s)
			}
		}
	}
}

// resolves are the streams of a gateway's registry reads.
func (t *trial) resolves(gateway string) []*stream {
	var own []*stream
	for _, s := range t.streams {
		if s.gateway == gateway && s.kind != requests {
			own = append(own, s)
		}
	}
	return own
}

// arranged checks that every gateway had seen truth when the act began.
func (t *trial) arranged() string {
	for _, g := range t.Gateways {
		own := t.resolves(g)
		if len(own) == 0 {
			return fmt.Sprintf("%s never read %s%s", g, t.Service, t.asReading())
		}
		for _, s := range own {
			a, ok := lastOf(s.before)
			switch {
			case !ok && len(s.before) > 0 && s.before[len(s.before)-1].failed:
				err := s.before[len(s.before)-1].event.Resolve.Err
				return fmt.Sprintf("%s had not seen truth before the act: its %s failed: %s", g, s.kind, err)
			case !ok:
				return fmt.Sprintf("%s had not seen truth before the act: no answer to its %s%s that can be held against truth",
					g, s.kind, t.asReading())
			case a.Wrong:
				return fmt.Sprintf("%s had not seen truth before the act: %s", g, t.says(a))
			}
		}
	}
	return ""
}

func (t *trial) asReading() string {
	if t.Reading == "" {
		return ""
	}
	return " as reading " + t.Reading
}

// findRelease finds when the topology was last free of a hold or a fault, and which faults have not ended.
func (t *trial) findRelease() {
	t.released, t.releasedBy = t.observe, "the change was acknowledged"
	open := map[string]*history.Fault{}
	var order []string
	for _, e := range t.events {
		if e.Step != nil && e.Step.Phase == history.PhaseRelease && e.At >= t.observe {
			t.released, t.releasedBy = e.At, "the release"
		}
		f := e.Fault
		switch {
		case f == nil:
		case f.Op == history.End || f.Kind == history.Restart:
			ended := false
			for k, o := range open {
				if ends(f, o) {
					delete(open, k)
					ended = true
				}
			}
			if ended && e.At >= t.observe {
				t.released, t.releasedBy = e.At, "the end of "+f.String()
			}
		case !f.Kind.Momentary():
			key := string(f.Kind) + "\x00" + f.Target + "\x00" + f.RPC + "\x00" + f.Key
			open[key] = f
			order = append(order, key)
		}
	}
	for _, key := range order {
		if f := open[key]; f != nil {
			t.pending = append(t.pending, f.String())
			delete(open, key)
		}
	}
}

// answered checks that every gateway was asked after the change, and again after the last release.
func (t *trial) answered() string {
	for _, g := range t.Gateways {
		asked := false
		for _, s := range t.resolves(g) {
			if len(s.answers) == 0 {
				continue
			}
			asked = true
			a, ok := s.last()
			if !ok {
				if last := s.answers[len(s.answers)-1]; last.failed {
					return fmt.Sprintf("%s was not answered after the change was acknowledged: its %s failed: %s",
						g, s.kind, last.event.Resolve.Err)
				}
				return fmt.Sprintf("%s gave no answer after the change was acknowledged that can be held against truth", g)
			}
			if a.began() < t.released {
				return fmt.Sprintf("no answer of %s to %s began after %s, and only such an answer shows what is left behind",
					g, s.kind, t.releasedBy)
			}
		}
		if !asked {
			return fmt.Sprintf("%s was not asked after the change was acknowledged", g)
		}
	}
	return ""
}

// lost is the verdict where no answer disagreed and yet etcd lacks an instance whose Register returned nil: the answers
// that name it are as old as it is.
func (t *trial) lost() (v Verdict, lost bool) {
	last := t.truths[len(t.truths)-1]
	for _, id := range t.Registered {
		if last.has(id) || t.Requests {
			continue
		}
		for _, s := range t.streams {
			if a, ok := s.last(); ok && s.kind != requests {
				a.Symptom, a.Hidden, a.Truth = Hidden, []string{id}, last.revision
				e, doubt := t.proveSkipped(a, t.evidence(a))
				if doubt != "" {
					return unknown("%s", doubt), true
				}
				return Verdict{Outcome: Stale, Symptom: Hidden, Evidence: []Evidence{e},
					Why: fmt.Sprintf("etcd has lost %s, and registers it no more: %s", id, e.Note)}, true
			}
		}
	}
	return Verdict{}, false
}

// fresh is the verdict when no answer disagreed.
func (t *trial) fresh() Verdict {
	v := Verdict{Outcome: Fresh}
	n := 0
	for _, s := range t.streams {
		n += len(s.answers)
		if a, ok := s.last(); ok && s.kind != requests {
			v.Evidence = append(v.Evidence, t.evidence(a))
		}
	}
	last := t.truths[len(t.truths)-1]
	v.Why = fmt.Sprintf("none of the %d answers of %s that began after the change was acknowledged disagreed with truth "+
		"(revision %d: %s)", n, text.And(t.Gateways), last.revision, ids(last.endpoints()))
	if len(t.Denied) > 0 {
		v.Why += fmt.Sprintf("; %s was refused", text.And(t.Denied))
	}
	return v
}

// heals is the verdict when some answers disagreed and each gateway's last ones agree.
func (t *trial) heals(wrong []answer) Verdict {
	v := Verdict{Outcome: Heals, Symptom: worst(wrong)}
	var lastWrong, firstRight answer
	for _, s := range t.streams {
		w, r, ok := s.healing()
		if !ok {
			continue
		}
		e := t.evidence(w)
		e.Events = append(e.Events, r.event.Seq)
		v.Evidence = append(v.Evidence, e)
		if r.event.At >= firstRight.event.At {
			lastWrong, firstRight = w, r
		}
	}
	v.After = firstRight.event.At - t.observe
	v.HealedBy = t.healer(lastWrong, firstRight)
	v.Why = fmt.Sprintf("%s; every gateway agreed after %s, healed by %s",
		t.says(lastWrong), v.After.Round(10*time.Microsecond), v.HealedBy)
	return v
}

// stale is the verdict when some gateway's last answer disagrees: stale if one of them is proven to last, else unknown.
func (t *trial) stale(still []answer) Verdict {
	var why string
	var evidence []Evidence
	v := Verdict{Outcome: Stale}
	var proven []answer
	for _, a := range still {
		e, doubt := t.prove(a)
		if doubt == "" && len(proven) == 0 {
			v.Why = e.sentence(t, a)
		}
		if doubt == "" {
			proven = append(proven, a)
		} else if why == "" {
			why = doubt
		}
		evidence = append(evidence, e)
	}
	if len(proven) == 0 {
		u := unknown("%s; nothing explains why it should stay so: %s", t.says(still[0]), why)
		u.Symptom, u.Evidence = worst(still), evidence
		return u
	}
	if len(t.pending) > 0 {
		u := unknown("%s; it may yet heal: %s has not ended", t.says(proven[0]), text.And(t.pending))
		u.Symptom, u.Evidence = worst(still), evidence
		return u
	}
	v.Symptom, v.Evidence = worst(still), evidence
	return v
}
