package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	textsMu sync.Mutex
	texts   = make(map[string]*Text)
)

// text returns the one text of that summary.
func text(summary string) *Text {
	textsMu.Lock()
	defer textsMu.Unlock()
	t := texts[summary]
	if t == nil {
		t = &Text{Summary: summary, SQL: summary + " WHERE id = ?", Hash: uint64(len(texts) + 1), Statement: true}
		texts[summary] = t
	}
	return t
}

func stmt(summary string, d time.Duration) Entry {
	return Entry{Text: text(summary), Rows: 2, Duration: d}
}

func wantTotals(t *testing.T, l *Ledger, want Totals) {
	t.Helper()
	if got := l.Totals(); got != want {
		t.Errorf("%s: totals %+v, want %+v", l.Task(), got, want)
	}
}

func TestRecord(t *testing.T) {
	l := New(nil, "load")
	l.Record(Entry{Duration: time.Millisecond})
	l.Record(Entry{Text: text("SELECT a"), Rows: 3, Duration: 2 * time.Millisecond})
	l.Record(Entry{Text: text("INSERT a"), Failed: true, Duration: 4 * time.Millisecond})
	wantTotals(t, l, Totals{Operations: 3, Statements: 2, Errors: 1, Rows: 3, Duration: 7 * time.Millisecond})
}

func TestNil(t *testing.T) {
	var l *Ledger
	l.Record(stmt("SELECT a", 1))
	r := new(rows)
	r.open(l)
	l.End(&r.Place, stmt("SELECT a", 1))
	r.open(l)
	r.Leave()
	l.BeginTransaction(new(Transaction), text("BEGIN"), time.Time{}, time.Time{}, r)
	l.Waited("pool", time.Hour)
	wantTotals(t, l, Totals{})
	if got := FromContext(context.Background()); got != nil {
		t.Errorf("FromContext: %v", got)
	}
	if l.Task() != "" || l.Owner() != nil || l.Outermost() || l.Innermost() != nil || l.Within(l) ||
		l.EndTask() != nil || l.Repeated(1) != nil || l.TakeRepeated(1) != nil || l.Slow() != nil ||
		l.Statements() != nil || l.Idle() != nil || l.TakeLongWaits() != nil || !reflect.DeepEqual(l.Snapshot(time.Time{}), Snapshot{}) {
		t.Error("a nil ledger holds something")
	}
}

func TestNested(t *testing.T) {
	outer := New(nil, "outer")
	inner := New(outer, "inner")
	innermost := New(inner, "innermost")
	innermost.Record(stmt("SELECT a", 1))
	inner.Record(stmt("SELECT b", 2))
	outer.Record(stmt("SELECT c", 4))
	wantTotals(t, innermost, Totals{Operations: 1, Statements: 1, Rows: 2, Duration: 1})
	wantTotals(t, inner, Totals{Operations: 2, Statements: 2, Rows: 4, Duration: 3})
	wantTotals(t, outer, Totals{Operations: 3, Statements: 3, Rows: 6, Duration: 7})
	if !outer.Outermost() || inner.Outermost() || innermost.Outermost() {
		t.Error("outer alone is outermost")
	}
	if !innermost.Within(outer) || !inner.Within(inner) || outer.Within(inner) {
		t.Error("innermost is within outer, inner within itself, and outer not within inner")
	}
	innermost.EndTask()
	if innermost.Innermost() != inner || inner.Innermost() != inner {
		t.Error("of what has ended, the running task around it is the innermost")
	}
	inner.EndTask()
	outer.EndTask()
	if got := innermost.Innermost(); got != nil {
		t.Errorf("Innermost: %v", got)
	}
}

// What is recorded once a task has ended counts in the tasks around it alone.
func TestLateWriter(t *testing.T) {
	outer := New(nil, "outer")
	inner := New(outer, "inner")
	inner.Record(stmt("SELECT a", 1))
	inner.EndTask()
	inner.Record(stmt("SELECT a", 2))
	wantTotals(t, inner, Totals{Operations: 1, Statements: 1, Rows: 2, Duration: 1})
	wantTotals(t, outer, Totals{Operations: 2, Statements: 2, Rows: 4, Duration: 3})
	outer.EndTask()
	inner.Record(stmt("SELECT a", 4))
	wantTotals(t, outer, Totals{Operations: 2, Statements: 2, Rows: 4, Duration: 3})
}

func TestContext(t *testing.T) {
	type key struct{}
	parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
	cause := errors.New("cause")

	bound := New(nil, "load")
	for name, tc := range map[string]struct {
		ledger *Ledger
		ctx    context.Context
	}{
		"NewContext": {bound, NewContext(parent, bound)},
		"Bind":       {bound, bound.Bind(parent)},
	} {
		t.Run(name, func(t *testing.T) {
			if FromContext(tc.ctx) != tc.ledger {
				t.Error("the context carries another ledger")
			}
			if tc.ctx.Value(key{}) != "value" {
				t.Error("the values of the parent are lost")
			}
			inner := New(tc.ledger, "inner")
			if got := FromContext(NewContext(tc.ctx, inner)); got != inner {
				t.Errorf("the inner context carries %v", got.Task())
			}
		})
	}
	if _, ok := bound.Context().Deadline(); ok {
		t.Error("a deadline out of nowhere")
	}
	if s := fmt.Sprint(bound.Context()); s != "context of task load" {
		t.Error(s)
	}
	if err := bound.Context().Err(); err != nil {
		t.Error(err)
	}
	child, stop := context.WithCancel(bound.Bind(parent))
	defer stop()
	cancel(cause)
	if child.Err() == nil || context.Cause(child) != cause {
		t.Errorf("child: %v, cause %v", child.Err(), context.Cause(child))
	}
}

func TestInit(t *testing.T) {
	owner := new(int)
	var l Ledger
	l.Init(New(nil, "outer"), Config{Task: "inner", Owner: owner})
	if l.Task() != "inner" || l.Owner() != owner || l.Outermost() {
		t.Errorf("%q %v", l.Task(), l.Owner())
	}
}

func repetitions(counts ...any) (out []Repetition) {
	for i := 0; i < len(counts); i += 2 {
		out = append(out, Repetition{Text: text(counts[i].(string)), Count: int64(counts[i+1].(int))})
	}
	return out
}

func TestRepeated(t *testing.T) {
	l := New(nil, "load")
	for summary, n := range map[string]int{"SELECT a": 3, "SELECT b": 5, "SELECT c": 3, "SELECT d": 2} {
		for range n {
			l.Record(stmt(summary, 0))
		}
	}
	for range 9 {
		l.Record(Entry{Text: &Text{Summary: "COPY a", Hash: 1 << 60, Statement: true, Batch: true}})
		l.Record(Entry{Text: &Text{Statement: true}}) // of which nothing is known
	}
	if got, want := l.Repeated(3), repetitions("SELECT b", 5, "SELECT a", 3, "SELECT c", 3); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := l.Repeated(100); got != nil {
		t.Errorf("got %v", got)
	}
}

// Two texts with one summary are two statements, and one text in two places is
// one.
func TestRepeatedByText(t *testing.T) {
	l := New(nil, "load")
	byID := &Text{Summary: "SELECT a", SQL: "SELECT * FROM a WHERE id = ?", Hash: 1<<60 + 1, Statement: true}
	again := *byID
	byName := &Text{Summary: "SELECT a", SQL: "SELECT * FROM a WHERE name = ?", Hash: 1<<60 + 2, Statement: true}
	for range 2 {
		for _, text := range []*Text{byID, &again, byName} {
			l.Record(Entry{Text: text, Rows: 1, Duration: 2, Failed: text == byName})
		}
	}
	if got := l.Repeated(3); len(got) != 1 || *got[0].Text != *byID || got[0].Count != 4 {
		t.Errorf("%v", got)
	}
	want := []Statement{{byID, 4, 0, 4, 8, 2}, {byName, 2, 2, 2, 4, 2}}
	if got := l.Statements(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

// What an inner task has reported is not reported again around it, unless
// there is more of it than that.
func TestTakeRepeated(t *testing.T) {
	outer := New(nil, "outer")
	record := func(l *Ledger, summary string, n int) {
		for range n {
			l.Record(stmt(summary, 0))
		}
	}
	for _, n := range []int{4, 2, 2} {
		inner := New(outer, "inner")
		record(inner, "SELECT a", n)
		record(inner, "SELECT b", 1)
		inner.EndTask()
		var want []Repetition
		if n == 4 {
			want = repetitions("SELECT a", 4)
		}
		if got := inner.TakeRepeated(4); !reflect.DeepEqual(got, want) {
			t.Errorf("inner %d: got %v, want %v", n, got, want)
		}
	}
	record(outer, "SELECT b", 2)
	want := repetitions("SELECT b", 5, "SELECT a", 4)
	if got := outer.TakeRepeated(4); !reflect.DeepEqual(got, want) {
		t.Errorf("outer: got %v, want %v", got, want)
	}
}

// unlocated takes the sites off, which must be known.
func unlocated(slow []SlowStatement) []SlowStatement {
	for i := range slow {
		if slow[i].Site == nil {
			slow[i].Count = -1
		}
		slow[i].Site = nil
	}
	return slow
}

func TestSlow(t *testing.T) {
	var outer, inner, last Ledger
	outer.Init(nil, Config{Task: "outer", Limits: &Limits{SlowStatements: 10}})
	inner.Init(&outer, Config{Task: "inner", Limits: &Limits{SlowStatements: 20}})
	last.Init(&inner, Config{Task: "last"})

	inner.Record(stmt("SELECT a", 20))
	inner.Record(stmt("SELECT a", 19))
	inner.Record(stmt("SELECT b", 30))
	inner.Record(stmt("SELECT b", 40))
	inner.Record(Entry{Duration: 99})
	last.Record(stmt("SELECT c", 50)) // has no threshold of its own
	outer.Record(stmt("SELECT d", 15))
	inner.EndTask()
	inner.Record(stmt("SELECT e", 10)) // late: outer's to judge

	if got, want := unlocated(inner.Slow()), []SlowStatement{{Text: text("SELECT b"), Count: 2, Slowest: 40}, {Text: text("SELECT a"), Count: 1, Slowest: 20}}; !reflect.DeepEqual(got, want) {
		t.Errorf("inner: got %v, want %v", got, want)
	}
	if got, want := unlocated(outer.Slow()), []SlowStatement{{Text: text("SELECT d"), Count: 1, Slowest: 15}, {Text: text("SELECT e"), Count: 1, Slowest: 10}}; !reflect.DeepEqual(got, want) {
		t.Errorf("outer: got %v, want %v", got, want)
	}
	if got := last.Slow(); got != nil {
		t.Errorf("last: got %v", got)
	}
}

func TestBounded(t *testing.T) {
	var l Ledger
	l.Init(nil, Config{Limits: &Limits{SlowStatements: 10}})
	for range 5 {
		l.Record(stmt("SELECT often", 1))
	}
	l.Record(stmt("SELECT slow", 10))
	const n = 100 * MaxStatements
	for i := range n {
		l.Record(stmt(fmt.Sprintf("SELECT t%d", i), 1))
	}
	// What ran once has made room, even for a loop over two texts.
	for range 3 {
		l.Record(stmt("SELECT late", 1))
		l.Record(stmt("SELECT later", 1))
	}
	if n := len(l.Statements()); n != MaxStatements || len(l.books.singles) != MaxStatements-4 {
		t.Errorf("%d texts, of which %d make room", n, len(l.books.singles))
	}
	if got, want := l.Repeated(2), repetitions("SELECT often", 5, "SELECT late", 3, "SELECT later", 3); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if got, want := unlocated(l.Slow()), []SlowStatement{{Text: text("SELECT slow"), Count: 1, Slowest: 10}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	wantTotals(t, &l, Totals{Operations: n + 12, Statements: n + 12, Rows: 2 * (n + 12), Duration: n + 21})

	// Once every text is to be kept, the others enter the totals alone.
	l = Ledger{}
	l.Init(nil, Config{Limits: &Limits{SlowStatements: 1}})
	for i := range 2 * MaxStatements {
		l.Record(stmt(fmt.Sprintf("SELECT t%d", i), 1))
	}
	if n := len(l.Slow()); n != MaxStatements || len(l.Statements()) != MaxStatements {
		t.Errorf("%d slow statements", n)
	}
	wantTotals(t, &l, Totals{Operations: 2 * MaxStatements, Statements: 2 * MaxStatements, Rows: 4 * MaxStatements, Duration: 2 * MaxStatements})
}

// A loop over more texts than there is room for finds some of them when it comes
// back.
func TestMoreTextsThanRoom(t *testing.T) {
	l := New(nil, "load")
	const texts, rounds = MaxStatements + MaxStatements/4, 50
	for range rounds {
		for i := range texts {
			l.Record(stmt(fmt.Sprintf("SELECT t%d", i), 1))
		}
	}
	if n := len(l.Repeated(rounds / 2)); n < MaxStatements*9/10 {
		t.Errorf("%d repeated texts were found", n)
	}
}

// rows is an open result set.
type rows struct {
	Place
	summary string
	read    int64
	gone    bool
	ended   int
	onEnd   func()
}

// open opens the rows in a task.
func (r *rows) open(l *Ledger) {
	l.Begin(&r.Place, nil, text(r.summary), time.Time{}, 0)
	r.Hold(r)
}

func (r *rows) EndLeaked() (int64, bool) {
	r.ended++
	if r.onEnd != nil {
		r.onEnd()
	}
	return r.read, !r.gone
}

// told returns what leaks tell, but for their sites.
func told(leaks []Leak) (out []string) {
	for _, l := range leaks {
		out = append(out, fmt.Sprint(l.Summary, " ", l.Rows))
	}
	return out
}

func TestLeaks(t *testing.T) {
	outer := New(nil, "outer")
	inner := New(outer, "inner")
	set := make([]*rows, 5)
	for i := range set {
		set[i] = &rows{summary: fmt.Sprint("SELECT ", i), read: int64(i)}
		set[i].open(inner)
	}
	set[1].open(inner) // a second time is no time
	set[3].gone = true
	set[4].onEnd = func() { inner.Record(stmt("SELECT 4", 1)) }
	set[0].Leave()
	set[0].Leave()
	if got := inner.EndTask(); got != nil {
		t.Errorf("rows may outlive an inner task: %v", got)
	}
	want := []string{"SELECT 1 1", "SELECT 2 2", "SELECT 4 4"}
	if got := told(outer.EndTask()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	wantTotals(t, outer, Totals{Operations: 1, Statements: 1, Rows: 2, Duration: 1})
	for i, r := range set {
		if want := min(i, 1); r.ended != want {
			t.Errorf("rows %d ended %d times", i, r.ended)
		}
		r.Leave()
	}
	late := new(rows)
	late.open(inner)
	if got := outer.EndTask(); got != nil || late.ended != 0 {
		t.Errorf("rows opened after the end: %v", got)
	}
}

// Rows of a task that outlives those around it are found when that one ends.
func TestLeaksOfOutliving(t *testing.T) {
	outer := New(nil, "outer")
	inner := New(outer, "inner")
	innermost := New(inner, "innermost")
	own, ended, running, closed := new(rows), new(rows), new(rows), new(rows)
	own.summary, ended.summary, running.summary = "own", "ended", "running"
	over := New(outer, "over")
	own.open(outer)
	ended.open(over)
	running.open(innermost)
	closed.open(innermost)
	over.EndTask()
	innermost.EndTask()
	if got, want := told(outer.EndTask()), []string{"own 0", "ended 0"}; !reflect.DeepEqual(got, want) {
		t.Errorf("outer: got %v, want %v", got, want)
	}
	closed.Leave()
	late := &rows{summary: "late"}
	late.open(innermost)
	if got, want := told(inner.EndTask()), []string{"running 0", "late 0"}; !reflect.DeepEqual(got, want) {
		t.Errorf("inner: got %v, want %v", got, want)
	}
	for _, l := range []*Ledger{outer, over, inner, innermost} {
		if l.first != nil || l.newest != nil || l.EndTask() != nil {
			t.Errorf("%s: rows are still listed", l.Task())
		}
	}
	if closed.ended != 0 || own.ended != 1 || ended.ended != 1 || running.ended != 1 || late.ended != 1 {
		t.Error("not every leak was ended once")
	}
}

// Rows that are opened and closed while the tasks around theirs end are found
// if they were not closed, and only then.
func TestConcurrentHandOn(t *testing.T) {
	for range 200 {
		chain := []*Ledger{New(nil, "outer")}
		for range 3 {
			chain = append(chain, New(chain[len(chain)-1], "inner"))
		}
		innermost := chain[len(chain)-1]
		kept, passing := make([]*rows, 8), make([]*rows, 8)
		var users, enders sync.WaitGroup
		for i := range kept {
			users.Go(func() {
				kept[i], passing[i] = new(rows), new(rows)
				kept[i].open(innermost)
				passing[i].open(innermost)
				passing[i].Leave()
			})
		}
		for _, l := range chain[:len(chain)-1] {
			enders.Go(func() {
				if got := l.EndTask(); got != nil {
					t.Errorf("%v leaked while a task within was running", got)
				}
			})
		}
		users.Wait()
		enders.Wait()
		if got := innermost.EndTask(); len(got) != len(kept) {
			t.Fatalf("%d leaks, want %d", len(got), len(kept))
		}
		for i := range kept {
			if kept[i].ended != 1 || passing[i].ended != 0 {
				t.Fatalf("ended %d and %d times", kept[i].ended, passing[i].ended)
			}
		}
	}
}

// Rows that were opened in one tree of tasks may be closed with the context of
// another, or without any.
func TestCloseElsewhere(t *testing.T) {
	a, b := New(nil, "a"), New(nil, "b")
	first, second, third := new(rows), new(rows), new(rows)
	for _, r := range []*rows{first, second, third} {
		r.open(a)
	}
	b.End(&second.Place, stmt("SELECT b", 1))
	third.Leave()
	if got := a.EndTask(); len(got) != 1 || first.ended != 1 || second.ended+third.ended != 0 {
		t.Errorf("%v", got)
	}
}

// End takes rows off whichever list they are in, and counts their
// operation in the task that it is called on and those around it.
func TestEnd(t *testing.T) {
	outer := New(nil, "outer")
	inner := New(outer, "inner")
	elsewhere := New(nil, "elsewhere")
	sets := [4]*rows{new(rows), new(rows), new(rows), new(rows)}
	sets[0].open(outer)
	sets[1].open(inner) // in outer's list
	sets[2].open(elsewhere)

	outer.End(&sets[0].Place, stmt("SELECT a", 1))
	inner.End(&sets[1].Place, stmt("SELECT b", 2))
	inner.End(&sets[2].Place, stmt("SELECT c", 4))
	inner.End(&sets[3].Place, stmt("SELECT d", 8)) // in no list
	(*Ledger)(nil).End(&sets[3].Place, stmt("SELECT e", 16))
	wantTotals(t, outer, Totals{Operations: 4, Statements: 4, Rows: 8, Duration: 15})
	wantTotals(t, inner, Totals{Operations: 3, Statements: 3, Rows: 6, Duration: 14})
	wantTotals(t, elsewhere, Totals{})
	for _, l := range []*Ledger{inner, outer, elsewhere} {
		if leaks := l.EndTask(); len(leaks) != 0 || l.first != nil || l.newest != nil {
			t.Errorf("%s: leaks %v", l.Task(), leaks)
		}
	}

	// The task is over, but the rows it handed on are not.
	around := New(nil, "around")
	within := New(around, "within")
	r := new(rows)
	r.open(within)
	around.EndTask()
	within.End(&r.Place, stmt("SELECT a", 1))
	if leaks := within.EndTask(); len(leaks) != 0 || r.ended != 0 {
		t.Errorf("leaks %v", leaks)
	}
	wantTotals(t, within, Totals{Operations: 1, Statements: 1, Rows: 2, Duration: 1})
	wantTotals(t, around, Totals{})
}

// A panic of a result set leaves the ledger final all the same.
func TestEndTaskPanics(t *testing.T) {
	l := New(nil, "load")
	r := &rows{onEnd: func() { panic("rows") }}
	r.open(l)
	func() {
		defer func() { _ = recover() }()
		l.EndTask()
	}()
	l.Record(stmt("SELECT a", 1))
	wantTotals(t, l, Totals{})
}

// Whatever tree of tasks runs, on however many goroutines, every ledger holds
// what was recorded below it until it ended, and the root all of it.
func TestConcurrentTree(t *testing.T) {
	for seed := range uint64(20) {
		root := New(nil, "root")
		rnd := rand.New(rand.NewPCG(seed, 1))
		var wg sync.WaitGroup
		var check []func()
		var grow func(l *Ledger, depth int) int64
		grow = func(l *Ledger, depth int) (total int64) {
			n := int64(rnd.IntN(50))
			wg.Go(func() {
				for i := range n {
					r := new(rows)
					r.open(l)
					e := Entry{Text: text(fmt.Sprint("SELECT ", i%7)), Rows: 1, Duration: 1, Failed: i%2 == 0}
					switch {
					case i%10 == 9:
						l.Record(e) // and leaks the rows
					case i%2 == 0:
						l.End(&r.Place, e)
					default:
						l.Record(e)
						r.Leave()
					}
					_ = l.Totals()
					_ = l.Repeated(5)
				}
			})
			total = n
			for range rnd.IntN(4) {
				if depth < 4 {
					total += grow(New(l, "inner"), depth+1)
				}
			}
			check = append(check, func() {
				got := l.Totals()
				if got.Operations != total || got.Statements != total || got.Rows != total || int64(got.Duration) != total {
					t.Errorf("seed %d: %+v, want %d of each", seed, got, total)
				}
			})
			return total
		}
		total := grow(root, 0)
		wg.Wait()
		for _, c := range check {
			c()
		}
		var counted int64
		for _, s := range root.Repeated(1) {
			if !strings.HasPrefix(s.Summary, "SELECT ") {
				t.Errorf("summary %q", s.Summary)
			}
			counted += s.Count
		}
		if counted != total {
			t.Errorf("seed %d: %d statements by summary, want %d", seed, counted, total)
		}
		root.EndTask()
		if root.first != nil || root.newest != nil {
			t.Errorf("seed %d: rows are still listed", seed)
		}
	}
}

// The end of a task, and rows that end by themselves at the same time, agree
// on who ended them.
func TestConcurrentEnd(t *testing.T) {
	for range 100 {
		l := New(nil, "load")
		var wg sync.WaitGroup
		sets := make([]*rows, 8)
		for i := range sets {
			sets[i] = new(rows)
			sets[i].open(l)
		}
		for _, r := range sets {
			wg.Go(func() { r.Leave() })
			wg.Go(func() {
				late := new(rows)
				late.open(l)
				l.End(&late.Place, stmt("SELECT a", 1))
			})
		}
		wg.Go(func() { l.EndTask() })
		wg.Wait()
		if l.first != nil || l.newest != nil {
			t.Fatal("rows are still listed")
		}
	}
}

func TestAllocs(t *testing.T) {
	outer := New(nil, "outer")
	inner := New(outer, "inner")
	ctx := inner.Bind(t.Context())
	r := new(rows)
	entries := []Entry{stmt("SELECT a", 1), stmt("SELECT b", 1), {Duration: 1}}
	allocs := testing.AllocsPerRun(1000, func() {
		l := FromContext(ctx)
		for _, e := range entries {
			l.Record(e)
		}
		r.open(l)
		r.Leave()
		r.open(l)
		l.End(&r.Place, entries[0])
		_ = l.Repeated(1 << 40)
		_ = l.Slow()
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkRecord(b *testing.B) {
	for name, depth := range map[string]int{"outermost": 1, "nested": 2} {
		b.Run(name, func(b *testing.B) {
			var l *Ledger
			for range depth {
				l = New(l, "task")
			}
			entries := make([]Entry, 16)
			for i := range entries {
				entries[i] = stmt(fmt.Sprintf("SELECT packages WHERE number %d", i), 1)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				l.Record(entries[i%len(entries)])
			}
		})
	}
	b.Run("same statement", func(b *testing.B) {
		l := New(nil, "task")
		e := stmt("SELECT packages", 1)
		for b.Loop() {
			l.Record(e)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		l := New(nil, "task")
		e := stmt("SELECT packages", 1)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				l.Record(e)
			}
		})
	})
}

// BenchmarkStatement is all that a statement that returns rows costs.
func BenchmarkStatement(b *testing.B) {
	l := New(nil, "task")
	ctx := l.Bind(context.WithValue(context.Background(), contextKey{}, nil))
	e, since := stmt("SELECT packages", 1), time.Now()
	r := new(rows)
	b.ReportAllocs()
	for b.Loop() {
		l := FromContext(ctx)
		l.Begin(&r.Place, nil, e.Text, since, 0)
		r.Hold(r)
		l.End(&r.Place, e)
	}
}

// BenchmarkExec is all that one costs that returns none.
func BenchmarkExec(b *testing.B) {
	l := New(nil, "task")
	ctx := l.Bind(context.WithValue(context.Background(), contextKey{}, nil))
	e, since := stmt("SELECT packages", 1), time.Now()
	var p Place
	b.ReportAllocs()
	for b.Loop() {
		l := FromContext(ctx)
		l.Begin(&p, nil, e.Text, since, 0)
		l.End(&p, e)
	}
}

// BenchmarkExecInTransaction is what one costs in a transaction.
func BenchmarkExecInTransaction(b *testing.B) {
	l := New(nil, "task")
	e, since := stmt("SELECT packages", 1), time.Now()
	var p Place
	var tx Transaction
	l.BeginTransaction(&tx, text("BEGIN"), since, since, new(rows))
	b.ReportAllocs()
	for b.Loop() {
		l.Begin(&p, &tx, e.Text, since, 0)
		l.End(&p, e)
	}
}

// The statements of a batch count, as no repetition of each other. Its time is its own.
func TestBatches(t *testing.T) {
	outer := New(nil, "outer")
	inner := New(outer, "inner")
	insert, remove := text("INSERT batched"), text("DELETE batched")
	whole := &Text{Summary: "BATCH", Hash: 1 << 60, Statement: true, Batch: true}
	inner.Record(Entry{Text: whole, Batch: []*Text{insert, insert, remove}, Rows: 4, Duration: time.Second, Failed: true})
	inner.Record(Entry{Text: remove, Duration: time.Millisecond})
	for _, l := range []*Ledger{outer, inner} {
		wantTotals(t, l, Totals{Operations: 2, Statements: 4, Errors: 1, Rows: 4, Duration: time.Second + time.Millisecond})
		counts := make(map[string]Statement)
		for _, s := range l.Statements() {
			counts[s.Summary] = s
		}
		want := map[string]Statement{
			"BATCH":          {Text: whole, Count: 1, Errors: 1, Rows: 4, Total: time.Second, Slowest: time.Second},
			"INSERT batched": {Text: insert, Count: 2},
			"DELETE batched": {Text: remove, Count: 2, Total: time.Millisecond, Slowest: time.Millisecond},
		}
		if !reflect.DeepEqual(counts, want) {
			t.Errorf("%s: %+v, want %+v", l.Task(), counts, want)
		}
		repeated := l.Repeated(1)
		if len(repeated) != 1 || repeated[0].Text != remove || repeated[0].Count != 1 {
			t.Errorf("%s: repeated: %+v", l.Task(), repeated)
		}
	}
}
