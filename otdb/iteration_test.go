package otdb_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"weak"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/otdb"
)

// A program that has rows from Conn.Raw may go on to use them after their end,
// when the connection has used what was theirs for the rows of another query.
func TestRowsAfterTheirEnd(t *testing.T) {
	shapes := map[string]fakedb.Shape{
		"one result set": fakedb.Modern &^ fakedb.RowsNextResultSet,
		"result sets":    fakedb.Modern | fakedb.RowsNextResultSet,
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			run := func(open func(*fakedb.DB) *sql.DB) ([]string, []fakedb.Call) {
				fake := fakeOf(shape)
				fake.Results = manyRows(2)
				db := open(fake)
				defer db.Close()
				conn := must(db.Conn(t.Context()))
				defer conn.Close()
				var log []string
				say := func(what string, outcome any) { log = append(log, fmt.Sprint(what, ": ", outcome)) }
				err := conn.Raw(func(dc any) error {
					query := dc.(driver.QueryerContext).QueryContext
					dest := make([]driver.Value, 1)
					use := func(what string, r driver.Rows) {
						say(what+" columns", r.Columns())
						say(what+" next", r.Next(dest))
						if next, ok := r.(driver.RowsNextResultSet); ok {
							say(what+" has next", next.HasNextResultSet())
							say(what+" to next", next.NextResultSet())
						}
						say(what+" close", r.Close())
					}
					first := must(query(t.Context(), "SELECT first", nil))
					for err := first.Next(dest); err != io.EOF; err = first.Next(dest) {
						say("first", err)
					}
					say("first", first.Close())
					second := must(query(t.Context(), "SELECT second", nil))
					use("first again", first)
					say("second", second.Next(dest))
					third := must(query(t.Context(), "SELECT third", nil)) // while the second are open
					say("third", third.Next(dest))
					use("first again", first)
					say("second", second.Next(dest))
					say("second", second.Close())
					use("second again", second)
					say("third", third.Next(dest))
					say("third", third.Close())
					return nil
				})
				say("raw", err)
				return log, fake.Calls()
			}
			spans := new(recorder)
			wantLog, wantCalls := run(func(fake *fakedb.DB) *sql.DB { return sql.OpenDB(fake.Connector()) })
			gotLog, gotCalls := run(func(fake *fakedb.DB) *sql.DB {
				return otdb.OpenDB(fake.Connector(), otdb.WithTracerProvider(spans), otdb.WithOperations(0))
			})
			if shape&fakedb.RowsNextResultSet == 0 {
				// The observed rows claim it, and answer as its absence does.
				gotLog = without(gotLog, " has next: false", " to next: EOF")
			}
			if !reflect.DeepEqual(gotLog, wantLog) {
				t.Errorf("observed:\n%s\nraw:\n%s", strings.Join(gotLog, "\n"), strings.Join(wantLog, "\n"))
			}
			if !reflect.DeepEqual(gotCalls, wantCalls) {
				t.Errorf("the driver saw %v, and raw %v", gotCalls, wantCalls)
			}
			spans.check(t, "after all")
			if n := len(spans.all()); n != 3 {
				t.Errorf("%d spans, want 3", n)
			}
		})
	}
}

func without(lines []string, suffixes ...string) (kept []string) {
	for _, line := range lines {
		drop := false
		for _, s := range suffixes {
			drop = drop || strings.HasSuffix(line, s)
		}
		if !drop {
			kept = append(kept, line)
		}
	}
	return kept
}

// What a connection keeps for its next query must hold nothing of the last one:
// a connection may be idle for long.
func TestIdleConnectionHoldsNoContext(t *testing.T) {
	type key struct{}
	failing := errors.New("no such table")
	for name, fault := range map[string]error{"rows": nil, "transaction": nil, "error": failing, "skipped": driver.ErrSkip} {
		t.Run(name, func(t *testing.T) {
			fake := fakeOf(fakedb.Modern)
			fake.Results = manyRows(1)
			db, _ := observe(t, fake)
			if fault != nil {
				fake.On(fakedb.ConnQueryContext, 1, fakedb.Fault{Err: fault})
			}
			held := func() weak.Pointer[[16]string] {
				value := new([16]string)
				ctx := context.WithValue(context.Background(), key{}, value)
				if name == "transaction" {
					tx := must(db.BeginTx(ctx, nil))
					_, err := readAllQuietly(tx.QueryContext(context.Background(), "SELECT"))
					if err := errors.Join(err, tx.Commit()); err != nil {
						t.Fatal(err)
					}
					return weak.Make(value)
				}
				_, err := readAllQuietly(db.QueryContext(ctx, "SELECT"))
				if fault == failing && !errors.Is(err, failing) || fault != failing && err != nil {
					t.Fatal(err)
				}
				return weak.Make(value)
			}()
			// The test's recorder keeps spans, and a span no context. What database/sql has
			// started for a transaction may take a moment to end.
			for try := 0; held.Value() != nil && try < 100; try++ {
				runtime.Gosched()
				runtime.GC()
			}
			if held.Value() != nil {
				t.Error("the context is still referred to")
			}
			runtime.KeepAlive(db)
		})
	}
}

// Tasks end while the consumers of their rows finish them and go on to the next
// query on the same connection. Every span ends once, and each is ended either
// by its consumer or as a leak.
func TestTaskEndsWhileRowsAreUsedAgain(t *testing.T) {
	const consumers, tasks = 4, 50
	fake := fakeOf(fakedb.Modern)
	fake.Results = manyRows(3)
	spans := new(recorder)
	db := otdb.OpenDB(fake.Connector(), otdb.WithTracerProvider(spans), otdb.WithOperations(0))
	defer db.Close()
	leaked := 0
	for range tasks {
		task := ledger.New(nil, "task")
		ctx := ledger.NewContext(context.Background(), task)
		var running, done sync.WaitGroup
		stop := make(chan struct{})
		for range consumers {
			conn := must(db.Conn(ctx))
			running.Add(1)
			done.Go(func() {
				defer conn.Close()
				first := true
				for {
					rows, err := conn.QueryContext(ctx, "SELECT")
					if err != nil {
						t.Error(err)
					} else {
						rows.Next()
					}
					if first {
						running.Done()
						first = false
					}
					for err == nil && rows.Next() {
					}
					_ = rows.Close()
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		running.Wait()
		leaked += len(task.EndTask())
		close(stop)
		done.Wait()
	}
	spans.check(t, "after all")
	marked := 0
	for _, s := range spans.all() {
		if s.attribute("otdb.rows_leaked") == "true" {
			marked++
		}
	}
	if marked != leaked {
		t.Errorf("%d spans are marked as leaked, the tasks had %d", marked, leaked)
	}
	t.Logf("%d spans, %d of them leaked", len(spans.all()), leaked)
}
