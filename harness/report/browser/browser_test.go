package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// chromium starts a browser with a profile of its own, and ends it with the test.
func chromium(t testing.TB) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	require.NoError(t, err, "the page is tested in Chromium and there is none: apt-get install chromium")
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900)}
	for _, f := range []string{"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync",
		"disable-background-networking", "disable-component-update", "disable-dev-shm-usage"} {
		flags = append(flags, chromedp.Flag(f, true))
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 9*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx), "chromium does not start")
	return ctx
}

// tab is a page that is open, and what went wrong in it.
type tab struct {
	testing.TB
	ctx  context.Context
	path string

	mu    sync.Mutex
	wrong []string
}

// open opens a page in a tab of its own. What its console says of errors, what it throws and what it asks of the
// network fails the test when it ends.
func open(t testing.TB, browser context.Context, path, fragment string) *tab {
	t.Helper()
	p := &tab{TB: t, path: path}
	note := func(format string, args ...any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
	}
	listen := func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventConsoleAPICalled:
			if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeWarning {
				note("console: %v", ev.Args)
			}
		case *runtime.EventExceptionThrown:
			note("thrown: %v", ev.ExceptionDetails)
		case *log.EventEntryAdded:
			if ev.Entry.Level == log.EntryLevelError || ev.Entry.Level == log.EntryLevelWarning {
				note("log: %s", ev.Entry.Text)
			}
		case *network.EventRequestWillBeSent:
			if u := ev.Request.URL; !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "file://"+path) {
				note("asks the network for %s", u)
			}
		case *page.EventJavascriptDialogOpening:
			note("a dialog opens: %s", ev.Message)
		}
	}
	var cancel context.CancelFunc
	p.ctx, cancel = chromedp.NewContext(browser, chromedp.WithListener(listen))
	t.Cleanup(cancel)
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		require.Empty(t, p.wrong, "the page must be quiet")
	})
	_, err := chromedp.Call(p.ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	p.run(chromedp.Navigate((&url.URL{Scheme: "file", Path: path, Fragment: fragment}).String()))
	p.waitFor(`document.documentElement.dataset.ready === "true"`)
	return p
}

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	require.NoError(p, chromedp.Do(p.ctx, actions...))
}

// eval returns what an expression of JavaScript is; do runs one for what it does.
func eval[T any](p *tab, expression string) T {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	require.NoError(p, err, "%s", expression)
	return v
}

func (p *tab) do(statement string) {
	p.Helper()
	p.is("(() => { "+statement+"; return true; })()", "done")
}

func (p *tab) click(selector string) {
	p.Helper()
	p.run(chromedp.Click(chromedp.CSS(selector)))
}

// waitFor waits until an expression holds.
func (p *tab) waitFor(expression string) {
	p.Helper()
	_, err := chromedp.Run(p.ctx, chromedp.Poll[any](expression, chromedp.WithPollingTimeout(time.Minute)))
	p.mu.Lock()
	defer p.mu.Unlock()
	require.NoError(p, err, "waited for %s; the page says %v", expression, p.wrong)
}

// is fails unless the expression holds.
func (p *tab) is(expression, why string) {
	p.Helper()
	require.True(p, eval[bool](p, expression), "%s: %s", why, expression)
}

func (p *tab) press(keys string) { p.Helper(); p.run(chromedp.KeyEvent(keys)) }

// scheme makes the page believe that its reader prefers light or dark.
func (p *tab) scheme(light string) {
	p.Helper()
	media := emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: light}}}
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, media)
	require.NoError(p, err)
}

// shot leaves a picture of what is seen in the folder GHOSTROUTE_SHOTS names, if it names one.
func (p *tab) shot(name string, whole bool) {
	p.Helper()
	folder := os.Getenv("GHOSTROUTE_SHOTS")
	if folder == "" {
		return
	}
	take := chromedp.CaptureScreenshot()
	if whole {
		take = chromedp.FullScreenshot(100)
	}
	picture, err := chromedp.Run(p.ctx, take)
	require.NoError(p, err)
	require.NoError(p, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644))
}

// printed prints the page and returns how many sheets it takes.
func (p *tab) printed(name string) int {
	p.Helper()
	pdf, err := chromedp.Run(p.ctx, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(), chromedp.PDFPrintBackground()))
	require.NoError(p, err)
	if folder := os.Getenv("GHOSTROUTE_SHOTS"); folder != "" {
		require.NoError(p, os.WriteFile(filepath.Join(folder, name+".pdf"), pdf, 0o644))
	}
	return len(sheet.FindAll(pdf, -1))
}

// sheet is a page of a PDF.
var sheet = regexp.MustCompile(`/Type\s*/Page\b[^s]`)

// contrasts returns, of all elements with text that a selector finds, those whose text stands out too little from
// what is behind it (WCAG 2.2, 1.4.3: 4.5 to 1).
const contrasts = `(selector) => {
	const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
	const rgba = (c) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = c;
		canvas.fillRect(0, 0, 1, 1);
		return canvas.getImageData(0, 0, 1, 1).data;
	};
	const linear = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
	const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const s = getComputedStyle(e);
			if (s.backgroundImage !== 'none') return rgba(s.backgroundImage.match(/rgba?\([^)]*\)/)[0]);
			const c = rgba(s.backgroundColor);
			if (c[3] === 255) return c;
		}
		return [255, 255, 255];
	};
	const poor = new Set();
	for (const e of document.querySelectorAll(selector)) {
		if (!e.offsetParent || !e.textContent.trim()) continue;
		const [a, b] = [luminance(rgba(getComputedStyle(e).color)), luminance(behind(e))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) poor.add(e.className + ' ' + e.textContent.slice(0, 20) + ' ' + ratio.toFixed(1));
	}
	return [...poor];
}`

func (p *tab) readable(selector string) {
	p.Helper()
	require.Empty(p, eval[[]string](p, "("+contrasts+")("+fmt.Sprintf("%q", selector)+")"), "text is hard to read")
}

const active = `document.activeElement?.dataset.cell`

// keys of the first cells in the matrix that are not n/a.
func (p *tab) cells() []string {
	p.Helper()
	return eval[[]string](p, `[...document.querySelectorAll("#matrix .cell:not(.na)")].map((b) => b.dataset.cell)`)
}

func TestMatrix(t *testing.T) {
	browser := chromium(t)
	path := matrix(t)
	closed := `!document.getElementById("dialog").open`
	opened := func(key string) string {
		return fmt.Sprintf(`document.querySelector("#dialog[open]")?.dataset.cell === %q`, key)
	}

	t.Run("table", func(t *testing.T) {
		p := open(t, browser, path, "")
		p.is(`document.querySelectorAll("#matrix tbody th[scope=row]").length > 0`, "rows have headers")
		p.is(`document.querySelectorAll("#matrix thead th[scope=col]").length ===
			1 + JSON.parse(document.getElementById("data").textContent).fixes.length`, "columns have headers")
		p.is(`[...document.querySelectorAll("#matrix .cell")].every((b) => b.getAttribute("aria-label").length > 20)`,
			"each cell says in words what it shows")
		p.is(`document.querySelectorAll("#matrix .cell[tabindex='0']").length === 1`, "one cell is in the tab order")
		p.is(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`,
			"1280 pixels are wide enough, a scrollbar among them")
		for _, outcome := range []string{"fresh", "heals", "stale"} {
			paper := fmt.Sprintf(`getComputedStyle(document.querySelector("#matrix .%s")).backgroundColor`, outcome)
			p.is(paper+` !== "rgba(0, 0, 0, 0)"`, outcome+" has a colour")
		}
		p.readable(".half, .half .sym, .legend li, .matrix th a, .matrix td, .about, .unit, .source")
		p.shot("light", false)
		p.shot("light-whole", true)
		p.do(`scrollTo(0, 800)`)
		p.is(`document.querySelector("#matrix thead .fix").getBoundingClientRect().top === 0`, "the head sticks")
		p.shot("light-scrolled", false)
	})

	t.Run("dark", func(t *testing.T) {
		p := open(t, browser, path, "")
		paper := `getComputedStyle(document.body).backgroundColor`
		p.scheme("light")
		light := eval[string](p, paper)
		p.scheme("dark")
		require.NotEqual(t, light, eval[string](p, paper), "dark is dark")
		p.readable(".half, .half .sym, .legend li, .matrix th a, .matrix td, .about, .unit, .source, .count")
		p.shot("dark", false)
		cell := p.cells()[0]
		p.click(fmt.Sprintf(`[data-cell=%q]`, cell))
		p.waitFor(opened(cell))
		p.readable("dialog p, dialog td, dialog th, dialog .badge, dialog button:not(:disabled), dialog code")
		p.shot("timeline-dark", false)
	})

	t.Run("mouse", func(t *testing.T) {
		p := open(t, browser, path, "")
		cell := p.cells()[0]
		p.click(fmt.Sprintf(`[data-cell=%q]`, cell))
		p.waitFor(opened(cell))
		p.is(`document.querySelector("#dialog .timeline svg[role=img]").getAttribute("aria-label").length > 20`,
			"the timeline says what it shows")
		p.is(`document.querySelectorAll("#dialog .timeline .names text.name").length >= 3`, "it has lanes")
		p.is(`document.querySelectorAll("#dialog .timeline .m").length > 5`, "and marks on them")
		p.is(`document.querySelector("#dialog .verdict").textContent.length > 20`, "the verdict is a sentence")
		p.is(`document.querySelectorAll("#dialog table tbody tr").length > 5`, "events and evidence are a table, too")
		p.is(`document.querySelector("#dialog .replay code").textContent.length > 5`, "it says how to run it again")
		p.is(`document.querySelector("#dialog").scrollWidth <= document.querySelector("#dialog").clientWidth`,
			"nothing sticks out")
		p.is(`location.hash.startsWith("#`+cell+`/")`, "the fragment names the cell")
		p.readable("dialog p, dialog td, dialog th, dialog .badge, dialog button:not(:disabled), dialog code")
		p.shot("timeline", false)
		p.click(`#dialog .copy`)
		p.waitFor(`/copied|selected/.test(document.querySelector("#dialog .copy").textContent)`)
		p.do(`document.querySelector("#dialog tbody tr[data-seq]").scrollIntoView({ block: "center" })`)
		p.shot("timeline-table", false)
		p.press(kb.Escape)
		p.waitFor(closed)
		p.is(`location.hash === ""`, "the fragment is gone")
	})

	t.Run("keyboard", func(t *testing.T) {
		p := open(t, browser, path, "")
		p.do(`document.querySelector("#matrix .cell[tabindex='0']").focus()`)
		first := eval[string](p, active)
		p.press(kb.ArrowRight) // right
		second := eval[string](p, active)
		require.NotEqual(t, first, second)
		require.Equal(t, strings.Split(first, "/")[0], strings.Split(second, "/")[0], "the row stays")
		p.press(kb.ArrowDown) // down
		third := eval[string](p, active)
		require.Equal(t, strings.Split(second, "/")[1], strings.Split(third, "/")[1], "the column stays")
		p.press(kb.Enter)
		p.waitFor(opened(third))
		p.is(`document.activeElement.id === "cell-title"`, "focus is in what was opened")
		tabs := eval[int](p, `document.querySelectorAll("#dialog [role=tab]").length`)
		if tabs == 2 {
			p.do(`document.querySelector("#dialog [role=tab][aria-selected=true]").focus()`)
			p.press(kb.ArrowRight)
			p.waitFor(`document.activeElement.id === "tab-go-micro"`)
			p.is(`document.activeElement.getAttribute("aria-selected") === "true"`, "the other reading is selected")
			p.is(`location.hash.endsWith("/go-micro")`, "the fragment follows the reading")
		}
		p.press(kb.Escape)
		p.waitFor(closed)
		require.Equal(t, third, eval[string](p, active), "focus is back where it was")
		p.press(kb.Home) // home
		require.Equal(t, strings.Split(third, "/")[0], strings.Split(eval[string](p, active), "/")[0])
	})

	t.Run("fragment", func(t *testing.T) {
		cells := open(t, browser, path, "").cells()
		cell := cells[len(cells)/2]
		p := open(t, browser, path, cell+"/go-micro")
		p.waitFor(opened(cell))
		p.is(`document.getElementById("tab-go-micro").getAttribute("aria-selected") === "true"`,
			"the reading is the fragment's")
		p.do(`location.hash = "#` + cells[0] + `"`)
		p.waitFor(opened(cells[0]))
		require.Positive(t, p.printed("print-cell"))
		p.press(kb.Escape)
		p.waitFor(closed)
		p.do(`location.hash = "#no/such/cell"`)
		p.do(`location.hash = "#%"`)
		p.is(closed, "a fragment that names nothing opens nothing")
	})

	t.Run("filters", func(t *testing.T) {
		p := open(t, browser, path, "")
		shown := `document.querySelectorAll("#matrix .cell:not(.dim)").length`
		rows := `[...document.querySelectorAll("#matrix tbody tr:not(.theme)")].filter((r) => r.offsetParent).length`
		columns := `[...document.querySelectorAll("#matrix thead .fix")].filter((c) => c.offsetParent).length`
		find := func(field, words string) {
			p.do(fmt.Sprintf(`const f = document.getElementById(%q); f.value = %q;
				f.dispatchEvent(new Event("input", { bubbles: true }))`, field, words))
		}
		all, allRows, allColumns := eval[int](p, shown), eval[int](p, rows), eval[int](p, columns)
		p.click(`#outcome input[value=stale]`)
		p.is(`[...document.querySelectorAll("#matrix .cell:not(.dim):not(.na)")]
			.every((b) => b.querySelector(".half:not(.stale)"))`,
			"a cell that is only stale is dimmed")
		p.click(`#outcome input[value=stale]`)
		require.Equal(t, all, eval[int](p, shown))

		scenario, fix, _ := strings.Cut(p.cells()[0], "/")
		find("find-scenario", strings.ToUpper(scenario))
		find("find-fix", fix)
		require.Equal(t, []int{1, 1}, []int{eval[int](p, rows), eval[int](p, columns)}, "one of each has that name")
		p.is(`document.getElementById("count").textContent.startsWith("1 of ")`, "it says how many are left")
		p.shot("found", false)
		find("find-scenario", "no such words")
		require.Zero(t, eval[int](p, rows))
		find("find-scenario", "")
		find("find-fix", "")
		require.Equal(t, []int{allRows, allColumns}, []int{eval[int](p, rows), eval[int](p, columns)})

		if moved := eval[int](p, `document.querySelectorAll("#matrix .moved").length`); moved > 0 {
			p.click(`#moved`)
			require.Equal(t, moved, eval[int](p, shown), "only what moved is left")
			require.LessOrEqual(t, eval[int](p, rows)*eval[int](p, columns), moved*moved, "in its rows and columns")
			p.click(`#moved`)
		}
		p.click(`input[name=reading][value=go-micro]`)
		p.is(`document.querySelector("#matrix .half[data-reading=each-request]").offsetParent === null`,
			"one reading is hidden")
		p.do(`const s = document.getElementById("theme"); s.value = "0";
			s.dispatchEvent(new Event("change", { bubbles: true }))`)
		p.is(`[...document.querySelectorAll("#matrix tbody")].filter((b) => !b.hidden).length === 1`, "one theme is left")
		p.shot("filtered", false)
	})

	for _, width := range []int64{360, 1024, 1440} {
		t.Run(fmt.Sprintf("%d pixels", width), func(t *testing.T) {
			p := open(t, browser, path, "")
			p.run(chromedp.EmulateViewport(width, 800))
			p.is(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`,
				"nothing but the matrix scrolls sideways")
			p.is(`[...document.querySelectorAll(".legend li")].every((l) =>
				l.getBoundingClientRect().right <= innerWidth && l.scrollWidth <= l.clientWidth)`,
				"the legend is whole")
			p.shot(fmt.Sprintf("page-%d", width), true)
			p.do(`document.querySelector("#matrix tbody tr:nth-child(3) td:last-child .cell").scrollIntoView(
				{ block: "center", inline: "end" })`)
			p.is(`(() => {
				const cell = document.querySelector("#matrix tbody tr:nth-child(3) td:last-child .cell").getBoundingClientRect();
				const name = document.querySelector("#matrix tbody tr:nth-child(3) th").getBoundingClientRect();
				return cell.right <= innerWidth && name.left >= 0 && name.right <= cell.left;
			})()`, "the last fix is reached, beside the scenario's name")
			p.shot(fmt.Sprintf("last-%d", width), false)
			cell := p.cells()[0]
			p.do(`document.querySelector("#matrix .cell").click()`)
			p.waitFor(opened(cell))
			p.is(`document.querySelector("#dialog").getBoundingClientRect().width <= innerWidth`, "a cell keeps within the page")
			p.shot(fmt.Sprintf("cell-%d", width), false)
		})
	}

	t.Run("prints on three pages", func(t *testing.T) {
		p := open(t, browser, path, "")
		p.scheme("dark") // paper is white all the same
		require.LessOrEqual(t, p.printed("print"), 3)
	})

	t.Run("every cell", func(t *testing.T) {
		p := open(t, browser, path, "")
		cells := p.cells()
		for i := 0; i < len(cells); i += max(1, len(cells)/40) {
			p.do(`location.hash = "#` + cells[i] + `"`)
			p.waitFor(opened(cells[i]))
			p.is(`document.querySelector("#dialog").scrollWidth <= document.querySelector("#dialog").clientWidth`,
				cells[i]+": nothing sticks out")
			p.is(`document.querySelectorAll("#dialog img, #dialog script").length === 0`, cells[i]+": names stay text")
			overlap := eval[[]string](p, overlaps)
			require.Empty(t, overlap, "%s: words lie on each other", cells[i])
		}
	})
}

// overlaps returns words of the timeline that lie on each other.
const overlaps = `(() => {
	const words = [...document.querySelectorAll("#dialog .timeline svg[role=img] text")];
	const boxes = words.map((t) => [t.textContent, t.getBoundingClientRect()]);
	const bad = [];
	boxes.forEach(([a, x], i) => boxes.slice(i + 1).forEach(([b, y]) => {
		const beside = x.left >= y.right - 1 || y.left >= x.right - 1;
		if (!beside && x.top < y.bottom - 4 && y.top < x.bottom - 4) bad.push(a + " | " + b);
	}));
	return bad;
})()`

// BenchmarkOpens says how long the matrix takes until it is loaded.
func BenchmarkOpens(b *testing.B) {
	browser, path, took := chromium(b), matrix(b), 0.0
	for b.Loop() {
		took += eval[float64](open(b, browser, path, ""), `performance.getEntriesByType("navigation")[0].loadEventEnd`)
	}
	b.ReportMetric(took/float64(b.N), "ms/open")
}

func TestTimeline(t *testing.T) {
	p := open(t, chromium(t), timeline(t), "")
	p.is(`document.querySelectorAll("#single .timeline .m").length > 5`, "the timeline is there")
	p.is(`document.querySelectorAll("#single table tbody tr").length > 5`, "and its events as a table")
	p.is(`document.querySelector("#matrix") === null`, "and no matrix")
	p.is(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`,
		"it scrolls in its box and not as a page")
	p.shot("single", false)
	names := eval[[]string](p, `[...document.querySelectorAll("#single .names text.name")].map((t) => t.textContent)`)
	require.Subset(t, names, []string{"p2", "g2", "truth"})
}
