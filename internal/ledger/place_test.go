package ledger

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// epoch is the time of the tests here: at(3) is three seconds later.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

// seen returns what a snapshot says is open, a line each.
func seen(s Snapshot) (out []string) {
	for _, a := range s.InProgress {
		out = append(out, fmt.Sprintf("%s since %v", a.Summary, a.Since.Sub(epoch)))
	}
	for _, h := range s.Held {
		kind := "rows"
		if h.Transaction {
			kind = "transaction"
		}
		out = append(out, fmt.Sprintf("%s %s since %v, idle %v", kind, h.Summary, h.Since.Sub(epoch), h.Idle))
	}
	return out
}

func wantOpen(t *testing.T, l *Ledger, now time.Time, want ...string) {
	t.Helper()
	if got := seen(l.Snapshot(now)); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", l.Task(), got, want)
	}
}

// A snapshot of a task has what was opened in it and in the tasks within it.
func TestSnapshot(t *testing.T) {
	outer := New(nil, "outer")
	inner, other := New(outer, "inner"), New(outer, "other")
	var exec, begun Place
	var tx Transaction
	open := &rows{summary: "SELECT a"}

	inner.BeginTransaction(&tx, text("BEGIN"), at(1), at(1), open)
	inner.Begin(&open.Place, &tx, text("SELECT a"), at(1), 2*time.Second)
	other.Begin(&exec, nil, text("INSERT b"), epoch, 2*time.Second)
	outer.Begin(&begun, nil, &Text{Summary: "CONNECT"}, at(4), 0)
	wantOpen(t, outer, at(5), "INSERT b since 2s", "SELECT a since 3s", "CONNECT since 4s", "transaction SELECT a since 1s, idle 2s")
	wantOpen(t, other, at(5), "INSERT b since 2s")
	wantOpen(t, inner, at(5), "SELECT a since 3s", "transaction SELECT a since 1s, idle 2s")

	open.Hold(open)
	wantOpen(t, inner, at(5), "transaction SELECT a since 1s, idle 2s", "rows SELECT a since 3s, idle 0s")
	open.MayHold(open) // is not known to
	wantOpen(t, inner, at(5), "SELECT a since 3s", "transaction SELECT a since 1s, idle 2s")
	inner.End(&open.Place, Entry{Text: text("SELECT a"), Length: 3 * time.Second})
	wantOpen(t, inner, at(10), "transaction SELECT a since 1s, idle 6s")

	// Around a task that has ended, its own is still open.
	inner.EndTask()
	outer.EndTask()
	wantOpen(t, outer, at(10))
	wantOpen(t, inner, at(10))
	wantOpen(t, other, at(10), "INSERT b since 2s")
	other.End(&exec, Entry{Text: text("INSERT b")})
	begun.Leave()
	wantOpen(t, other, at(10))
}

// Idle is the time in which no operation of a transaction is open, and the
// innermost task that runs judges it.
func TestIdleTransaction(t *testing.T) {
	limit := &Limits{IdleTransactions: 5 * time.Second}
	var outer, inner, lenient Ledger
	outer.Init(nil, Config{Task: "outer", Limits: limit})
	inner.Init(&outer, Config{Task: "inner", Limits: limit})
	lenient.Init(&outer, Config{Task: "lenient"})

	run := func(l *Ledger, gaps ...int) {
		var tx Transaction
		var rows, exec Place
		l.BeginTransaction(&tx, text("BEGIN"), at(0), at(0), nil)
		now := 0
		for _, gap := range gaps {
			now += gap
			// Two operations side by side, of one second and of three.
			l.Begin(&rows, &tx, text("SELECT a"), at(now-1), time.Second)
			(*Ledger)(nil).Begin(&exec, &tx, text("UPDATE a"), at(now+1), 0)
			(*Ledger)(nil).End(&exec, Entry{Length: time.Second})
			now += 3
			l.End(&rows, Entry{Text: text("SELECT a"), Length: 3 * time.Second})
		}
		tx.End(at(now + 1))
		tx.End(at(now + 100)) // does nothing
	}
	want := func(l *Ledger, want ...string) {
		t.Helper()
		var got []string
		var sum int64
		for _, x := range l.Idle() {
			sum += x.Count
			if x.Site == nil {
				t.Error("an idle transaction is not located")
			}
			got = append(got, fmt.Sprint(x.Summary, " ", x.Count, " ", x.Longest))
		}
		if !slices.Equal(got, want) || l.Totals().Idle != sum {
			t.Errorf("%s: %q, want %q", l.Task(), got, want)
		}
	}
	run(&inner, 1, 2)
	want(&inner)
	run(&inner, 2, 2)
	want(&inner, "UPDATE a 1 5s")
	run(&inner, 2, 20)
	run(&inner)
	want(&inner, "UPDATE a 2 23s")
	run(&lenient, 100)
	want(&lenient)
	inner.EndTask()
	run(&inner, 10) // outer's to judge
	want(&inner, "UPDATE a 2 23s")
	want(&outer, "UPDATE a 1 11s")

	// Without a statement it is known by its BEGIN, and outside of tasks by nobody.
	var tx Transaction
	outer.BeginTransaction(&tx, text("BEGIN"), at(0), at(0), nil)
	tx.End(at(7))
	want(&outer, "UPDATE a 1 11s", "BEGIN 1 7s")
	new(Transaction).End(at(7))
}

// LocateLeaks locates the first leak of a kind too, after any number of calls.
func TestLocateLeaks(t *testing.T) {
	sites := func(summary string) (located int) {
		l := New(nil, "load")
		for range maxCalls + 1 {
			r := &rows{summary: summary}
			l.Begin(&r.Place, nil, text(r.summary), at(0), 0)
			if r.site != nil {
				located++
			}
			r.Leave()
		}
		return located
	}
	stop := LocateLeaks()
	other := LocateLeaks()
	other()
	other()
	if n := sites("SELECT located leaks"); n != maxCalls+1 {
		t.Errorf("%d calls are located, want all %d", n, maxCalls+1)
	}
	stop()
	if n := sites("SELECT located leaks"); n != 0 {
		t.Errorf("%d calls are located after stop", n)
	}
}

// leakSites counts the runs of TestLeakSites.
var leakSites atomic.Int64

// Transactions and rows are leaks if nobody is closing them, and located once such
// a one has leaked before.
func TestLeakSites(t *testing.T) {
	query := fmt.Sprint("SELECT leak sites ", leakSites.Add(1)) // the process knows what has leaked
	for _, located := range []bool{false, true} {
		l := New(nil, "load")
		var tx, done Transaction
		open, closing := &rows{summary: query}, &rows{gone: true}
		l.BeginTransaction(&tx, text("BEGIN"), at(0), at(0), open)
		l.BeginTransaction(&done, text("BEGIN"), at(0), at(0), closing)
		var exec Place
		l.Begin(&exec, &tx, text("UPDATE leak sites"), at(0), 0)
		l.End(&exec, Entry{Text: text("UPDATE leak sites")})
		open.open(l)
		leaks := l.EndTask()
		if len(leaks) != 2 || !leaks[0].Transaction || leaks[0].Summary != "UPDATE leak sites" || leaks[1].Transaction || leaks[1].Summary != query {
			t.Fatalf("%v", leaks)
		}
		for _, leak := range leaks {
			// Other tests leak transactions too.
			if (leak.Site != nil) != located && !leak.Transaction || leak.Site == nil && located {
				t.Errorf("%s: located is %v", leak.Summary, leak.Site != nil)
			}
		}
		tx.End(at(1))
		done.End(at(1))
	}

	// A task remembers so many calls and no more.
	l := New(nil, "load")
	n := 0
	for range 2 * maxCalls {
		r := &rows{summary: query}
		l.Begin(&r.Place, nil, text(r.summary), at(0), 0)
		if r.site != nil {
			n++
		}
		r.Leave()
	}
	if n != maxCalls {
		t.Errorf("%d calls were remembered", n)
	}
}

// A statement that has run often enough to be a finding at its next call is
// watched, and nothing else is.
func TestWatched(t *testing.T) {
	limits := &Limits{RepeatedStatements: 3}
	var outer, inner Ledger
	outer.Init(nil, Config{Task: "outer", Limits: limits})
	inner.Init(&outer, Config{Task: "inner", Limits: limits})
	run := func(l *Ledger, summary string) {
		var p Place
		l.Begin(&p, nil, text(summary), at(0), 0)
		l.End(&p, stmt(summary, 1))
	}
	watched := func(want string) {
		t.Helper()
		if got := fmt.Sprint(outer.watched.Load(), inner.watched.Load()); got != want {
			t.Errorf("watched %s, want %s", got, want)
		}
	}
	sites := func(l *Ledger) (n int) {
		for _, s := range l.Repeated(3) {
			if s.Site != nil {
				n++
			}
		}
		return n
	}
	run(&outer, "SELECT watched")
	watched("false false")
	run(&inner, "SELECT watched")
	watched("true false")
	run(&inner, "SELECT other")
	watched("true false")
	run(&inner, "SELECT watched")
	watched("false true")
	run(&inner, "SELECT other")
	watched("true true")
	run(&inner, "SELECT watched")
	watched("true true") // other is
	run(&inner, "SELECT other")
	watched("false false")
	if sites(&outer) != 2 || sites(&inner) != 2 {
		t.Errorf("%d and %d statements are located", sites(&outer), sites(&inner))
	}
	if got := inner.TakeRepeated(3); len(got) != 2 {
		t.Errorf("%v", got)
	}
	for range 5 {
		run(&outer, "SELECT watched")
	}
	if got := outer.Repeated(3); len(got) != 1 || got[0].Count != 6 || got[0].Site == nil {
		t.Errorf("%v", got)
	}
	// One that makes room for another is watched no longer.
	limits = &Limits{RepeatedStatements: 2}
	l := new(Ledger)
	l.Init(nil, Config{Limits: limits})
	for i := range 3 * MaxStatements {
		run(l, fmt.Sprint("SELECT ", i))
	}
	if l.books.watched != MaxStatements {
		t.Errorf("%d statements are watched", l.books.watched)
	}
}

func TestWaits(t *testing.T) {
	outer := New(nil, "outer")
	inner := New(outer, "inner")
	inner.Waited("a", 400*time.Millisecond)
	inner.Waited("b", 2*time.Second)
	inner.Waited("a", 700*time.Millisecond)
	inner.Waited("a", 0)
	outer.Waited("c", 999*time.Millisecond)
	want := func(got []Wait, want ...string) {
		t.Helper()
		var is []string
		for _, w := range got {
			if w.Site == nil {
				t.Errorf("%s is not located", w.Pool)
			}
			is = append(is, fmt.Sprint(w.Pool, " ", w.Count, " ", w.Total, " ", w.Longest))
		}
		if !slices.Equal(is, want) {
			t.Errorf("%q, want %q", is, want)
		}
	}
	want(outer.LongWaits(), "b 1 2s 2s", "a 2 1.1s 700ms")
	want(inner.TakeLongWaits(), "b 1 2s 2s", "a 2 1.1s 700ms")
	inner.EndTask()
	inner.Waited("a", time.Second) // outer's alone
	want(outer.TakeLongWaits(), "a 3 1s 1s")
	if got, want := [...]time.Duration{inner.Totals().Wait, outer.Totals().Wait}, [...]time.Duration{3100 * time.Millisecond, 5099 * time.Millisecond}; got != want {
		t.Errorf("%v, want %v", got, want)
	}
	for i := range 2 * maxPools {
		outer.Waited(fmt.Sprint("pool ", i), 2*time.Second)
	}
	if n := len(outer.LongWaits()); n > maxPools {
		t.Errorf("%d pools", n)
	}
}

// Whatever is begun, held, left and ended, by however many goroutines in whatever
// tree of tasks: while tasks run, a snapshot shows each of a goroutine's own that
// is open, and once they have ended everything is off the lists, what was held has
// leaked once, and the root has counted every entry.
func TestConcurrentPlaces(t *testing.T) {
	for seed := range uint64(30) {
		root := New(nil, "root")
		var entries, leaked, ended atomic.Int64
		var wg sync.WaitGroup
		var tasks sync.WaitGroup
		end := func(l *Ledger) {
			for _, leak := range l.EndTask() {
				if !strings.HasPrefix(leak.Summary, "SELECT") {
					t.Errorf("%s leaked", leak.Summary)
				}
				ended.Add(1)
			}
		}
		var grow func(l *Ledger, depth int, rnd *rand.Rand)
		grow = func(l *Ledger, depth int, rnd *rand.Rand) {
			for range 1 + rnd.IntN(2) {
				rnd := rand.New(rand.NewPCG(seed, rnd.Uint64()))
				wg.Go(func() {
					var conn Place
					for i := range 20 {
						r := &rows{summary: fmt.Sprint("SELECT ", i%5)}
						now := at(i)
						l.Begin(&conn, nil, text("INSERT a"), now, 0)
						if i%7 == 0 {
							_ = l.Snapshot(now)
						}
						if rnd.IntN(4) == 0 {
							conn.Leave()
						} else {
							l.End(&conn, stmt("INSERT a", 1))
							entries.Add(1)
						}
						r.open(l)
						switch rnd.IntN(6) {
						case 0:
							if r.owner.Load() != nil {
								leaked.Add(1)
							}
						case 1:
							r.Leave()
						default:
							l.End(&r.Place, stmt(r.summary, 1))
							entries.Add(1)
						}
					}
				})
			}
			for range rnd.IntN(3) {
				if depth < 3 {
					inner := New(l, "inner")
					grow(inner, depth+1, rand.New(rand.NewPCG(seed, rnd.Uint64())))
					tasks.Go(func() { end(inner) }) // while its goroutines still run
				}
			}
		}
		grow(root, 0, rand.New(rand.NewPCG(seed, 0)))
		tasks.Wait()
		wg.Wait()
		if got := root.Totals().Operations; got != entries.Load() {
			t.Errorf("seed %d: %d operations, want %d", seed, got, entries.Load())
		}
		if got := len(root.Snapshot(at(0)).Held); int64(got) != leaked.Load() {
			t.Errorf("seed %d: %d are held, want %d", seed, got, leaked.Load())
		}
		end(root)
		if ended.Load() != leaked.Load() || root.first != nil || root.newest != nil {
			t.Errorf("seed %d: %d leaks, want %d", seed, ended.Load(), leaked.Load())
		}
	}
}

// A query that is in progress when its task ends is nobody's leak, whenever it
// returns its rows.
func TestEndWhileInProgress(t *testing.T) {
	for range 500 {
		l := New(nil, "load")
		r := &rows{summary: "SELECT a"}
		l.Begin(&r.Place, nil, text("SELECT a"), at(0), 0)
		var wg sync.WaitGroup
		var leaks []Leak
		wg.Go(func() { leaks = l.EndTask() })
		wg.Go(func() { r.Hold(r) })
		wg.Wait()
		if len(leaks) != r.ended {
			t.Fatalf("%d leaks, ended %d times", len(leaks), r.ended)
		}
		r.Leave()
		other := New(nil, "other")
		r.ended = 0
		other.Begin(&r.Place, nil, text("SELECT a"), at(0), 0)
		if got := seen(other.Snapshot(at(0))); !reflect.DeepEqual(got, []string{"SELECT a since 0s"}) {
			t.Fatalf("used again: %q", got)
		}
		if got := other.EndTask(); got != nil || r.ended != 0 {
			t.Fatalf("in progress, and a leak: %v", got)
		}
	}
}
