package taskz_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/taskz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a page of a runner of its own.
type rig struct {
	*testing.T
	runner *worker.Runner
	page   *taskz.Page
}

func newRig(t *testing.T, opts ...worker.Option) *rig {
	t.Helper()
	opts = append([]worker.Option{
		worker.WithLogger(slog.New(slog.DiscardHandler)), worker.WithTracerProvider(sdktrace.NewTracerProvider()),
	}, opts...)
	r, err := worker.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	page := taskz.New(r, taskz.WithTitle("billing"))
	t.Cleanup(func() {
		if err := errors.Join(page.Close(), r.Drain(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return &rig{t, r, page}
}

// run runs a task and returns its error.
func (g *rig) run(name string, f func(context.Context) error, opts ...worker.TaskOption) error {
	g.Helper()
	return g.runner.Run(g.Context(), name, f, opts...)
}

// start runs a task until stop is called.
func (g *rig) start(name string, f func(context.Context), opts ...worker.TaskOption) (stop func()) {
	g.Helper()
	began, end, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- g.runner.Run(context.Background(), name, func(ctx context.Context) error {
			f(ctx)
			close(began)
			<-end
			return nil
		}, opts...)
	}()
	<-began
	return func() {
		close(end)
		if err := <-ended; err != nil {
			g.Error(err)
		}
	}
}

// statement enters a statement into the ledger of the task in ctx.
func statement(ctx context.Context, summary string, d time.Duration, failed bool) {
	sql := summary + " WHERE id = ?"
	hash := fnv.New64()
	_, _ = io.WriteString(hash, sql)
	ledger.FromContext(ctx).Record(ledger.Entry{
		Text: &ledger.Text{Summary: summary, SQL: sql, Hash: hash.Sum64(), Statement: true},
		Rows: 1, Duration: d, Failed: failed,
	})
}

// get requests a path and query of the page, in a format that is accepted.
func (g *rig) get(target, accept string) *httptest.ResponseRecorder {
	g.Helper()
	return g.do(http.MethodGet, target, accept)
}

func (g *rig) do(method, target, accept string) *httptest.ResponseRecorder {
	g.Helper()
	r := httptest.NewRequestWithContext(g.Context(), method, target, nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	g.page.ServeHTTP(w, r)
	return w
}

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// html requests a page and parses it.
func (g *rig) html(target string) document {
	g.Helper()
	w := g.get(target, browser)
	if w.Code != http.StatusOK {
		g.Fatalf("%s: status %d", target, w.Code)
	}
	return parse(g.T, w.Body.String())
}

// json requests a page and decodes it.
func (g *rig) json(target string) (p answer) {
	g.Helper()
	w := g.get(target, "application/json")
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusOK {
		g.Fatalf("%s: status %d, %v: %s", target, w.Code, err, w.Body)
	}
	return p
}

// text requests a page as curl does.
func (g *rig) text(target string) string {
	g.Helper()
	return g.get(target, "*/*").Body.String()
}

// answer is what programs find in JSON.
type answer struct {
	Title, View string
	Running     []runJSON
	Runs        []runJSON
	Run         *runJSON
	Evicted     int64
	Tasks       []struct {
		Task    string
		Count   int64
		Results map[string]int64
		P50     float64 `json:"p50_seconds"`
		P95     float64 `json:"p95_seconds"`
		Last    []struct {
			Run    uint64
			Kept   bool
			Result string
		}
		Trouble *struct {
			Run           uint64
			Error, Result string
		}
	}
	Statements []struct {
		Summary             string
		Count, Errors, Rows int64
		Total               float64 `json:"total_seconds"`
		P50                 float64 `json:"p50_seconds"`
		P95                 float64 `json:"p95_seconds"`
		Max                 float64 `json:"max_seconds"`
		Share               float64
		Tasks               []string
	}
}

type runJSON struct {
	Run          uint64
	Task, ID     string
	Attempt      int
	MaxAttempts  int `json:"max_attempts"`
	Result       string
	Duration     float64 `json:"duration_seconds"`
	Operations   int64
	Errors, Rows int64
	Quiet        *float64 `json:"quiet_seconds"`
	Progress     *struct {
		Done, Total int64
		Percent     int
		Left        *float64 `json:"left_seconds"`
	}
	History *struct {
		Of    int
		P50   float64 `json:"p50_seconds"`
		Ratio float64
	}
	Error     string
	ErrorType string `json:"error_type"`
	TraceID   string `json:"trace_id"`
	Findings  []struct {
		Kind, Summary, Says string
		Count               int64
	}
	Bars []struct {
		Summary       string
		Count, Errors int64
		Offset        float64 `json:"offset_seconds"`
		Length        float64 `json:"length_seconds"`
	}
	Statements []struct {
		Summary string
		Count   int64
	}
	More int `json:"more_statements"`
}

// node is an element of a page.
type node struct {
	name     string
	attr     map[string]string
	children []*node
	text     string // of a text node
}

type document struct{ *node }

// parse parses HTML that is well-formed enough for encoding/xml to read it.
func parse(t *testing.T, s string) document {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(s))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	root := &node{}
	stack := []*node{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name.Local, attr: make(map[string]string)}
			for _, a := range token.Attr {
				n.attr[a.Name.Local] = a.Value
			}
			top.children = append(top.children, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.children = append(top.children, &node{text: string(token)})
		}
	}
	return document{root}
}

// all returns the elements of that name below n.
func (n *node) all(name string) (found []*node) {
	for _, c := range n.children {
		if c.name == name {
			found = append(found, c)
		}
		found = append(found, c.all(name)...)
	}
	return found
}

// says returns the text of n, its spaces collapsed.
func (n *node) says() string {
	var b strings.Builder
	n.write(&b)
	return strings.Join(strings.Fields(b.String()), " ")
}

func (n *node) write(b *strings.Builder) {
	b.WriteString(n.text)
	for _, c := range n.children {
		c.write(b)
	}
}

// rows returns the cells of the nth table, its head included.
func (d document) rows(t *testing.T, nth int) (rows [][]string) {
	t.Helper()
	tables := d.all("table")
	if nth >= len(tables) {
		t.Fatalf("there are %d tables, want more than %d", len(tables), nth)
	}
	for _, tr := range tables[nth].all("tr") {
		var cells []string
		for _, c := range tr.children {
			if c.name == "td" || c.name == "th" {
				cells = append(cells, c.says())
			}
		}
		rows = append(rows, cells)
	}
	return rows
}

// column returns the cells of a column of the nth table, by its head.
func (d document) column(t *testing.T, nth int, head string) (cells []string) {
	t.Helper()
	rows := d.rows(t, nth)
	at := slices.Index(rows[0], head)
	if at < 0 {
		t.Fatalf("no column %q among %q", head, rows[0])
	}
	for _, row := range rows[1:] {
		cells = append(cells, row[at])
	}
	return cells
}
