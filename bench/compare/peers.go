package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	xsam "github.com/XSAM/otelsql"
	uptrace "github.com/uptrace/opentelemetry-go-extra/otelsql"
	nhat "go.nhat.io/otelsql"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/otdb"
)

const system = "postgresql"

// discard is the cheapest processor: the span is made ready for export and
// dropped.
type discard struct{ sdktrace.SpanProcessor }

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }

// peers are the wrappers to compare, each configured to export what the others
// export: one span for a statement, named and attributed alike.
var peers = []struct {
	name string
	open func(driver.Connector, trace.TracerProvider, metric.MeterProvider) (*sql.DB, error)
}{
	{"otdb", func(c driver.Connector, tp trace.TracerProvider, mp metric.MeterProvider) (*sql.DB, error) {
		return otdb.OpenDB(c, otdb.WithTracerProvider(tp), otdb.WithMeterProvider(mp), otdb.WithSystem(system)), nil
	}},
	{"XSAM/otelsql", func(c driver.Connector, tp trace.TracerProvider, mp metric.MeterProvider) (*sql.DB, error) {
		return xsam.OpenDB(c,
			xsam.WithTracerProvider(tp), xsam.WithMeterProvider(mp),
			xsam.WithAttributes(attribute.String("db.system.name", system)),
			xsam.WithSpanNameFormatter(func(_ context.Context, m xsam.Method, query string) string {
				if query == "" {
					return string(m)
				}
				return summary
			}),
			xsam.WithAttributesGetter(func(_ context.Context, _ xsam.Method, query string, _ []driver.NamedValue) []attribute.KeyValue {
				if query == "" {
					return nil
				}
				return summaryAttribute
			}),
			xsam.WithSpanOptions(xsam.SpanOptions{OmitRows: true, OmitConnResetSession: true, DisableErrSkip: true})), nil
	}},
	{"nhat.io/otelsql", func(c driver.Connector, tp trace.TracerProvider, mp metric.MeterProvider) (*sql.DB, error) {
		d := nhat.Wrap(viaConnector{c},
			nhat.WithTracerProvider(tp), nhat.WithMeterProvider(mp),
			nhat.AllowRoot(), nhat.TraceQueryWithoutArgs(), nhat.DisableErrSkip(),
			nhat.WithDefaultAttributes(attribute.String("db.system.name", system), summaryAttribute[0]))
		dc, ok := d.(driver.DriverContext)
		if !ok {
			return nil, errors.New("nhat.io/otelsql has lost the connector")
		}
		wrapped, err := dc.OpenConnector("")
		if err != nil {
			return nil, err
		}
		return sql.OpenDB(wrapped), nil
	}},
	{"uptrace/otelsql", func(c driver.Connector, tp trace.TracerProvider, mp metric.MeterProvider) (*sql.DB, error) {
		return uptrace.OpenDB(c,
			uptrace.WithTracerProvider(tp), uptrace.WithMeterProvider(mp),
			uptrace.WithAttributes(attribute.String("db.system.name", system), summaryAttribute[0])), nil
	}},
}

var summaryAttribute = []attribute.KeyValue{attribute.String("db.query.summary", summary)}

// viaConnector is a driver that leads to a connector.
type viaConnector struct{ driver.Connector }

func (d viaConnector) Open(string) (driver.Conn, error) { return d.Connect(context.Background()) }
func (d viaConnector) OpenConnector(string) (driver.Connector, error) {
	return d.Connector, nil
}

func newProviders() (*sdktrace.TracerProvider, *sdkmetric.MeterProvider) {
	return sdktrace.NewTracerProvider(
			sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
			sdktrace.WithSpanProcessor(discard{})),
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
}

// floorOf is the least that a traced operation can cost.
func floorOf(ctx context.Context, tp trace.TracerProvider, mp metric.MeterProvider) (func(), error) {
	tracer := tp.Tracer("floor")
	histogram, err := mp.Meter("floor").Float64Histogram("db.client.operation.duration",
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(.001, .005, .01, .05, .1, .5, 1, 5, 10))
	if err != nil {
		return nil, err
	}
	base := []attribute.KeyValue{attribute.String("db.system.name", system), summaryAttribute[0]}
	start := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(append(base[:2:2], attribute.String("db.query.text", query))...),
	}
	record := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(base...))}
	return func() {
		began := time.Now()
		spanCtx, span := tracer.Start(ctx, summary, start...)
		span.End()
		histogram.Record(spanCtx, time.Since(began).Seconds(), record...)
	}, nil
}

// subjects returns the bare driver, the floor and the peers for a case. The
// floor does the bare work too, so that its overhead is measured as theirs is.
func (c benchCase) subjects(p parent) ([]subject, func(), error) {
	ctx := p.context()
	var open []*sql.DB
	closeAll := func() {
		for _, db := range open {
			_ = db.Close() // the driver has nothing to say
		}
	}
	bareDB := sql.OpenDB(connector{c.rows})
	open = append(open, bareDB)
	bare, err := c.prepare(ctx, bareDB)
	if err != nil {
		return nil, closeAll, err
	}
	tp, mp := newProviders()
	floor, err := floorOf(ctx, tp, mp)
	if err != nil {
		return nil, closeAll, err
	}
	all := []subject{{"bare", bare}, {"floor", func() error {
		for range c.spans {
			floor()
		}
		return bare()
	}}}
	for _, peer := range peers {
		tp, mp := newProviders()
		db, err := peer.open(connector{c.rows}, tp, mp)
		if err != nil {
			return nil, closeAll, err
		}
		open = append(open, db)
		do, err := c.prepare(ctx, db)
		if err != nil {
			return nil, closeAll, err
		}
		all = append(all, subject{peer.name, do})
	}
	return all, closeAll, nil
}
