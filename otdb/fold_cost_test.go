package otdb_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/internal/fakedb"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/otdb"
)

// A task of a million statements has few spans, and its heap stays as it is.
func TestMillionStatements(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("takes long with the race detector")
	}
	spans := new(counting)
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	db := otdb.OpenDB((&fakedb.DB{Plain: true, Shape: fakedb.ExecerContext | fakedb.QueryerContext | fakedb.ConnPrepareContext | fakedb.ConnBeginTx}).Connector(), otdb.WithTracerProvider(tp), otdb.WithOperations(0))
	defer db.Close()
	ctx, span := tp.Tracer("task").Start(context.Background(), "load")
	var l ledger.Ledger
	l.Init(nil, ledger.Config{Task: "load", Limits: &ledger.Limits{OperationSpans: 100, SlowStatements: time.Second}})
	ctx = l.Bind(ctx)
	const n = 1_000_000
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var before int64
	for i := range n {
		if i == 1000 {
			before = heap()
		}
		if _, err := db.ExecContext(ctx, "INSERT INTO a VALUES (?)", 1); err != nil {
			t.Fatal(err)
		}
	}
	grown := heap() - before
	l.Settle()
	span.End()
	t.Logf("%d spans, the heap grew by %d bytes", spans.ended.Load(), grown)
	if ended := spans.ended.Load(); ended > 1600+10 {
		t.Errorf("%d spans", ended)
	}
	if grown > 256<<10 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if got := l.Totals(); got.Operations != n {
		t.Errorf("the ledger has %+v", got)
	}
}

// counting counts spans.
type counting struct{ ended atomic.Int64 }

func (*counting) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (c *counting) OnEnd(sdktrace.ReadOnlySpan)                   { c.ended.Add(1) }
func (*counting) Shutdown(context.Context) error                  { return nil }
func (*counting) ForceFlush(context.Context) error                { return nil }
