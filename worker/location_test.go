package worker

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskspan/taskspan/internal/callsite"
	"github.com/taskspan/taskspan/internal/ledger"
)

// locatedRuns numbers the texts that leak: the process knows what has leaked before.
var locatedRuns atomic.Int32

// Findings say where in the code they are: at the repetition that makes a
// statement a finding, at the slowest statement, at the end of an idle
// transaction, at the longest wait, and where rows and transactions were opened
// of kinds that have leaked before.
func TestFindingLocations(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithRepeatedStatements(3), WithSlowStatements(time.Second), WithIdleTransactions(time.Minute))
		want := make(map[FindingKind]string)
		at := func(kind FindingKind, lines int) {
			_, file, line, _ := runtime.Caller(1)
			want[kind] = fmt.Sprint(file, ":", line+lines)
		}
		var got []Finding
		defer b.runner.Watch(func(_ context.Context, r Report) { got = r.Findings })()
		run := func(fn func(ctx context.Context, l *ledger.Ledger)) {
			t.Helper()
			_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
				fn(ctx, ledger.FromContext(ctx))
				return nil
			})
			if len(got) != len(want) {
				t.Errorf("%d findings: %v, want %v", len(got), got, want)
			}
			for _, f := range got {
				if f.Kind == FindingTransactionLeaked && want[f.Kind] == "" {
					continue // other tests leak transactions too
				}
				if f.Location.String() != want[f.Kind] {
					t.Errorf("%s is at %q, want %q", f.Kind, f.Location, want[f.Kind])
				}
				if want[f.Kind] == "" {
					continue
				}
				if !strings.HasPrefix(f.Location.Function, "github.com/taskspan/taskspan/worker.TestFindingLocations.") {
					t.Errorf("%s is in %s", f.Kind, f.Location.Function)
				}
				lines := strings.Split(strings.TrimSpace(f.Location.Stack), "\n")
				if lines[0] != f.Location.Function || strings.TrimSpace(lines[1]) != f.Location.String() || len(lines) > 2*callsite.MaxStack {
					t.Errorf("%s has the stack %q", f.Kind, lines)
				}
			}
			clear(want)
		}

		text, begin := textOf("SELECT located"), &ledger.Text{Summary: "BEGIN"}
		run(func(_ context.Context, l *ledger.Ledger) {
			var p ledger.Place
			for i := range 5 {
				switch i {
				case 2: // the third
					at(FindingRepeatedStatement, 1)
					l.Begin(&p, nil, text, time.Now(), 0)
				default:
					l.Begin(&p, nil, text, time.Now(), 0)
				}
				l.End(&p, ledger.Entry{Text: text})
			}
		})
		// All of them begin before one has ended.
		run(func(_ context.Context, l *ledger.Ledger) {
			var p [3]ledger.Place
			for i := range p {
				l.Begin(&p[i], nil, text, time.Now(), 0)
			}
			for i := range p[:2] {
				l.End(&p[i], ledger.Entry{Text: text})
			}
			at(FindingRepeatedStatement, 1)
			l.End(&p[2], ledger.Entry{Text: text})
		})
		run(func(_ context.Context, l *ledger.Ledger) {
			l.Record(ledger.Entry{Text: text, Duration: time.Second})
			at(FindingSlowStatement, 1)
			l.Record(ledger.Entry{Text: text, Duration: time.Minute})
		})
		run(func(_ context.Context, l *ledger.Ledger) {
			var tx ledger.Transaction
			l.BeginTransaction(&tx, begin, time.Now(), time.Now(), panickingRows{})
			time.Sleep(time.Minute)
			at(FindingTransactionIdle, 1)
			tx.End(time.Now())
		})
		run(func(_ context.Context, l *ledger.Ledger) {
			l.Waited("pool", 600*time.Millisecond)
			at(FindingConnectionWait, 1)
			l.Waited("pool", 700*time.Millisecond)
			l.Waited("pool", 100*time.Millisecond)
		})
		leaking := textOf(fmt.Sprint("SELECT located leak ", locatedRuns.Add(1)))
		leak := func(located bool) {
			run(func(_ context.Context, l *ledger.Ledger) {
				rows, tx, held := new(openRows), new(ledger.Transaction), new(openRows)
				want[FindingRowsLeaked], want[FindingTransactionLeaked] = "", ""
				if located {
					at(FindingRowsLeaked, 2)
				}
				l.Begin(&rows.Place, nil, leaking, time.Now(), 0)
				rows.Hold(rows)
				if located {
					at(FindingTransactionLeaked, 2)
				}
				l.BeginTransaction(tx, begin, time.Now(), time.Now(), held)
			})
		}
		leak(false)
		leak(true)
	})
}

// Without a location a finding has no attributes of one.
func TestNoLocation(t *testing.T) {
	if l := locate(nil); l != (Location{}) || l.String() != "" || len(l.attributes(nil)) > 0 {
		t.Errorf("%v", l)
	}
}
