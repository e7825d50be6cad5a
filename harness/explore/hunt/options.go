package hunt

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/plan"
)

// Options are what a user says on the command line, as variables of the environment.
type Options struct {
	Fix    string        // FIX: a fix by its name
	Checks []check.Check // CHECKS: names with commas between, "all" for all
	Time   time.Duration // TIME: how long
	Seed   uint64        // SEED: the first plan's; drawn from the clock where it is not given
	Plan   *plan.Plan    // PLAN: a plan in one line, or a file that holds one; nil where it is not given
	Steps  int           // STEPS: of a random plan, at most
}

// bound is what the check "bounded" allows, thinking how long "linearizable" may think about one history.
const (
	bound    = time.Second
	thinking = 2 * time.Second
)

// Checks are the checks by these names; the error names those that there are.
func Checks(names ...string) ([]check.Check, error) {
	all := check.All(bound, thinking)
	var known []string
	for _, c := range all {
		known = append(known, c.Name)
	}
	var list []check.Check
	for _, name := range names {
		if name == "all" {
			return all, nil
		}
		i := slices.Index(known, name)
		if i < 0 {
			return nil, fmt.Errorf("CHECKS has %q: it may be all, or some of %s with commas between", name, strings.Join(known, ","))
		}
		list = append(list, all[i])
	}
	return list, nil
}

// ParseOptions reads the options, with these defaults for those that are not given. fixes are the names that FIX may be.
func ParseOptions(getenv func(string) string, d Options, checks string, fixes []string) (Options, error) {
	o := d
	if v := getenv("FIX"); v != "" {
		if o.Fix = v; !slices.Contains(fixes, v) {
			return o, fmt.Errorf("FIX is %q: it may be %s", v, strings.Join(fixes, ", "))
		}
	}
	if v := getenv("CHECKS"); v != "" {
		checks = v
	}
	var err error
	if o.Checks, err = Checks(strings.Split(checks, ",")...); err != nil {
		return o, err
	}
	if v := getenv("TIME"); v != "" {
		if o.Time, err = time.ParseDuration(v); err != nil || o.Time <= 0 {
			return o, fmt.Errorf("TIME is %q: it may be 30s, 10m, 1h …", v)
		}
	}
	o.Seed = uint64(time.Now().UnixNano())
	if v := getenv("SEED"); v != "" {
		if o.Seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			return o, fmt.Errorf("SEED is %q: it may be a number from 0 up", v)
		}
	}
	if v := getenv("STEPS"); v != "" {
		if o.Steps, err = strconv.Atoi(v); err != nil || o.Steps < 1 || o.Steps > plan.MaxSteps {
			return o, fmt.Errorf("STEPS is %q: it may be a number from 1 to %d", v, plan.MaxSteps)
		}
	}
	if v := getenv("PLAN"); v != "" {
		if !strings.Contains(v, "plan ") {
			text, err := os.ReadFile(v)
			if err != nil {
				return o, fmt.Errorf("PLAN is %q: it may be a plan in one line, or a file that holds one: %w", v, err)
			}
			v = string(text)
		}
		p, err := plan.Parse(v)
		if err != nil {
			return o, fmt.Errorf("PLAN is no plan: %w", err)
		}
		o.Plan = &p
	}
	return o, nil
}

// Resident is how much memory this process has, in bytes; 0 where the system does not say.
func Resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(words[1], 10, 64) // the kernel's own format
	return pages * int64(os.Getpagesize())
}
