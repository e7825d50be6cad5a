package history

import (
	"slices"

	"ghostroute/harness/text"
)

// Compare says how what was told of a service stands to truth: ghosts are the ids told that truth lacks, or has
// otherwise, and hidden those that truth has and that were not told, or told otherwise. Both are sorted and name each
// id once. A version or an address that one of the two does not know is not compared: a proxy's record of a read has
// keys only.
func Compare(told, truth []Endpoint) (ghosts, hidden []string) {
	return lacking(told, truth), lacking(truth, told)
}

// IDs are the endpoints' ids, in their order.
func IDs(all []Endpoint) []string { return text.Each(all, func(e Endpoint) string { return e.ID }) }

// Agrees says whether an answer names exactly the endpoints that truth has.
func (r Resolve) Agrees(t Truth) bool {
	ghosts, hidden := Compare(r.Endpoints, t.Endpoints)
	return r.Err == "" && len(ghosts)+len(hidden) == 0
}

// lacking returns the ids of the endpoints of a that b lacks.
func lacking(a, b []Endpoint) []string {
	var missing []string
	for _, x := range a {
		if !slices.ContainsFunc(b, x.matches) {
			missing = append(missing, x.ID)
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// matches says whether e and o are the same endpoint, as far as both say.
func (e Endpoint) matches(o Endpoint) bool {
	return e.ID == o.ID &&
		(e.Address == o.Address || e.Address == "" || o.Address == "") &&
		(e.Version == o.Version || e.Version == "" || o.Version == "")
}
