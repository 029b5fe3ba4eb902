package main

import (
	"context"
	"database/sql/driver"
	"maps"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// recorder keeps the spans that have ended.
type recorder struct {
	discard
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
}

func (r *recorder) OnEnd(s sdktrace.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, s)
}

// exported is what one operation leaves behind.
type exported struct {
	spans  []sdktrace.ReadOnlySpan
	points []metricdata.HistogramDataPoint[float64] // with integers made floats
	counts int                                      // points of counters
}

// export does the work n times with a wrapper and returns what the n-th time left.
func export(t *testing.T, way wrapper, rows int, w work) exported {
	t.Helper()
	rec, reader := new(recorder), sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(
		func(sdkmetric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }))
	db, err := way.open(noopConnector(rows), providers{
		sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec)),
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do, err := w(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	var out exported
	for range 2 { // the first one connects
		rec.spans = nil
		if err := do(); err != nil {
			t.Fatal(err)
		}
		out = collect(t, reader)
	}
	out.spans = rec.spans
	return out
}

func collect(t *testing.T, reader *sdkmetric.ManualReader) (out exported) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				out.points = append(out.points, data.DataPoints...)
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					out.points = append(out.points, metricdata.HistogramDataPoint[float64]{Attributes: p.Attributes, Count: p.Count})
				}
			case metricdata.Sum[int64]:
				if m.Name == "db.sql.client.calls" {
					out.counts += len(data.DataPoints)
				}
			}
		}
	}
	return out
}

// texts are the keys under which the text of a statement is exported: two of
// the peers have an old one, which one of them cannot change.
var textKeys = []attribute.Key{"db.query.text", "db.statement"}

// surplus is what a peer exports beyond what otdb does, and has no option for.
var surplus = map[string]struct {
	span       []string          // attributes of statements
	point      []string          // attributes of points
	points     map[string]uint64 // records in histograms by work
	countsOnce bool              // a counter beside the histogram
}{
	"otdb":            {},
	"XSAM/otelsql":    {point: []string{"db.operation.name"}, points: map[string]uint64{"query": 2, "prepared": 2}},
	"nhat.io/otelsql": {span: []string{"db.operation"}, point: []string{"db.operation", "db.sql.status"}, countsOnce: true},
	"uptrace/otelsql": {},
}

// TestEquivalence shows that all wrappers export the same for a statement, but
// for what they cannot do without.
func TestEquivalence(t *testing.T) {
	for _, way := range append([]wrapper{ours}, peers...) {
		more, ok := surplus[way.name]
		if !ok {
			t.Fatalf("nothing is known of %s", way.name)
		}
		for name, w := range map[string]work{
			"exec": exec(query, arguments...), "query": read(query, arguments...), "prepared": prepared(query, arguments...),
		} {
			t.Run(way.name+"/"+name, func(t *testing.T) {
				got := export(t, way, 1, w)
				if len(got.spans) != 1 {
					t.Fatalf("%d spans, want 1", len(got.spans))
				}
				checkSpan(t, got.spans[0], more.span)

				want := max(1, more.points[name])
				var records uint64
				for _, p := range got.points {
					records += p.Count
				}
				if records != want {
					t.Errorf("%d records in histograms, want %d", records, want)
				}
				if (got.counts > 0) != more.countsOnce {
					t.Errorf("%d points of counters", got.counts)
				}
				full := slices.ContainsFunc(got.points, func(p metricdata.HistogramDataPoint[float64]) bool {
					keys := attributes(p.Attributes.ToSlice())
					for _, k := range more.point {
						if keys[k] == "" {
							return false
						}
						delete(keys, k)
					}
					return maps.Equal(keys, map[string]string{"db.system.name": system, "db.query.summary": summary})
				})
				if !full {
					t.Errorf("no point by system and summary: %v", got.points)
				}
			})
		}
	}
}

func checkSpan(t *testing.T, span sdktrace.ReadOnlySpan, more []string) {
	t.Helper()
	keys := attributes(span.Attributes())
	for _, k := range more {
		if keys[k] == "" {
			t.Errorf("no %s: %v", k, keys)
		}
		delete(keys, k)
	}
	for _, k := range textKeys[1:] {
		if text, ok := keys[string(k)]; ok {
			delete(keys, string(k))
			keys[string(textKeys[0])] = text
		}
	}
	want := map[string]string{"db.system.name": system, "db.query.summary": summary, "db.query.text": query}
	if !maps.Equal(keys, want) {
		t.Errorf("the span has %v, want %v", keys, want)
	}
}

func attributes(kv []attribute.KeyValue) map[string]string {
	out := make(map[string]string)
	for _, a := range kv {
		out[string(a.Key)] = a.Value.String()
	}
	return out
}

// TestTransactionExports shows what a transaction of three statements leaves:
// five spans with all wrappers, and as many records in histograms. Ours has the
// duration of the transaction besides, and one peer has none of BEGIN and COMMIT.
func TestTransactionExports(t *testing.T) {
	for _, way := range append([]wrapper{ours}, peers...) {
		got := export(t, way, 0, transaction(3, query, arguments...))
		want := uint64(5)
		if way.name == ours.name {
			want = 6
		}
		if way.less {
			want = 3
		}
		var records uint64
		for _, p := range got.points {
			records += p.Count
		}
		if len(got.spans) != 5 || records != want {
			t.Errorf("%s: %d spans and %d records, want 5 and %d", way.name, len(got.spans), records, want)
		}
	}
}

// TestNoopConnector shows that the driver that does nothing does what the cases
// take it to do, bare and through each wrapper.
func TestNoopConnector(t *testing.T) {
	for _, c := range statementCases {
		for _, p := range parents {
			connect := func() (driver.Connector, error) { return noopConnector(c.rows), nil }
			g, err := wrapped(p.context(), c.name, p.name, plan{1, 1}, connect, c.work, c.floors)
			if err != nil {
				t.Fatal(err)
			}
			if want := 3 + len(peers); len(g.results) != want {
				t.Errorf("%s: %d ways, want %d", c.name, len(g.results), want)
			}
		}
	}
	db, err := ours.open(noopConnector(100), noopProviders())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), query, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil || n != 100 {
		t.Errorf("%d rows, %v, want 100", n, err)
	}
}
