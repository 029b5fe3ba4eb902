package worker

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskspan/taskspan/internal/ledger"
)

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
				if lines[0] != f.Location.Function || strings.TrimSpace(lines[1]) != f.Location.String() || len(lines) > 2*maxStack {
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
					l.Begin(&p, nil, text, time.Now())
				default:
					l.Begin(&p, nil, text, time.Now())
				}
				l.End(&p, ledger.Entry{Text: text})
			}
		})
		// All of them begin before one has ended.
		run(func(_ context.Context, l *ledger.Ledger) {
			var p [3]ledger.Place
			for i := range p {
				l.Begin(&p[i], nil, text, time.Now())
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
		leak := func(located bool) {
			run(func(_ context.Context, l *ledger.Ledger) {
				rows, tx, held := new(openRows), new(ledger.Transaction), new(openRows)
				want[FindingRowsLeaked], want[FindingTransactionLeaked] = "", ""
				if located {
					at(FindingRowsLeaked, 2)
				}
				l.Begin(&rows.Place, nil, textOf("SELECT located leak"), time.Now())
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

// The program's own module comes first, then whoever is no library.
func TestLocate(t *testing.T) {
	if l := locate(nil); l != (Location{}) || l.String() != "" || len(l.attributes(nil)) > 0 {
		t.Errorf("%v", l)
	}
	pcs := make([]uintptr, 64)
	for function, own := range map[string]bool{
		"main.run":       true,
		"main.run.func1": true,
		"github.com/taskspan/taskspan/examples/stack/load.run":            true,
		"github.com/taskspan/taskspan/examples/quickstart.(*index).add":   true,
		"github.com/taskspan/taskspan.init":                               false,
		"github.com/taskspan/taskspan/otdb.(*conn).execContext":           false,
		"github.com/taskspan/taskspan/otdb/otpgx.(*Tracer).TraceQueryEnd": false,
		"github.com/taskspan/taskspan/worker.Do[...]":                     false,
		"github.com/taskspan/taskspan/worker/riverworker.(*hook).Work":    false,
		"github.com/taskspan/taskspan/internal/ledger.callers":            false,
		"github.com/taskspan/taskspanner.f":                               false,
		"gorm.io/gorm.(*DB).Find":                                         false,
		"github.com/jmoiron/sqlx.Select":                                  false,
		"database/sql.(*DB).QueryContext":                                 false,
	} {
		if got := inMainModule(&runtime.Frame{Function: function, File: "x.go"}); got != own {
			t.Errorf("%s: own is %v", function, got)
		}
	}
	for function, library := range map[string]bool{
		"database/sql.(*DB).QueryContext":              true,
		"github.com/taskspan/taskspan/worker.Do[...]":  true,
		"github.com/lib/pq.(*conn).Query":              true,
		"github.com/lib/pqueue.Take":                   false,
		"gorm.io/gorm.(*DB).Find":                      false,
		"example.com/store.(*Store[go.shape.int]).Get": false,
		"runtime.goexit":                               true,
		"testing.tRunner":                              true,
	} {
		if got := isLibrary(function); got != library {
			t.Errorf("%s: library is %v", function, got)
		}
	}
	for function, path := range map[string]string{
		"main.run":                     "main",
		"gopkg.in/yaml%2ev3.Unmarshal": "gopkg.in/yaml%2ev3",
		"example.com/a/b.Map[example.com/c/d.T].Get": "example.com/a/b",
		"example.com/a/b.(*T).Get.func1":             "example.com/a/b",
		"odd":                                        "odd",
	} {
		if got := packageOf(function); got != path {
			t.Errorf("%s is of %q, want %q", function, got, path)
		}
	}
	const shop = "example.com/shop/"
	frame := func(function, file string) runtime.Frame {
		return runtime.Frame{Function: shop + function, File: "/src/" + file}
	}
	exec := frame("internal/db.(*Queries).exec", "db.go")
	query := frame("internal/db.(*Queries).ListOrders", "orders.sql.go")
	all, iterate := frame("ent.(*OrderQuery).All", "ent/order_query.go"), frame("ent/order.Each", "ent/order/order.go")
	run, other := frame("store.(*Store).Orders", "store.go"), frame("internal/db.Migrate", "migrate.go")
	for name, tc := range map[string][2][]runtime.Frame{
		"sqlc":           {{query, run}, {run}},
		"sqlc, prepared": {{exec, query, run, other}, {run, other}},
		"ent":            {{all, iterate, run}, {run}},
		"nothing else":   {{all, iterate}, {all, iterate}},
		"none":           {{other, run}, {other, run}},
		"empty":          {nil, nil},
	} {
		if got := written(tc[0]); !slices.Equal(got, tc[1]) {
			t.Errorf("%s: %v", name, got)
		}
	}
	// This test is called by nobody but the testing package.
	l := locate(pcs[:runtime.Callers(1, pcs)])
	if filepath.Base(l.File) != "location_test.go" || !strings.HasSuffix(l.Function, "worker.TestLocate") || strings.Count(l.Stack, "\n") != 2 {
		t.Errorf("%+v", l)
	}
}
