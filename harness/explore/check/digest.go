package check

import "strings"

// Digest checks that an answer is true at the revision it names.
func Digest() Check {
	v := verdicts{"digest", "an answer is what etcd held at the revision that the answer claims"}
	return Check{Name: v.name, Promise: v.promise, Judge: func(rec Record) Result {
		t, checked := rec.truth(), 0
		for _, r := range rec.Reads {
			at := r.Revision
			if r.At != 0 {
				at = r.At
			}
			if r.Err != "" || !rec.knows(at) {
				continue
			}
			checked++
			if s := t.at(at); !s.answers(r) {
				return v.broken([]int{r.Seq}, "%s was told %s by %s (%s) as of revision %d, where etcd held %s",
					name(r), told(r), r.Via, r.Source, at, list(s.keys(r.Key, r.End)))
			}
		}
		return v.settled(checked, "answers at known revisions")
	}}
}

func name(r Read) string {
	if r.Client == "" {
		return "a client"
	}
	return r.Client
}

func told(r Read) string { return list(r.Keys) }

func list(keys []string) string {
	if len(keys) == 0 {
		return "nothing"
	}
	return strings.Join(keys, ", ")
}
