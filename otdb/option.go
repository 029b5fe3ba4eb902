package otdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/target"
)

// Option configures the instrumentation of one database.
//
// A mistake in an option, such as a negative threshold, is returned by [Open]
// and [Register]; the other constructors report it to [otel.Handle] and go on
// with the option's default.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// QueryText selects what is recorded as db.query.text.
type QueryText uint8

const (
	// QueryTextDefault records parameterised text as the application wrote it,
	// and any other text sanitised: every literal replaced by ?. Text is
	// parameterised when it holds a placeholder and the call has arguments.
	// This is what the OpenTelemetry conventions ask for.
	QueryTextDefault QueryText = iota
	// QueryTextSanitized sanitises all text, parameterised or not.
	QueryTextSanitized
	// QueryTextOff records no text. Summaries are recorded all the same.
	QueryTextOff
)

// Comment selects what is added to statements as an SQL comment.
type Comment uint8

const (
	// CommentStatic adds the tags and the name of the worker task. These
	// are of low cardinality, so that a database's statistics by text stay useful.
	CommentStatic Comment = 1 + iota
	// CommentFull adds the trace context as well, where that cannot defeat
	// a cache of prepared statements. See [WithCommenter].
	CommentFull
)

// Defaults.
const (
	defaultMaxSummaries = 500
)

type config struct {
	tracerProvider trace.TracerProvider
	meterProvider  metric.MeterProvider
	propagator     propagation.TextMapPropagator

	attributes []attribute.KeyValue
	target     target.Target // what options set; the rest is inferred
	poolName   string

	queryText     QueryText
	parameters    func(key string) bool
	rowCounts     bool
	spanFilter    func(context.Context, SpanInfo) bool
	requireParent bool
	requireSample bool
	expected      func(error) bool
	operations    Operation
	comment       Comment
	commentTags   []attribute.KeyValue
	slow          time.Duration
	slowLogger    *slog.Logger
	errorText     func(error) string
	maxSummaries  int

	clock instrument.Clock

	mistakes []error
}

// newConfig applies the options to the defaults. Its error joins the mistakes
// found; the config is usable all the same.
func newConfig(opts []Option) (*config, error) {
	c := &config{
		operations:   DefaultOperations,
		maxSummaries: defaultMaxSummaries,
		clock:        instrument.SystemClock,
	}
	for _, o := range opts {
		if o != nil {
			o.apply(c)
		}
	}
	return c, errors.Join(c.mistakes...)
}

func (c *config) mistake(format string, args ...any) {
	c.mistakes = append(c.mistakes, fmt.Errorf("otdb: "+format, args...))
}

// WithTracerProvider sets the provider of the tracer. Nil means the global
// one, also when that is set after the database was opened.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(c *config) { c.tracerProvider = p })
}

// WithMeterProvider sets the provider of the instruments. Nil means the global
// one, also when that is set after the database was opened.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meterProvider = p })
}

// WithPropagator sets the propagator whose fields [CommentFull] adds to
// statements. Nil means the global one.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return optionFunc(func(c *config) { c.propagator = p })
}

// WithAttributes adds attributes to every span and every metric of the
// database. Their values are exported as they are, so they must be neither
// secret nor of high cardinality. It may be given more than once. The
// first 16 are there when a span starts. The others come at its end, so that its limit
// drops none of its own.
func WithAttributes(kv ...attribute.KeyValue) Option {
	return optionFunc(func(c *config) {
		for _, a := range kv {
			if !a.Valid() {
				c.mistake("WithAttributes: an attribute has no key")
				continue
			}
			c.attributes = append(c.attributes, a)
		}
	})
}

// WithSystem sets db.system.name, for example "postgresql" or "mariadb". By
// default it is inferred from the driver; "other_sql" is used where that fails.
func WithSystem(name string) Option {
	return optionFunc(func(c *config) {
		if name == "" {
			c.mistake("WithSystem: the name is empty; leave the option out to have it inferred")
		}
		c.target.System = name
	})
}

// WithNamespace sets db.namespace, the name of the database. By default it is
// inferred from the DSN where that is safe.
func WithNamespace(name string) Option {
	return optionFunc(func(c *config) { c.target.Namespace = name })
}

// WithServer sets server.address and server.port. A port of 0 means the
// system's default port, which is not recorded. By default both are inferred
// from the DSN where that is safe.
func WithServer(address string, port int) Option {
	return optionFunc(func(c *config) {
		switch {
		case port < 0 || port > 65535:
			c.mistake("WithServer: the port %d is not between 0 and 65535", port)
		case address == "" && port != 0:
			c.mistake("WithServer: the address is empty; leave the option out to have it inferred")
		default:
			c.target.Address, c.target.Port = address, port
		}
	})
}

// WithPoolName sets db.client.connection.pool.name. By default it is
// address:port/namespace. A name that another open pool of the process has is
// made unique by a suffix.
func WithPoolName(name string) Option {
	return optionFunc(func(c *config) { c.poolName = name })
}

// WithQueryText selects what is recorded as db.query.text. The default is
// [QueryTextDefault].
func WithQueryText(q QueryText) Option {
	return optionFunc(func(c *config) {
		c.queryText = q
		if q > QueryTextOff {
			c.mistake("WithQueryText: %d is none of the QueryText constants", q)
			c.queryText = QueryTextOff // the mode that cannot reveal anything
		}
	})
}

// WithQueryParameters records the arguments for which allow returns true as
// db.query.parameter.<key>. The key is a named argument's name, else the
// argument's position counted from 0. By default no argument is recorded, and of a
// statement at most the first 32 that are allowed. The function may be called
// concurrently.
//
// The values are those that the driver gets. Most drivers leave the conversion of
// arguments to database/sql. With one that converts by itself, such as pgx, only
// strings, bytes, times, numbers, booleans and nil are recorded: not pointers, types
// with a Value method, slices, or pgx.NamedArgs.
func WithQueryParameters(allow func(key string) bool) Option {
	return optionFunc(func(c *config) { c.parameters = allow })
}

// WithRowCounts records db.response.returned_rows on the spans of queries,
// otdb.rows_affected on those of execs (which asks the driver's result for it),
// and the metric db.client.response.returned_rows. It is off by default.
func WithRowCounts() Option {
	return optionFunc(func(c *config) { c.rowCounts = true })
}

// WithSpanFilter suppresses the spans of the operations for which f returns
// false. Metrics and task ledgers are kept. The function is called once for
// each operation, concurrently, on the path of the statement.
func WithSpanFilter(f func(ctx context.Context, info SpanInfo) bool) Option {
	return optionFunc(func(c *config) { c.spanFilter = f })
}

// WithRequireParent suppresses the spans of operations whose context holds no
// span. Metrics and task ledgers are kept. It is off by default.
func WithRequireParent() Option {
	return optionFunc(func(c *config) { c.requireParent = true })
}

// WithRequireSampledParent suppresses the spans of operations below a parent that is not
// sampled, and what they cost: such a span is started and asks the sampler otherwise, to
// be told no. Metrics and task ledgers are kept. It is for samplers that follow the
// parent, as the SDK's default does. It is off by default.
func WithRequireSampledParent() Option {
	return optionFunc(func(c *config) { c.requireSample = true })
}

// WithOperations sets which lifecycle operations are traced; statements
// always are. An operation outside of the set has neither a span nor a metric.
// The default is [DefaultOperations].
func WithOperations(set Operation) Option {
	return optionFunc(func(c *config) {
		if set&^allOperations != 0 {
			c.mistake("WithOperations: %#x holds unknown operations", uint8(set))
			return
		}
		c.operations = set
	})
}

// WithCommenter adds an SQL comment to statements, so that the database's own
// logs and statistics show where they came from. The tags are written with
// their keys sorted and their values percent-encoded. It is off by default.
//
// The comment goes behind the text's last statement, and on SQLite, where
// columns are called by what is behind them, before the text. A text stays as it
// is where a comment might change what it does, or would not be read as one: a
// definition (CREATE, ALTER), which the database keeps with its text; COPY; a text
// that is commented so already, ends in an open comment or has more than 64 KiB.
// On SQL Server, where the driver takes a mere name for a procedure, and on
// databases that are not known, only texts that begin with an operation like
// SELECT have a comment, and on the latter none that inserts: data may follow.
//
// [CommentFull] adds what the propagator injects, except baggage, which holds
// values. The trace context changes with every call, so it stays out of
// everything that is prepared, and out of texts that the driver prepares and
// caches by itself, as pgx does with queries and with execs that have arguments.
func WithCommenter(mode Comment, tags ...attribute.KeyValue) Option {
	return optionFunc(func(c *config) {
		if mode != CommentStatic && mode != CommentFull {
			c.mistake("WithCommenter: %d is neither CommentStatic nor CommentFull", mode)
			return
		}
		for _, t := range tags {
			if !t.Valid() || strings.Contains(string(t.Key), "*/") {
				c.mistake("WithCommenter: the tag %q cannot be written", string(t.Key))
				return
			}
		}
		c.comment, c.commentTags = mode, tags
	})
}

// WithSlowLog logs every statement that spent at least threshold inside the driver, as one
// WARN record with the statement's context. A nil logger means slog.Default() at the time
// of the record. A threshold of 0, the default, logs none.
func WithSlowLog(threshold time.Duration, logger *slog.Logger) Option {
	return optionFunc(func(c *config) {
		if threshold < 0 {
			c.mistake("WithSlowLog: the threshold %v is negative", threshold)
			return
		}
		c.slow, c.slowLogger = threshold, logger
	})
}

// WithExpectedErrors selects the errors of operations that are no failures, such as a unique key
// that the application relies on. They keep db.response.status_code, and have neither an
// error.type nor the status Error, and do not count as errors of their task. The function
// may be called concurrently; if it panics, the error is a failure. It is not called for
// nil. By default every error is a failure.
func WithExpectedErrors(expected func(error) bool) Option {
	return optionFunc(func(c *config) { c.expected = expected })
}

// WithErrorText replaces the text that is exported as the status description
// of failed spans. The default is errs.DriverMessage, which holds no values. The
// function may be called concurrently; if it panics, no text is exported.
func WithErrorText(f func(error) string) Option {
	return optionFunc(func(c *config) { c.errorText = f })
}

// WithMaxSummaries caps the number of distinct db.query.summary values in the
// metrics of a database, names of [NameQuery] included; further ones are counted under
// "_OTHER". Definitions (CREATE, ALTER, DROP, …) and scripts of several statements have one
// place in ten of it, since migrations have many that run once. Spans are not
// affected. The default is 500.
func WithMaxSummaries(n int) Option {
	return optionFunc(func(c *config) {
		if n <= 0 {
			c.mistake("WithMaxSummaries: %d is not positive", n)
			return
		}
		c.maxSummaries = n
	})
}
