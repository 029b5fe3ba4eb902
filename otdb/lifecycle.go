package otdb

import (
	"context"
	"database/sql/driver"

	"github.com/XSAM/otelsql"
	mnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/ledger"
)

// Operations of a connection itself, connect, ping and session reset, go
// through otelsql, which knows where each of them starts and ends and with which
// error. Its spans are decided here: otelsql is given a tracer
// whose spans are those of an operation of ours, because its own attributes come
// too late for samplers, its errors hold raw text, and it defers the End of the
// span it was given, in which the SDK would export the value of a panic.
//
// Such a call goes down like this:
//
//	connector.Connect(ctx)        makes a lifecycleContext, and defers the end of its operation
//	  otelsql: tracer.Start       the tracer below begins the operation
//	    driver: Connect(ctx)      with the context of the operation's span
//
// Transactions are part of what a task does again and again. Through otelsql,
// BEGIN and COMMIT would cost each a third more than by themselves: it makes
// attributes, reads the clock and copies its configuration for metrics of its
// own, whether or not there are any. So they go to the driver as statements do.

// throughOtelsql returns a connector whose connections are otelsql's around
// those of raw.
func (db *database) throughOtelsql(raw driver.Connector) (driver.Connector, error) {
	d := otelsql.WrapDriver(oneConnector{raw},
		otelsql.WithTracerProvider(lifecycleProvider{db: db}),
		otelsql.WithMeterProvider(mnoop.NewMeterProvider()),
		otelsql.WithSpanNameFormatter(operationName),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			Ping:         true, // calls that are not traced do not come here
			DisableQuery: true,
		}))
	return d.(driver.DriverContext).OpenConnector("")
}

// oneConnector is a driver for a connector that exists already, which is what
// otelsql wraps.
type oneConnector struct{ driver.Connector }

var _ driver.DriverContext = oneConnector{}

func (d oneConnector) Open(string) (driver.Conn, error) { return d.Connect(context.Background()) }

func (d oneConnector) OpenConnector(string) (driver.Connector, error) { return d.Connector, nil }

// operationName maps otelsql's methods to the names of operations.
func operationName(_ context.Context, m otelsql.Method, _ string) string {
	switch m {
	case otelsql.MethodConnectorConnect:
		return OperationConnect.String()
	case otelsql.MethodConnPing:
		return OperationPing.String()
	case otelsql.MethodConnResetSession:
		return OperationResetSession.String()
	default:
		return string(m)
	}
}

// lifecycleContext is one lifecycle operation on its way through otelsql. It is the
// context that otelsql gets, so that the tracer finds it there; the driver gets
// the context of the operation's span.
type lifecycleContext struct {
	context.Context
	op    operation
	place ledger.Place
}

// lifecycleProvider is the tracer provider that otelsql gets.
type lifecycleProvider struct {
	embedded.TracerProvider
	db *database
}

var _ trace.TracerProvider = lifecycleProvider{}

// Tracer implements trace.TracerProvider.
func (p lifecycleProvider) Tracer(string, ...trace.TracerOption) trace.Tracer {
	return lifecycleTracer{db: p.db}
}

// lifecycleTracer is its tracer.
type lifecycleTracer struct {
	embedded.Tracer
	db *database
}

var _ trace.Tracer = lifecycleTracer{}

// Start implements trace.Tracer. It begins the operation that ctx is. The span is
// otelsql's to end, and so not the operation's own.
func (t lifecycleTracer) Start(ctx context.Context, name string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	c, ok := ctx.(*lifecycleContext)
	if !ok {
		return ctx, noop.Span{}
	}
	k := t.db.lifecycle[name]
	if k == nil {
		return c.Context, noop.Span{}
	}
	c.op.place = &c.place
	return c.op.begin(c.Context, k, nil), noop.Span{}
}
