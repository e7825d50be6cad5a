package cachebench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Markdown is the table of all cases. Each row's ratio is to the first variant named base of its case.
func Markdown(all []Figures, base string) string {
	var b strings.Builder
	b.WriteString("| ranges × keys | clients | variant | reads/s | of " + base + "'s | p50 | p99 | miss p50 | " +
		"miss p99 | asked/read | bytes/read |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, f := range all {
		ratio := "–"
		if r := baseOf(all, f, base); r > 0 {
			ratio = fmt.Sprintf("%.2f", f.Reads/r)
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %.0f | %s | %s | %s | %s | %s | %.2f | %.0f |\n", f.Layout, f.Clients, f.Variant,
			f.Reads, ratio, short(f.P50), short(f.P99), short(f.MissP50), short(f.MissP99), f.Asked, f.Bytes)
	}
	return b.String()
}

// MembersMarkdown is the table of what members worked for a thousand reads, and how many a second there were.
func MembersMarkdown(all []Figures) string {
	var b strings.Builder
	b.WriteString("| ranges × keys | clients | variant | members' CPU of 1,000 reads | reads/s | p50 | asked/read |\n" +
		"|---|---|---|---|---|---|---|\n")
	for _, f := range all {
		fmt.Fprintf(&b, "| %s | %d | %s | %d ms | %.0f | %s | %.2f |\n", f.Layout, f.Clients, f.Variant,
			f.CPU.Milliseconds(), f.Reads, short(f.P50), f.Asked)
	}
	return b.String()
}

// Advice says what each variant's reads take of the members' CPU in the first case, as multiples of base's, and what
// follows for who takes the cache away.
func Advice(all []Figures, base string) string {
	var of []string
	var first, is Figures
	for _, f := range all {
		if first == (Figures{}) {
			first = f
		}
		if f.Variant == base && is == (Figures{}) {
			is = f
		}
	}
	for _, f := range all {
		if f.Variant != base && f.Layout == first.Layout && f.Clients == first.Clients && is.CPU > 0 {
			of = append(of, fmt.Sprintf("*%s* %.1f", f.Variant, float64(f.CPU)/float64(is.CPU)))
		}
	}
	return fmt.Sprintf("With %d clients at %s, in CPU of the members as multiples of *%s*:\n%s.\nWho takes the cache "+
		"away needs so much more of it for reads. Where members have that to spare, nothing is stale\nbut what is read of a "+
		"member that lags.\n\n",
		first.Clients, first.Layout, base, strings.Join(of, ", "))
}

// baseOf is how many reads a second the variant base made in f's case.
func baseOf(all []Figures, f Figures, base string) float64 {
	for _, g := range all {
		if g.Variant == base && g.Clients == f.Clients && g.Layout == f.Layout {
			return g.Reads
		}
	}
	return 0
}

func short(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

var colours = []string{"#7a7a7a", "#c44e52", "#dd8452", "#4c72b0", "#55a868", "#8172b3", "#937860", "#da8bc3"}

// SVG draws the reads a second as multiples of base's, a panel for each number of clients, a group of bars for each
// layout.
func SVG(all []Figures, base string) string {
	const bar, gap, height, left, top = 16, 22, 150, 44, 56
	variants, clients, layouts := []string{}, []int{}, []Layout{}
	most := 1.0
	for _, f := range all {
		variants, clients, layouts = once(variants, f.Variant), once(clients, f.Clients), once(layouts, f.Layout)
		if r := baseOf(all, f, base); r > 0 {
			most = max(most, f.Reads/r)
		}
	}
	group := bar*len(variants) + gap
	width, panel := left+group*len(layouts)+10, height+70
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" `+
		"font-size=\"11\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", width, top+panel*len(clients))
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"18\" font-size=\"13\">Reads a second, as multiples of %s's</text>\n", left, base)
	for i, v := range variants {
		x := left + i*(width-left)/len(variants)
		fmt.Fprintf(&b, "<rect x=\"%d\" y=\"28\" width=\"10\" height=\"10\" fill=\"%s\"/><text x=\"%d\" y=\"37\">%s</text>\n",
			x, colours[i%len(colours)], x+14, v)
	}
	for p, n := range clients {
		y0 := top + p*panel + 20
		floor := y0 + height
		at := func(times float64) float64 { return float64(floor) - times/most*height }
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">%d at a time</text>\n", left, y0-6, n)
		for _, line := range []float64{0, 1, most} {
			fmt.Fprintf(&b, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1[3]f\" stroke=\"#ccc\"/>"+
				"<text x=\"4\" y=\"%.1f\">%.1f</text>\n", left, width-10, at(line), at(line)+4, line)
		}
		for g, l := range layouts {
			x := left + g*group
			fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\">%s</text>\n", x, floor+16, l)
			for i, v := range variants {
				for _, f := range all {
					r := baseOf(all, f, base)
					if f.Variant != v || f.Clients != n || f.Layout != l || r == 0 {
						continue
					}
					fmt.Fprintf(&b, "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\"><title>%s: %.0f/s, "+
						"%.2f ×</title></rect>\n", x+i*bar, at(f.Reads/r), bar-2, float64(floor)-at(f.Reads/r),
						colours[i%len(colours)], v, f.Reads, f.Reads/r)
				}
			}
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func once[T comparable](all []T, one T) []T {
	if slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}
