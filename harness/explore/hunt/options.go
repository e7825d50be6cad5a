package hunt

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/text"
)

// bound is what the check "bounded" allows, thinking how long "linearizable" may think about one history.
const (
	bound    = time.Second
	thinking = 2 * time.Second
)

// Checks are the checks by their names, with commas between, or "all".
func Checks(list string) (checks []check.Check, err error) {
	all := check.All(bound, thinking)
	if list == "all" {
		return all, nil
	}
	known := append([]string{"all"}, text.Each(all, func(c check.Check) string { return c.Name })...)
	for name := range strings.SplitSeq(list, ",") {
		i := slices.Index(known, strings.TrimSpace(name))
		if i < 1 {
			return nil, text.Unknown("check", name, known)
		}
		checks = append(checks, all[i-1])
	}
	return checks, nil
}

// ReadPlan reads a plan in one line, or the file of that name that holds one.
func ReadPlan(lineOrFile string) (plan.Plan, error) {
	if strings.HasPrefix(strings.TrimSpace(lineOrFile), "plan ") {
		return plan.Parse(lineOrFile)
	}
	content, err := os.ReadFile(lineOrFile)
	if err != nil {
		return plan.Plan{}, fmt.Errorf(
			"%q is neither a plan in one line (plan … | step | step) nor a file that holds one: %w", lineOrFile, err)
	}
	p, err := plan.Parse(string(content))
	if err != nil {
		return p, fmt.Errorf("%s: %w", lineOrFile, err)
	}
	return p, nil
}
