package taskz

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/taskspan/taskspan/worker/taskz"
)

// A person clicks through the four views, and reads the right figures.
func TestPage(t *testing.T) {
	b := newBrowser(t)
	s := newTasks(t)
	page := taskz.New(s.runner, taskz.WithTitle("shop-worker"), taskz.WithRefresh(time.Second))
	defer page.Close()
	mux := http.NewServeMux()
	mux.Handle("/internal/debug/", http.StripPrefix("/internal/debug", page))
	server := httptest.NewServer(mux)
	defer server.Close()
	stop := s.run()
	stopped := false
	defer func() {
		if !stopped {
			stop()
		}
	}()

	// Running.
	b.do(chromedp.Navigate(server.URL + "/internal/debug/tasks"))
	b.awaitHeading("Running")
	b.has(b.says("h1")[0], "2 runs", "held")
	stuck := b.row("search.reindex")
	b.has(stuck[0], "search.reindex #s", "attempt 1 of 3")
	b.has(stuck[2], "transaction", "rows", "SELECT orders")
	b.has(stuck[4], "× p95")
	big := b.row("invoices.close")
	b.has(big[1], "for")
	b.has(big[4], "62 %", "left", "124 of 200")
	if n := b.says(".bad"); slices.ContainsFunc(n, func(s string) bool { return s != "" }) {
		t.Errorf("something is marked as bad: %q", n)
	}
	// It refreshes by itself, and can be paused.
	age := b.row("search.reindex")[5]
	b.awaits(fmt.Sprintf("![...document.querySelectorAll('td.n')].some(c => c.innerText === %q)", age))
	b.click("button", "pause")
	b.awaits("[...document.querySelectorAll('button')].some(e => e.innerText === 'resume')")
	b.shoot("running")

	// Sorting, by mouse; then filtering, by keyboard and without a reload.
	b.click("th/a", "task")
	b.awaits("document.querySelector('th').getAttribute('aria-sort') === 'ascending'")
	if tasks := b.says("td.key a"); !slices.Equal(tasks, []string{"invoices.close", "search.reindex"}) {
		t.Errorf("sorted by task: %q", tasks)
	}
	b.click("th/a", "task")
	b.awaits("document.querySelector('th').getAttribute('aria-sort') === 'descending'")
	if tasks := b.says("td.key a"); !slices.Equal(tasks, []string{"search.reindex", "invoices.close"}) {
		t.Errorf("sorted by task, the other way round: %q", tasks)
	}
	evaluate[bool](b, "window.same = true")
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "INVOICES"))
	b.awaits("document.querySelectorAll('tbody tr').length === 1")
	b.awaits("window.same && location.search.includes('q=INVOICES') && location.search.includes('sort=-task')")
	b.has(b.row("invoices.close")[0], "invoices.close")

	// Recent.
	b.click("nav/a", "Recent")
	b.awaitHeading("Recent")
	if tasks := b.says("table:first-of-type td.key"); !slices.Equal(tasks[:4], []string{"search.reindex", "customers.register", "orders.ship", "orders.count"}) {
		t.Errorf("recent: %q", tasks)
	}
	if count := b.row("orders.count"); count[1] != strings.Repeat("✓", 20) || count[2] != "24" || count[3] != "0" {
		t.Errorf("orders.count = %q", count)
	}
	register := b.row("customers.register")
	b.has(register[7], "failure", "ago", "duplicate key")
	if register[3] != "1 + 2 retries" {
		t.Errorf("customers.register failed %q, want once after two retries", register[3])
	}
	if strings.ReplaceAll(register[1], " ", "") != "!!×" || register[2] != "3" {
		t.Errorf("customers.register = %q, want two retries and a failure", register)
	}
	b.shoot("recent")

	// One run: the one with a statement for each order.
	b.do(chromedp.Click(chromedp.CSS(`a.dot.warn[title*="findings"]`)))
	b.awaitHeading("orders.ship #2026-11 success")
	finding := b.says(".box")[0]
	b.has(finding, "repeated_statement SELECT items ran 200 times", "tasks_test.go:")
	if bars := b.says(".fall .name"); len(bars) != 8+1+1 || bars[8] != "SELECT items × 192" || bars[9] != "UPDATE items" {
		t.Errorf("the waterfall has %q", bars)
	}
	boxes := evaluate[[]struct{ X, Width float64 }](b, `[...document.querySelectorAll(".fall rect")].map(r => ({X: r.getBoundingClientRect().x, Width: r.getBoundingClientRect().width}))`)
	for i, box := range boxes {
		if i > 0 && box.X < boxes[i-1].X || box.Width < 1 {
			t.Errorf("the bars are at %+v", boxes)
			break
		}
	}
	if len(boxes) == 10 && boxes[8].Width < 3*boxes[0].Width {
		t.Errorf("the folded bar is not long: %+v", boxes)
	}
	b.do(chromedp.Click(chromedp.CSS("table summary")))
	b.awaits("document.querySelector('table details[open] pre').innerText === 'SELECT quantity FROM items WHERE order_id = ?'")
	b.do(chromedp.Click(chromedp.CSS("table summary")), chromedp.Click(chromedp.CSS(".box summary")))
	b.shoot("run")

	// A failed one: what the driver said of the customer is not there.
	b.do(chromedp.NavigateBack())
	b.awaitHeading("Recent")
	b.do(chromedp.Click(chromedp.CSS(`a.dot.bad`)))
	b.awaitHeading("customers.register failure")
	b.has(b.says(".box.bad")[0], "duplicate key", "register the customer")
	if says := b.says("main")[0]; strings.Contains(says, "customer 7") {
		t.Errorf("the page has the customer: %q", says)
	}
	b.has(b.says(".box.bad b")[0], "error 2067")
	if legend := b.says(".legend")[0]; legend != "one statement" {
		t.Errorf("the legend explains what is not there: %q", legend)
	}
	b.shoot("failure")

	// Statements.
	b.click("nav/a", "Statements")
	b.awaitHeading("Statements")
	if items := b.row("SELECT items"); items[3] != "200" || items[4] != "0" || items[5] != "200" || items[9] != "orders.ship" {
		t.Errorf("SELECT items = %q", items)
	}
	if insert := b.row("INSERT orders"); insert[3] != "3" || insert[4] != "3" || insert[9] != "customers.register" {
		t.Errorf("INSERT orders = %q", insert)
	}
	b.click("th/a", "count")
	b.awaits("document.querySelector('th[aria-sort=descending]')?.innerText.trim() === 'count'")
	if first := b.says("td.key")[0]; first != "SELECT items" {
		t.Errorf("the most frequent is %q", first)
	}
	b.shoot("statements")

	// The keyboard alone: the first Tab is the way past the navigation.
	b.do(chromedp.Navigate(server.URL + "/internal/debug/tasks"))
	b.awaitHeading("Running")
	b.press(tab)
	b.awaits("document.activeElement.innerText === 'Skip to the table'")

	// A link to a run outlives it.
	b.click("a", "search.reindex")
	b.awaitHeading("search.reindex #s running")
	if bars := b.says(".fall .name"); !slices.Equal(bars, []string{"transaction SELECT orders", "rows SELECT orders"}) {
		t.Errorf("what is open: %q", bars)
	}
	b.has(b.says(".legend")[0], "open, or running")
	b.shoot("stuck")
	stop()
	stopped = true
	b.awaitHeading("search.reindex #s cancellation")
}

// Without script, links, the form and a reload do the same.
func TestWithoutScript(t *testing.T) {
	b := newBrowser(t)
	s := newTasks(t)
	page := taskz.New(s.runner, taskz.WithTitle("shop-worker"), taskz.WithRefresh(time.Minute)) // not while the form is filled in
	defer page.Close()
	server := httptest.NewServer(page)
	defer server.Close()
	defer s.run()()

	b.do(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(server.URL+"/?view=recent"))
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "orders.ship"), chromedp.Click(chromedp.CSS("form button")))
	location := server.URL + "/?view=recent&q=orders.ship"
	b.awaits(fmt.Sprintf("location.href === %q", location))
	b.awaitHeading("Recent")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, location, nil)
	check(t, err)
	request.Header.Set("Accept", "text/html")
	response, err := server.Client().Do(request)
	check(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(t, err)
	if !strings.Contains(string(body), `<meta http-equiv="refresh" content="60">`) {
		t.Errorf("the page is not refreshed: %s", body)
	}
}
