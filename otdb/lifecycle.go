package otdb

import (
	"context"
	"database/sql/driver"

	"github.com/XSAM/otelsql"
	mnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"
)

// The names of the lifecycle operations: span names, and values of db.operation.name.
const (
	opConnect      = "CONNECT"
	opPing         = "PING"
	opBegin        = "BEGIN"
	opCommit       = "COMMIT"
	opRollback     = "ROLLBACK"
	opPrepare      = "PREPARE"
	opResetSession = "RESET_SESSION"
)

// What happens to a connection as such, connect, ping and session reset, goes
// through otelsql, which knows where each of them starts and ends and with which
// error. What its spans look like is decided here: otelsql is given a tracer
// whose spans are those of an operation of ours, because its own attributes come
// too late for samplers, its errors hold raw text, and it defers the End of the
// span it was given, in which the SDK would export the value of a panic.
//
// Such a call goes down like this:
//
//	connector.Connect(ctx)        makes a call, and defers call.done
//	  otelsql: tracer.Start(call) the tracer below starts the call's operation
//	    driver: Connect(ctx)      with the context of the operation's span
//	  otelsql: span.RecordError   the call keeps the error
//	call.done                     ends the operation; it knows of panics
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
			Ping:         true, // calls that are not observed do not come here
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
		return opConnect
	case otelsql.MethodConnPing:
		return opPing
	case otelsql.MethodConnResetSession:
		return opResetSession
	default:
		return string(m)
	}
}

// operationBit maps the names of operations to the option's set.
var operationBit = map[string]Operations{
	opConnect:      OperationConnect,
	opPing:         OperationPing,
	opBegin:        OperationBegin,
	opCommit:       OperationCommit,
	opRollback:     OperationRollback,
	opPrepare:      OperationPrepare,
	opResetSession: OperationResetSession,
}

// call is one lifecycle operation on its way through otelsql. It is the
// context that otelsql gets, so that the tracer finds it there; the driver gets
// the context of the operation's span.
type call struct {
	context.Context

	op     operation
	handle callSpan
	err    error
}

// done ends the operation, if there is one. It must be deferred, with a pointer
// to whether the call returned.
func (c *call) done(returned *bool) { c.op.finish(c.err, *returned) }

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

// Start implements trace.Tracer. It starts the operation of the call that ctx is.
func (t lifecycleTracer) Start(ctx context.Context, name string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	c, ok := ctx.(*call)
	if !ok {
		return ctx, noop.Span{}
	}
	c.handle.call = c
	d := t.db.lifecycle[name]
	if d == nil {
		return c.Context, &c.handle
	}
	return c.op.begin(c.Context, d, "", d.startOptions), &c.handle
}

// callSpan is the span that otelsql gets: it keeps what otelsql says for the call.
type callSpan struct {
	noop.Span
	call *call
}

var _ trace.Span = (*callSpan)(nil)

// RecordError implements trace.Span.
func (s *callSpan) RecordError(err error, _ ...trace.EventOption) { s.call.err = err }
