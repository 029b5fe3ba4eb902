package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	xsam "github.com/XSAM/otelsql"
	uptrace "github.com/uptrace/opentelemetry-go-extra/otelsql"
	nhat "go.nhat.io/otelsql"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/otdb"
)

// wrapper is one way of tracing a database.
type wrapper struct {
	name string
	open func(driver.Connector, providers) (*sql.DB, error)
	// less reports whether it exports less of transactions than the others: no points
	// of BEGIN and COMMIT.
	less bool
}

// ours is otdb with its defaults.
var ours = wrapper{name: "otdb", open: func(c driver.Connector, p providers) (*sql.DB, error) {
	return openOurs(c, p), nil
}}

func openOurs(c driver.Connector, p providers, opts ...otdb.Option) *sql.DB {
	return otdb.OpenDB(c, append(opts,
		otdb.WithTracerProvider(p.traces), otdb.WithMeterProvider(p.meters), otdb.WithSystem(system))...)
}

// peers are the other wrappers, each made to export what otdb does: for one
// statement one span with the system, the text and the summary, and a record in
// a histogram by system and summary. The exceptions are in
// TestEquivalence. Where a peer has a cheap way and a dear one, it is the cheap
// one: those that can only be given constant attributes get the summary as such,
// and need not find it.
var peers = []wrapper{
	{name: "XSAM/otelsql", open: func(c driver.Connector, p providers) (*sql.DB, error) {
		bySummary := func(_ context.Context, _ xsam.Method, query string, _ []driver.NamedValue) []attribute.KeyValue {
			if query == "" {
				return nil
			}
			return summaryAttributes
		}
		return xsam.OpenDB(c,
			xsam.WithTracerProvider(p.traces), xsam.WithMeterProvider(p.meters),
			xsam.WithAttributes(systemAttribute),
			xsam.WithSpanNameFormatter(func(_ context.Context, m xsam.Method, query string) string {
				if query == "" {
					return string(m)
				}
				return summary
			}),
			xsam.WithAttributesGetter(bySummary),
			xsam.WithInstrumentAttributesGetter(bySummary),
			xsam.WithSpanOptions(xsam.SpanOptions{OmitRows: true, OmitConnResetSession: true, DisableErrSkip: true})), nil
	}},
	{name: "nhat.io/otelsql", open: func(c driver.Connector, p providers) (*sql.DB, error) {
		d := nhat.Wrap(viaConnector{c},
			nhat.WithTracerProvider(p.traces), nhat.WithMeterProvider(p.meters),
			nhat.AllowRoot(), nhat.DisableErrSkip(),
			nhat.WithSpanNameFormatter(func(context.Context, string) string { return summary }),
			nhat.TraceQuery(func(_ context.Context, query string, _ []driver.NamedValue) []attribute.KeyValue {
				return []attribute.KeyValue{semconv.DBQueryText(query)}
			}),
			nhat.WithDefaultAttributes(systemAttribute, summaryAttribute))
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
	{name: "uptrace/otelsql", open: func(c driver.Connector, p providers) (*sql.DB, error) {
		return uptrace.OpenDB(c,
			uptrace.WithTracerProvider(p.traces), uptrace.WithMeterProvider(p.meters),
			uptrace.WithAttributes(systemAttribute, summaryAttribute)), nil
	}, less: true},
}

// viaConnector is a driver that leads to a connector.
type viaConnector struct{ driver.Connector }

var _ driver.DriverContext = viaConnector{}

func (d viaConnector) Open(string) (driver.Conn, error) { return d.Connect(context.Background()) }

func (d viaConnector) OpenConnector(string) (driver.Connector, error) { return d.Connector, nil }
