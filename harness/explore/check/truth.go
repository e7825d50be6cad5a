package check

import (
	"slices"
	"strings"

	"ghostroute/harness/keys"
)

// truth is the store at each revision, as the commits tell it.
type truth struct {
	base    int64
	commits []Commit
}

func (r Record) truth() truth { return truth{r.Base, r.Commits} }

// last is the newest revision that is known.
func (t truth) last() int64 {
	if len(t.commits) == 0 {
		return t.base
	}
	return t.commits[len(t.commits)-1].Revision
}

// knows says whether the store at a revision is known.
func (r Record) knows(revision int64) bool {
	return r.Complete && r.Base > 0 && revision >= r.Base && revision <= r.truth().last()
}

// at is the store at a revision: for each key the revision of its last put.
func (t truth) at(revision int64) store {
	s := store{}
	for _, c := range t.commits {
		if c.Revision > revision {
			break
		}
		s.apply(c)
	}
	return s
}

// store is keys with the revisions of their last puts.
type store map[string]int64

func (s store) apply(c Commit) {
	if c.Delete {
		delete(s, c.Key)
	} else {
		s[c.Key] = c.Revision
	}
}

// keys are those of a range, sorted.
func (s store) keys(key, end string) []string {
	var list []string
	for k := range s {
		if keys.In(k, key, end) {
			list = append(list, k)
		}
	}
	slices.Sort(list)
	return list
}

// answers says whether the read's answer is the store's, as far as the record tells: keys, and their revisions where
// noted.
func (s store) answers(r Read) bool {
	keys := s.keys(r.Key, r.End)
	if r.Shape.Count {
		return int64(len(keys)) == r.Count
	}
	got := slices.Clone(r.Keys)
	if limit := r.Shape.Limit; limit > 0 && len(keys) > limit {
		if r.Shape.Sort != "" {
			// Which ones come first depends on values that were not recorded: they must be there, and as many as may
			// be.
			return len(got) == limit && !slices.ContainsFunc(got, func(k string) bool { return !slices.Contains(keys, k) }) &&
				s.mods(r)
		}
		keys = keys[:limit]
	}
	slices.Sort(got)
	return slices.Equal(keys, got) && s.mods(r)
}

func (s store) mods(r Read) bool {
	for i, k := range r.Keys {
		if i < len(r.Mods) && s[k] != r.Mods[i] {
			return false
		}
	}
	return true
}

// groupOf is the service a key belongs to, "k" for a plain key.
func groupOf(key string) string {
	if rest, ok := strings.CutPrefix(key, keys.Registry); ok {
		if name, _, ok := strings.Cut(rest, "/"); ok {
			return name
		}
		return ""
	}
	if key == "" || key[0] == 0 {
		return ""
	}
	return key[:1]
}

// group is the one group that a range lies in, "" if it may hold keys of several.
func group(key, end string) string {
	g := groupOf(key)
	switch {
	case end == "":
		return g
	case end == "\x00" || g == "":
		return ""
	}
	if groupOf(end) == g || end == keys.PrefixEnd(keys.Service(g)) || end == keys.PrefixEnd(g) {
		return g
	}
	return ""
}
