package check

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Linearizable checks, for each service by itself, that all its reads and changes can be laid in one order in which
// each took its place between its begin and its end. Plain keys count as one service. A service that cannot be decided
// within patience, which is for all services together, is unknown; 0 is as long as it takes.
func Linearizable(patience time.Duration) Check {
	v := verdicts{"linearizable",
		"for each service there is one order of all reads and changes that every client can believe in"}
	return Check{Name: v.name, Promise: v.promise, Judge: func(rec Record) Result {
		if !rec.Complete || rec.Base == 0 {
			return v.unknown("the record does not have every change")
		}
		deadline := time.Now().Add(patience)
		groups, checked := rec.operations(), 0
		unknown := ""
		for _, g := range slices.Sorted(maps.Keys(groups)) {
			left := time.Duration(0)
			if patience > 0 {
				if left = time.Until(deadline); left <= 0 {
					unknown = g
					continue
				}
			}
			switch porcupine.CheckOperationsTimeout(serviceModel, groups[g], left) {
			case porcupine.Illegal:
				why, events := rec.blame(g)
				return v.result(Broken, why, events...)
			case porcupine.Unknown:
				unknown = g
			case porcupine.Ok:
				for _, o := range groups[g] {
					if o.Input.(input).read != nil {
						checked++
					}
				}
			}
		}
		if unknown != "" {
			return v.unknown("service %s could not be decided within %v", unknown, patience)
		}
		return v.settled(checked, "reads within one service")
	}}
}

// input is an operation: a read, or a change.
type input struct {
	read   *Read
	change []Commit
	client string
}

// serviceModel is a service as porcupine steps it. The state is a store.
var serviceModel = porcupine.Model{
	Init: func() any { return store{} },
	Step: func(state, in, _ any) (bool, any) {
		s, x := state.(store), in.(input)
		if x.read != nil {
			return s.answers(*x.read), s
		}
		s = maps.Clone(s)
		for _, c := range x.change {
			s.apply(c)
		}
		return true, s
	},
	Equal: func(a, b any) bool { return maps.Equal(a.(store), b.(store)) },
	DescribeOperation: func(in, _ any) string {
		x := in.(input)
		if r := x.read; r != nil {
			return fmt.Sprintf("%s %s: %s @%d (%s)", r.Via, rangeText(*r), told(*r), r.Revision, r.Source)
		}
		var w []string
		for _, c := range x.change {
			op := "put "
			if c.Delete {
				op = "delete "
			}
			w = append(w, fmt.Sprintf("%s%s @%d", op, c.Key, c.Revision))
		}
		return strings.Join(w, ", ")
	},
	DescribeState: func(state any) string {
		var w []string
		for _, k := range slices.Sorted(maps.Keys(state.(store))) {
			w = append(w, fmt.Sprintf("%s@%d", k, state.(store)[k]))
		}
		return "{" + strings.Join(w, " ") + "}"
	},
}

// operations are porcupine's, by service. A change has the moments between which it was done; a read those of its call.
// Reads over several services, of the past, or that failed, are of no service.
func (rec Record) operations() map[string][]porcupine.Operation {
	groups := map[string][]porcupine.Operation{}
	clients := map[string]int{}
	id := func(client string) int {
		if _, ok := clients[client]; !ok {
			clients[client] = len(clients)
		}
		return clients[client]
	}
	for _, c := range rec.changes() {
		by := map[string][]Commit{}
		for _, x := range c.commits {
			by[groupOf(x.Key)] = append(by[groupOf(x.Key)], x)
		}
		client := "a client"
		if c.write != nil {
			client = c.write.Client
		}
		for g, list := range by {
			groups[g] = append(groups[g], porcupine.Operation{ClientId: id(client), Input: input{change: list, client: client},
				Call: int64(c.earliest), Return: int64(c.latest)})
		}
	}
	for i := range rec.Reads {
		r := &rec.Reads[i]
		if g := group(r.Key, r.End); g != "" && r.Err == "" && r.At == 0 {
			groups[g] = append(groups[g], porcupine.Operation{ClientId: id(name(*r)), Input: input{read: r, client: name(*r)},
				Call: int64(r.Began), Return: int64(r.Ended)})
		}
	}
	for _, list := range groups {
		slices.SortStableFunc(list, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	}
	return groups
}

// blame names a read that makes the service's history impossible: the first that was true at no moment of its call.
// Where each by itself could be, it is their order that cannot.
func (rec Record) blame(service string) (string, []int) {
	changes := rec.changes()
	var first *Read
	for i := range rec.Reads {
		r := &rec.Reads[i]
		if group(r.Key, r.End) != service || r.Err != "" || r.At != 0 || first != nil && first.Ended <= r.Ended {
			continue
		}
		if end, ok := trueUntil(*r, changes); !ok || end < r.Began {
			first = r
		}
	}
	if first == nil {
		return fmt.Sprintf("service %s: each answer by itself could be right, but in no one order", service), nil
	}
	return fmt.Sprintf("service %s: %s was told %s by %s (%s) as of revision %d, which was true at no moment of its call",
		service, name(*first), told(*first), first.Via, first.Source, first.Revision), []int{first.Seq}
}

// Busiest is the service with the most reads and changes, "" where there are none.
func (rec Record) Busiest() (service string) {
	groups := rec.operations()
	delete(groups, "")
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		if len(groups[g]) > len(groups[service]) {
			service = g
		}
	}
	return service
}

// maxLanes and maxNotes keep porcupine's page usable: beyond them a browser crawls.
const (
	maxLanes = 12
	maxNotes = 400
)

// Visualise writes porcupine's page of one service's history: its clients in lanes, faults and the proxies' answers
// beside them. What does not fit is counted in the last note.
func (rec Record) Visualise(w io.Writer, service string, patience time.Duration) error {
	ops := rec.operations()[service]
	if len(ops) == 0 {
		return fmt.Errorf("the record has nothing of service %q", service)
	}
	_, info := porcupine.CheckOperationsVerbose(serviceModel, ops, patience)
	var notes []porcupine.Annotation
	left := 0
	lanes := map[string]bool{}
	add := func(tag string, began, ended time.Duration, text, details string) {
		if !lanes[tag] && len(lanes) >= maxLanes || len(notes) >= maxNotes {
			left++
			return
		}
		lanes[tag] = true
		notes = append(notes, porcupine.Annotation{Tag: tag, Start: int64(began), End: int64(ended), Description: text,
			Details: details})
	}
	for _, f := range rec.Faults {
		add("fault: "+f.Target, f.Began, f.Ended, f.Name, "")
	}
	for _, r := range rec.Reads {
		if group(r.Key, r.End) == service {
			add("at: "+r.Via, r.Began, r.Ended, fmt.Sprintf("%s @%d", r.Source, r.Revision), told(r))
		}
	}
	if left > 0 {
		notes = append(notes, porcupine.Annotation{Tag: "left out", Start: ops[0].Call,
			Description: fmt.Sprintf("%d notes", left)})
	}
	info.AddAnnotations(notes)
	return porcupine.Visualize(serviceModel, info, w)
}
