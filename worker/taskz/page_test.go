package taskz_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/taskz"
)

var errOrder = errors.New("order 4711 of alice@example.com is 'lost'")

// inBubble runs f with a clock that advances when everything sleeps.
func inBubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestRunning(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t)
		for range 20 {
			if err := g.run("mail.send", func(context.Context) error { time.Sleep(time.Second); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		stopBig := g.start("invoices.close", func(ctx context.Context) {
			for range 5 {
				statement(ctx, "UPDATE invoices", time.Millisecond, false)
			}
			worker.Progress(ctx, 25, 100)
		}, worker.WithID("#2026-11"), worker.WithAttempt(1), worker.WithMaxAttempts(3))
		time.Sleep(10 * time.Second)
		stopStuck := g.start("mail.send", func(context.Context) {})
		time.Sleep(6 * time.Second)

		p := g.json("/?view=running")
		if len(p.Running) != 2 {
			t.Fatalf("%d runs, want 2: %+v", len(p.Running), p.Running)
		}
		big, stuck := p.Running[0], p.Running[1]
		if big.Task != "invoices.close" || big.ID != "#2026-11" || big.Attempt != 1 || big.MaxAttempts != 3 || big.Result != "running" {
			t.Errorf("big = %+v", big)
		}
		if big.Duration != 16 || big.Operations != 5 || big.Quiet == nil || *big.Quiet != 16 {
			t.Errorf("age %v, operations %v, quiet %v", big.Duration, big.Operations, big.Quiet)
		}
		if pr := big.Progress; pr == nil || pr.Done != 25 || pr.Total != 100 || pr.Percent != 25 || pr.Left == nil || *pr.Left != 48 {
			t.Errorf("progress = %+v, want 25 of 100 and 48 s left", pr)
		}
		if h := stuck.History; h == nil || h.Of != 20 || h.P50 != 1 || h.Ratio != 6 {
			t.Errorf("history = %+v, want 20 runs of 1 s and 6 × p95", h)
		}

		d := g.html("/?view=running")
		rows := d.rows(t, 0)
		want := [][]string{
			{"task", "doing now", "holds", "operations", "how far", "age"},
			{"invoices.close #2026-11 attempt 1 of 3", "no statement for 16.0 s after UPDATE invoices", "nothing", "5", "25 % · 48.0 s left 25 of 100", "16.0 s"},
			{"mail.send", "no statement yet", "nothing", "0", "6.0 × p95 p50 1.00 s, p95 1.00 s", "6.00 s"},
		}
		if fmt.Sprint(rows) != fmt.Sprint(want) {
			t.Errorf("rows =\n%q, want\n%q", rows, want)
		}
		if h1 := d.all("h1"); len(h1) != 1 || h1[0].says() != "Running 2 runs" {
			t.Errorf("h1 = %q", h1[0].says())
		}
		bar := d.all("progress")[0]
		if bar.attr["value"] != "25" || bar.attr["max"] != "100" || bar.attr["aria-label"] == "" {
			t.Errorf("the bar is %v", bar.attr)
		}
		text := g.text("/")
		for _, want := range []string{"billing · Running, at ", "invoices.close", "#2026-11 attempt 1 of 3", "25 % (25 of 100), 48.0 s left", "6.0 × p95"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}

		// A link to a running task leads to the same run when it has ended.
		link := d.all("tbody")[0].all("a")[0].attr["href"]
		if one := g.json("/" + link); one.Run == nil || one.Run.Result != "running" || len(one.Run.Bars) != 5 {
			t.Errorf("%s is %+v", link, one.Run)
		}
		stopBig()
		stopStuck()
		if one := g.json("/" + link); one.Run == nil || one.Run.Result != "success" || one.Run.Task != "invoices.close" {
			t.Errorf("%s is %+v", link, one.Run)
		}
		if p := g.json("/"); len(p.Running) != 0 {
			t.Errorf("running: %+v", p.Running)
		}
		if says := g.html("/").all("main")[0].says(); !strings.Contains(says, "Nothing runs at the moment.") {
			t.Errorf("the page says %q", says)
		}
	})
}

func TestRecentAndOneRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, worker.WithRepeatedStatements(10))
		err := g.run("orders.ship", func(ctx context.Context) error {
			statement(ctx, "SELECT orders", 900*time.Millisecond, false)
			for range 30 {
				time.Sleep(100 * time.Millisecond)
				statement(ctx, "SELECT items", 50*time.Millisecond, false)
			}
			statement(ctx, "INSERT outbox", 10*time.Millisecond, true)
			return errOrder
		}, worker.WithID("7"))
		if !errors.Is(err, errOrder) {
			t.Fatal(err)
		}
		if err := g.run("orders.list", func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}

		d := g.html("/?view=recent")
		if got := d.column(t, 0, "task"); !slices.Equal(got, []string{"orders.list", "orders.ship"}) {
			t.Errorf("tasks = %q, want the last one first", got)
		}
		if got := d.column(t, 0, "last results"); !slices.Equal(got, []string{"✓", "×"}) {
			t.Errorf("results = %q", got)
		}
		trouble := d.column(t, 0, "last failure")
		if want := "failure 0 s ago " + errs.Message(errOrder); trouble[1] != want || trouble[0] != "none" {
			t.Errorf("trouble = %q, want %q", trouble, want)
		}
		var link string
		for _, a := range d.all("a") {
			if a.attr["class"] == "dot bad" {
				link = a.attr["href"]
				if want := "failure after 3.00 s, with findings"; a.attr["title"] != want {
					t.Errorf("title %q, want %q", a.attr["title"], want)
				}
			}
		}

		one := g.json("/" + link).Run
		if one == nil || one.Task != "orders.ship" || one.Result != "failure" || one.Error != errs.Message(errOrder) || len(one.TraceID) != 32 {
			t.Fatalf("%s is %+v", link, one)
		}
		if len(one.Findings) != 1 || one.Findings[0].Kind != "repeated_statement" || one.Findings[0].Count != 30 {
			t.Errorf("findings = %+v", one.Findings)
		}
		// Eight statements of a text have a bar of their own, and the others one.
		if n := len(one.Bars); n != 1+8+1+1 {
			t.Fatalf("%d bars: %+v", n, one.Bars)
		}
		if fold := one.Bars[9]; fold.Summary != "SELECT items" || fold.Count != 22 || fold.Offset < 0.849 || fold.Offset > 0.851 || fold.Length < 2.149 || fold.Length > 2.151 {
			t.Errorf("the folded bar is %+v", fold)
		}
		if failed := one.Bars[10]; failed.Summary != "INSERT outbox" || failed.Errors != 1 || failed.Count != 1 {
			t.Errorf("the last bar is %+v", failed)
		}

		d = g.html("/" + link)
		if got := d.all("h1")[0].says(); got != "orders.ship 7 failure" {
			t.Errorf("h1 = %q", got)
		}
		says := d.all("main")[0].says()
		for _, want := range []string{
			"trace " + one.TraceID, errs.Message(errOrder), "repeated_statement SELECT items ran 30 times",
			"SELECT items × 22", "took 3.00 s", "SELECT items WHERE id = ?",
		} {
			if !strings.Contains(says, want) {
				t.Errorf("no %q in %q", want, says)
			}
		}
		hatched := 0
		for _, r := range d.all("ol")[0].all("rect") {
			if r.attr["fill"] == "url(#hatch)" {
				hatched++
			}
		}
		if hatched != 1 {
			t.Errorf("%d hatched bars, want 1", hatched)
		}
		text := g.text("/" + link)
		for _, want := range []string{"result       failure, 3.00 s", "finding      repeated_statement: SELECT items ran 30 times", "SELECT items × 22", one.TraceID} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		for _, format := range []string{"html", "json", "text"} {
			for _, secret := range []string{"4711", "alice", "lost"} {
				for _, target := range []string{"/?view=recent", "/" + link, "/?view=statements"} {
					w := g.get(target+"&format="+format, "")
					if strings.Contains(w.Body.String(), secret) {
						t.Errorf("%s as %s has %q", target, format, secret)
					}
				}
			}
		}
	})
}

func TestStatements(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t)
		quick := func(ctx context.Context) error {
			for i := range 100 {
				d := time.Millisecond
				if i >= 90 {
					d = 100 * time.Millisecond
				}
				statement(ctx, "SELECT recipients", d, i == 0)
			}
			return nil
		}
		// What a task within another one does counts once.
		err := g.run("mail.all", func(ctx context.Context) error {
			statement(ctx, "UPDATE mails", 291*time.Millisecond, false)
			return g.runner.Run(ctx, "mail.send", quick)
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := g.start("mail.watch", func(ctx context.Context) { statement(ctx, "UPDATE mails", 9*time.Millisecond, false) })
		defer stop()

		s := g.json("/?view=statements").Statements
		if len(s) != 2 {
			t.Fatalf("statements = %+v", s)
		}
		a := s[0]
		if a.Summary != "SELECT recipients" || a.Count != 100 || a.Errors != 1 || a.Rows != 100 || !near(a.Total, 1.09, 1e-9) || a.Max != 0.1 {
			t.Errorf("%+v", a)
		}
		if !near(a.P50, 0.001, 0.125) || !near(a.P95, 0.1, 0.125) {
			t.Errorf("p50 = %v, p95 = %v, want 1 ms and 100 ms within an eighth", a.P50, a.P95)
		}
		if !near(a.Share, 1.09/1.39, 1e-9) || !slices.Equal(a.Tasks, []string{"mail.send"}) {
			t.Errorf("share %v of tasks %v", a.Share, a.Tasks)
		}
		if b := s[1]; b.Count != 2 || !near(b.Total, 0.3, 1e-9) || !slices.Equal(b.Tasks, []string{"mail.all", "mail.watch"}) {
			t.Errorf("%+v, want those of the running task too", b)
		}
		row := g.html("/?view=statements").rows(t, 0)[1]
		if want := []string{"SELECT recipients", "78 %", "1.09 s", "100", "1", "100"}; !slices.Equal(row[:6], want) || row[9] != "mail.send" {
			t.Errorf("row = %q, want %q", row, want)
		}
		if text := g.text("/?view=statements"); !regexp.MustCompile(`SELECT recipients +78 % +1\.09 s +100 `).MatchString(text) {
			t.Errorf("text =\n%s", text)
		}
	})
}

func near(got, want, part float64) bool { return got >= want*(1-part) && got <= want*(1+part) }

func TestSortAndFilter(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t)
		for i, name := range []string{"b", "c", "a"} {
			defer g.start(name, func(ctx context.Context) {
				for range i {
					statement(ctx, "SELECT "+name, time.Duration(i)*time.Millisecond, false)
				}
			}, worker.WithID("id-"+strings.ToUpper(name)))()
			time.Sleep(time.Second)
		}
		for sort, want := range map[string]string{
			"": "b c a", "task": "a b c", "-task": "c b a", "age": "a c b", "-age": "b c a", "-operations": "a c b", "nonsense": "b c a",
		} {
			d := g.html("/?view=running&sort=" + sort)
			var got []string
			for _, cell := range d.column(t, 0, "task") {
				got = append(got, cell[:1])
			}
			if strings.Join(got, " ") != want {
				t.Errorf("sorted by %q: %q, want %q", sort, got, want)
			}
		}
		// A click sorts, a second one turns that round, and the filter stays.
		d := g.html("/?view=running&q=id")
		click := func(head string) (aria string) {
			for _, th := range d.all("th") {
				if th.says() == head {
					d = g.html("/" + th.all("a")[0].attr["href"])
				}
			}
			for _, th := range d.all("th") {
				if th.says() == head {
					aria = th.attr["aria-sort"]
				}
			}
			return aria
		}
		if first, second := click("task"), click("task"); first != "ascending" || second != "descending" {
			t.Errorf("aria-sort after clicks: %q, %q", first, second)
		}
		if first := click("operations"); first != "descending" {
			t.Errorf("aria-sort = %q, want the largest first", first)
		}
		values := make(map[string]string)
		for _, in := range d.all("form")[0].all("input") {
			values[in.attr["name"]] = in.attr["value"]
		}
		if want := map[string]string{"view": "running", "sort": "-operations", "q": "id"}; fmt.Sprint(values) != fmt.Sprint(want) {
			t.Errorf("the form has %v, want %v", values, want)
		}
		if got := g.html("/?q=ID-c").column(t, 0, "task"); len(got) != 1 || got[0] != "c id-C" {
			t.Errorf("filtered: %q", got)
		}
		if says := g.html("/?q=%3Cb%3E").all("main")[0].says(); !strings.Contains(says, "No running task matches “<b>”.") {
			t.Errorf("the page says %q", says)
		}
		if s := g.json("/?view=statements&q=select+C").Statements; len(s) != 1 || s[0].Summary != "SELECT c" {
			t.Errorf("statements: %+v", s)
		}
	})
}

// The page works wherever it is mounted: its links have no path.
func TestMounts(t *testing.T) {
	g := newRig(t)
	if err := g.run("a", func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/tasks", g.page)
	mux.Handle("/tasks/", http.StripPrefix("/tasks", g.page))
	for _, mount := range []string{"/debug/tasks", "/tasks/", "/tasks/deep/er"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, mount+"?view=recent", nil)
		r.Header.Set("Accept", browser)
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", mount, w.Code)
		}
		d := parse(t, w.Body.String())
		links := 0
		for _, name := range []string{"a", "link", "script", "form"} {
			for _, n := range d.all(name) {
				for _, key := range []string{"href", "src", "action"} {
					if s, ok := n.attr[key]; ok {
						links++
						if !strings.HasPrefix(s, "?") && !strings.HasPrefix(s, "#") {
							t.Errorf("%s: %s %q is not relative", mount, key, s)
						}
					}
				}
			}
		}
		if links < 8 {
			t.Errorf("%s: only %d links", mount, links)
		}
	}
}

func TestHTTP(t *testing.T) {
	g := newRig(t)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodConnect} {
		if w := g.do(method, "/", browser); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
	for accept, want := range map[string]string{
		"": "text/plain; charset=utf-8", "*/*": "text/plain; charset=utf-8", browser: "text/html; charset=utf-8",
		"application/json": "application/json", "application/*": "application/json", "text/*;q=0.1, application/json;q=0.2": "application/json",
		"image/png": "text/plain; charset=utf-8", "text/html;q=0, */*": "text/plain; charset=utf-8", "TEXT/HTML": "text/html; charset=utf-8",
	} {
		w := g.get("/", accept)
		if got := w.Header().Get("Content-Type"); got != want || w.Code != http.StatusOK {
			t.Errorf("Accept %q: %d, %q, want %q", accept, w.Code, got, want)
		}
		for key, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":  "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-store", "Vary": "Accept", "Content-Length": fmt.Sprint(w.Body.Len()),
		} {
			if got := w.Header().Get(key); got != want {
				t.Errorf("Accept %q: %s is %q, want %q", accept, key, got, want)
			}
		}
	}
	for _, target := range []string{"/?view=secret", "/?run=99", "/?run=x", "/?view=run", "/?asset=page.html", "/?asset=../doc.go"} {
		for _, accept := range []string{browser, "application/json", "*/*"} {
			if w := g.get(target, accept); w.Code != http.StatusNotFound || w.Body.Len() == 0 {
				t.Errorf("%s as %s: %d %q", target, accept, w.Code, w.Body)
			}
		}
	}
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "script.js": "text/javascript; charset=utf-8"} {
		w := g.get("/?asset="+name, "*/*")
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != kind || w.Body.Len() < 500 {
			t.Errorf("%s: %d, %q, %d bytes", name, w.Code, w.Header().Get("Content-Type"), w.Body.Len())
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?asset="+name, nil)
		r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		again := httptest.NewRecorder()
		g.page.ServeHTTP(again, r)
		if again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s again: %d", name, again.Code)
		}
	}
	if w := g.do(http.MethodHead, "/", browser); w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
	// What the policy forbids is not there.
	body := g.get("/", browser).Body.String()
	d := parse(t, body)
	for _, n := range d.all("script") {
		if n.says() != "" || n.attr["src"] == "" {
			t.Error("there is an inline script")
		}
	}
	if strings.Contains(body, "style=") || strings.Contains(body, " onclick") || len(d.all("style")) > 0 || strings.Contains(body, "://") {
		t.Error("there is inline style, an inline handler or an absolute URL")
	}
	if refresh := d.all("noscript"); len(refresh) != 1 {
		t.Error("without script the page is not refreshed")
	}
}

// Names and ids are what callers choose: they are text, and nothing else.
func TestHostileTexts(t *testing.T) {
	g := newRig(t)
	hostile := "<script>alert(1)</script>\x1b[2J\n\"'&\xff"
	err := g.run(hostile, func(ctx context.Context) error {
		statement(ctx, hostile, time.Millisecond, false)
		return nil
	}, worker.WithID(hostile))
	if err != nil {
		t.Fatal(err)
	}
	stop := g.start(hostile, func(ctx context.Context) { statement(ctx, hostile, time.Millisecond, false) }, worker.WithID(hostile))
	defer stop()
	for _, target := range []string{"/", "/?view=recent", "/?view=statements", "/?run=1"} {
		d := g.html(target)
		if n := len(d.all("script")); n != 1 {
			t.Errorf("%s: %d scripts, want the page's own", target, n)
		}
		if text := g.text(target); strings.Contains(text, "\x1b") {
			t.Errorf("%s: an escape reaches the terminal", target)
		}
		_ = g.json(target)
	}
}

// Failed and slow runs, and those with findings, stay longer than plain ones.
func TestRetention(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, worker.WithRepeatedStatements(3))
		run := func(d time.Duration, err error, statements int) {
			got := g.run("a", func(ctx context.Context) error {
				for range statements {
					statement(ctx, "SELECT a", time.Millisecond, false)
				}
				time.Sleep(d)
				return err
			})
			if !errors.Is(got, err) {
				t.Fatal(got)
			}
		}
		run(time.Second, errOrder, 0) // 1: failed
		run(time.Hour, nil, 0)        // 2: slow
		run(time.Second, nil, 5)      // 3: with a finding
		for range 200 {
			run(time.Second, nil, 0)
		}
		p := g.json("/?view=recent")
		var ids []uint64
		for _, r := range p.Runs {
			ids = append(ids, r.Run)
		}
		if len(ids) > 20 || !slices.Contains(ids, 1) || !slices.Contains(ids, 2) || !slices.Contains(ids, 3) || !slices.Contains(ids, 203) {
			t.Errorf("kept: %v, want 1, 2, 3 and the last ones", ids)
		}
		if p.Tasks[0].Count != 203 || p.Tasks[0].Results["failure"] != 1 || len(p.Tasks[0].Last) != 20 {
			t.Errorf("task = %+v", p.Tasks[0])
		}
		for range 100 {
			run(time.Second, errOrder, 0)
		}
		if n := len(g.json("/?view=recent").Runs); n != 20 {
			t.Errorf("%d runs are kept, want 20", n)
		}
	})
}

// heap returns how many bytes of the heap are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// promised returns a figure of the documentation, which has to be the same in the
// package's own and in the page.
func promised(t *testing.T, pattern string) int64 {
	t.Helper()
	var figures []string
	for _, name := range []string{"doc.go", "../../docs/taskz.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "\n//", "\n")), " ")
		match := regexp.MustCompile(pattern).FindStringSubmatch(words)
		if match == nil {
			t.Fatalf("%s has no %q", name, pattern)
		}
		figures = append(figures, match[1])
	}
	if figures[0] != figures[1] {
		t.Fatalf("doc.go and docs/taskz.md differ: %q", figures)
	}
	n, err := strconv.ParseInt(figures[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// At 100 runs a second for ten seconds, each as big as runs get and with texts of
// its own, the heap grows by no more than the documentation says.
func TestMemory(t *testing.T) {
	limit := promised(t, `at most (\d+) MiB`) << 20
	for _, length := range []int{5, 1000} {
		t.Run(fmt.Sprint(length), func(t *testing.T) { testMemory(t, length, limit) })
	}
}

func testMemory(t *testing.T, length int, limit int64) {
	g := newRig(t, worker.WithRepeatedStatements(2))
	before := heap()
	for i := range 1000 {
		name := fmt.Sprintf("task.%d", i%64)
		err := g.run(name, func(ctx context.Context) error {
			for j := range 220 {
				statement(ctx, fmt.Sprintf("SELECT t%d_%d_%s", i, j, strings.Repeat("x", length)), time.Millisecond, j%50 == 0)
				if j%20 == 0 {
					statement(ctx, "SELECT shared", time.Millisecond, false)
				}
			}
			return errOrder
		}, worker.WithID(fmt.Sprint(i)))
		if !errors.Is(err, errOrder) {
			t.Fatal(err)
		}
	}
	grown := heap() - before
	t.Logf("heap grown by %.1f MiB", float64(grown)/(1<<20))
	if grown > limit {
		t.Errorf("the heap has grown by %d bytes, want at most %d", grown, limit)
	}
	for i := range 10 { // more names than there is room for
		if err := g.run(fmt.Sprintf("more.%d", i), func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	p := g.json("/?view=recent")
	if len(p.Tasks) != 64 || p.Evicted == 0 {
		t.Errorf("%d tasks, %d evicted: want 64, and the limit to be reached", len(p.Tasks), p.Evicted)
	}
	if s := g.json("/?view=statements").Statements; len(s) != 1001 {
		t.Errorf("%d summaries, want 1,000 and one for the others", len(s))
	}
	one := g.json(fmt.Sprintf("/?run=%d", p.Runs[50].Run)).Run
	if len(one.Bars) > 200 || len(one.Statements) > 200 || one.More == 0 {
		t.Errorf("%d bars, %d statements, %d more", len(one.Bars), len(one.Statements), one.More)
	}
	runtime.KeepAlive(g)
}

// A running task keeps no more than the documentation says, in addition to what it
// keeps without a page.
func TestMemoryOfRunningTask(t *testing.T) {
	limit := promised(t, `a running task keeps up to (\d+) KiB`) << 10
	texts := make([]ledger.Text, 300)
	for i := range texts {
		texts[i] = ledger.Text{Summary: fmt.Sprint("SELECT t", i), SQL: fmt.Sprint("SELECT 1 FROM t", i), Hash: uint64(i + 1), Statement: true}
	}
	const tasks = 20
	grown := func(g *rig) int64 {
		before := heap()
		var stops []func()
		for i := range tasks {
			stops = append(stops, g.start(fmt.Sprint("task", i), func(ctx context.Context) {
				for range 10 {
					for j := range texts {
						ledger.FromContext(ctx).Record(ledger.Entry{Text: &texts[j], Duration: time.Millisecond})
					}
				}
			}))
		}
		after := heap()
		for _, stop := range stops {
			stop()
		}
		return after - before
	}
	g := newRig(t)
	with := grown(g)
	if err := g.page.Close(); err != nil {
		t.Fatal(err)
	}
	without := grown(g)
	more := (with - without) / tasks
	t.Logf("%.1f KiB a task, without a page %.1f KiB", float64(more)/1024, float64(without)/tasks/1024)
	if more > limit {
		t.Errorf("a running task keeps %d bytes more, want at most %d", more, limit)
	}
	if more < limit/2 {
		t.Errorf("a running task keeps %d bytes more: the documentation says %d", more, limit)
	}
}

func TestConcurrent(t *testing.T) {
	g := newRig(t)
	var readers, tasks sync.WaitGroup
	done := make(chan struct{})
	for _, target := range []string{"/", "/?view=recent", "/?view=statements", "/?run=3"} {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					g.page.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(context.Background(), http.MethodGet, target, nil))
				}
			}
		})
	}
	for i := range 4 {
		tasks.Go(func() {
			for range 100 {
				err := g.runner.Run(context.Background(), fmt.Sprint("task", i), func(ctx context.Context) error {
					worker.Progress(ctx, 1, 2)
					for range 20 {
						statement(ctx, "SELECT a", time.Microsecond, false)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	tasks.Wait()
	close(done)
	readers.Wait()
	if s := g.json("/?view=statements").Statements; len(s) != 1 || s[0].Count != 8000 {
		t.Errorf("statements = %+v, want 8,000", s)
	}
}

func TestClose(t *testing.T) {
	g := newRig(t)
	nothing := func(context.Context) error { return nil }
	if err := g.run("before", nothing); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.page.Close(), g.page.Close(), g.run("after", nothing)); err != nil {
		t.Fatal(err)
	}
	if p := g.json("/?view=recent"); len(p.Tasks) != 1 || p.Tasks[0].Task != "before" {
		t.Errorf("tasks = %+v, want those from before Close alone", p.Tasks)
	}
}

// The zero runner, nil options and the default runner do.
func TestDefault(t *testing.T) {
	r, err := worker.New()
	if err != nil {
		t.Fatal(err)
	}
	worker.SetDefault(r)
	defer worker.SetDefault(nil)
	for _, runner := range []*worker.Runner{nil, new(worker.Runner)} {
		page := taskz.New(runner, nil, taskz.WithRefresh(-1), taskz.WithTitle("\xff"))
		err := worker.Run(t.Context(), "a", func(context.Context) error {
			w := httptest.NewRecorder()
			page.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			if !strings.Contains(w.Body.String(), "\n1    a ") {
				t.Errorf("the page is\n%s", w.Body)
			}
			return nil
		})
		if err := errors.Join(err, page.Close()); err != nil {
			t.Error(err)
		}
	}
	if err := r.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
