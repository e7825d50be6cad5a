package report

import (
	"fmt"
	"time"
)

// costColumn is one thing that a fix costs, as every table has it.
type costColumn struct {
	Title string // in full
	Short string // in a word
	Unit  string
	Value func(*Costs) string
}

var costColumns = []costColumn{
	{"a read takes, median", "p50", "ms", func(c *Costs) string { return milliseconds(c.ReadP50) }},
	{"a read takes, 99th percentile", "p99", "ms", func(c *Costs) string { return milliseconds(c.ReadP99) }},
	{"Ranges that reach etcd", "Ranges", "/1,000 reads", func(c *Costs) string { return figure(c.RangesPer1000) }},
	{"requests failed as a proxy dies", "failed", "%", func(c *Costs) string { return c.ProxyDeath.rate() }},
	{"until they succeed again", "recovery", "ms", func(c *Costs) string { return c.ProxyDeath.recovery() }},
	{"members stay hidden from clients", "hides", "", func(c *Costs) string { return yes(c.MembersHidden) }},
}

func (d ProxyDeath) rate() string {
	if d.Requests == 0 {
		return "–"
	}
	return figure(100 * float64(d.Errors) / float64(d.Requests))
}

func (d ProxyDeath) recovery() string {
	switch {
	case d.Requests == 0:
		return "–"
	case d.Recovery < 0:
		return "never"
	}
	return milliseconds(d.Recovery)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func milliseconds(d time.Duration) string { return figure(float64(d) / float64(time.Millisecond)) }

// figure writes a number with the two or three digits that mean something.
func figure(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 1:
		return fmt.Sprintf("%.2f", x)
	case x < 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}
