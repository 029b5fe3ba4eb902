package ledger

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func loggedText(i int) *Text {
	return &Text{Summary: fmt.Sprint("SELECT t", i), Hash: uint64(i + 1), Statement: true}
}

// Bars are single, then folded by text, then all in one; a failure has its own.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer KeepLogs()()
		l := New(nil, "a")
		began := time.Now()
		for i := range 20 {
			time.Sleep(10 * time.Millisecond)
			l.Record(Entry{Text: loggedText(0), Rows: 2, Duration: time.Millisecond, Length: 4 * time.Millisecond, Failed: i == 15})
		}
		log, ok := l.Log()
		if !ok || len(log.Bars) != singleBars+1+1 {
			t.Fatalf("%d bars, want %d of one statement, one folded, one failure: %v", len(log.Bars), singleBars, log.Bars)
		}
		if b := log.Bars[0]; b.Count != 1 || b.Start.Sub(began) != 6*time.Millisecond || b.End.Sub(b.Start) != 4*time.Millisecond || b.Total != time.Millisecond {
			t.Errorf("the first bar is %+v", b)
		}
		if b := log.Bars[8]; b.Count != 11 || b.Errors != 0 || b.Rows != 22 || b.Start.Sub(began) != 86*time.Millisecond || b.End.Sub(began) != 200*time.Millisecond {
			t.Errorf("the folded bar is %+v", b)
		}
		if b := log.Bars[9]; b.Count != 1 || b.Errors != 1 || b.End.Sub(began) != 160*time.Millisecond {
			t.Errorf("the failure is %+v", b)
		}
		if log.Last.Sub(began) != 200*time.Millisecond {
			t.Errorf("the last statement ended after %v", log.Last.Sub(began))
		}
		if n := len(log.Statements); n != 1 || log.Statements[0].Count != 20 || log.Statements[0].Errors != 1 || log.Statements[0].Total != 20*time.Millisecond {
			t.Errorf("statements = %+v", log.Statements)
		}
	})
}

func TestLogIsBounded(t *testing.T) {
	defer KeepLogs()()
	l := New(nil, "a")
	for i := range 1000 {
		l.Record(Entry{Text: loggedText(i), Failed: i%2 == 0})
	}
	log, _ := l.Log()
	if len(log.Bars) != MaxBars || len(log.Statements) != MaxLogged {
		t.Errorf("%d bars and %d statements", len(log.Bars), len(log.Statements))
	}
	var sum int64
	for _, b := range log.Bars {
		sum += b.Count
		if (b.Text == nil) != (b.Count > 1) {
			t.Errorf("bar %+v", b)
		}
	}
	if sum != 1000 {
		t.Errorf("the bars have %d statements, want 1,000", sum)
	}
}

// A ledger has a log if somebody wants one when its first statement ends, and the
// innermost running task alone counts a statement.
func TestLogIsKeptOnDemand(t *testing.T) {
	before := New(nil, "before")
	before.Record(Entry{Text: loggedText(0)})
	stop := KeepLogs()
	before.Record(Entry{Text: loggedText(0)})
	parent := New(nil, "parent")
	child := New(parent, "child")
	child.Record(Entry{Text: loggedText(0)})
	child.EndTask()
	stop()
	stop()
	after := New(nil, "after")
	after.Record(Entry{Text: loggedText(0)})
	for _, l := range []*Ledger{before, after, New(nil, "empty"), nil} {
		if log, ok := l.Log(); ok {
			t.Errorf("%s has a log: %+v", l.Task(), log)
		}
	}
	if log, ok := parent.Log(); !ok || len(log.Bars) != 1 || len(log.Statements) != 0 {
		t.Errorf("the parent's log is %+v, want the child's bar and nothing counted", log)
	}
	if log, ok := child.Log(); !ok || len(log.Bars) != 1 || len(log.Statements) != 1 {
		t.Errorf("the child's log is %+v", log)
	}
	if !child.Ended() || parent.Ended() {
		t.Error("Ended is wrong")
	}
}

func TestHistogram(t *testing.T) {
	for d := time.Duration(0); d < 2*time.Minute; d = d*101/100 + 1 {
		var h Histogram
		h.Add(d)
		for i, n := range h {
			lower, width := Bounds(i)
			if in := d >= lower && d < lower+width; in != (n == 1) {
				t.Fatalf("%v: bucket %d from %v to %v has %d", d, i, lower, lower+width, n)
			}
			if i >= 4 && width*4 > lower {
				t.Fatalf("bucket %d from %v is %v wide", i, lower, width)
			}
		}
	}
	var h Histogram
	h.Add(-1)
	h.Add(1 << 62)
	if h[0] != 1 || h[Buckets-1] != 1 {
		t.Error("durations out of range are not in the first and the last bucket")
	}
}

// Without a log, a ledger allocates nothing more; with one, repetitions do not.
func TestAllocsLog(t *testing.T) {
	defer KeepLogs()()
	l := New(nil, "a")
	e := Entry{Text: loggedText(0), Duration: time.Millisecond}
	for range 100 {
		l.Record(e)
	}
	if n := testing.AllocsPerRun(100, func() { l.Record(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLog(b *testing.B) {
	for _, logged := range []bool{false, true} {
		b.Run(fmt.Sprintf("log=%v", logged), func(b *testing.B) {
			if logged {
				defer KeepLogs()()
			}
			l := New(nil, "a")
			texts := [4]*Text{loggedText(0), loggedText(1), loggedText(2), loggedText(3)}
			for i := 0; b.Loop(); i++ {
				l.Record(Entry{Text: texts[i%len(texts)], Rows: 1, Duration: time.Millisecond})
			}
		})
	}
}
