package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
)

const (
	defaultMaxTaskNames       = 200
	defaultRepeatedStatements = 20
	defaultSlowStatements     = time.Second
	defaultIdleTransactions   = 10 * time.Second
	defaultMaxOperationSpans  = 100
)

// Option configures a [Runner].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// SharedOption configures a [Runner], or one task. A task's overrides the
// runner's.
type SharedOption interface {
	Option
	TaskOption
}

// sharedOption sets a limit, or is a mistake. [New] returns mistakes; those of
// a task are reported to otel.Handle, and the task runs without the option.
type sharedOption struct {
	set func(*ledger.Limits)
	err error
}

func (o sharedOption) apply(c *config) {
	if o.err != nil {
		c.errs = append(c.errs, o.err)
		return
	}
	o.set(&c.limits)
}

func (o sharedOption) applyTask(c *taskConfig) {
	if o.err != nil {
		instrument.Handle(o.err)
		return
	}
	c.shared = append(c.shared, o.set)
}

// config is made once for a runner and never changes after that.
type config struct {
	tracerProvider trace.TracerProvider
	meterProvider  metric.MeterProvider
	propagator     propagation.TextMapPropagator
	logger         *slog.Logger

	errorText     func(error) string
	recoverPanics bool

	labels       []string
	schedules    []schedule
	maxTaskNames int

	limits ledger.Limits

	stillRunning time.Duration

	clock func() time.Duration // monotonic, since some fixed time
	now   func() time.Time     // the wall clock

	errs []error
}

// processStart anchors the default clock: a reading since a fixed time costs
// half of what time.Now does.
var processStart = time.Now()

func newConfig(opts []Option) *config {
	c := &config{
		maxTaskNames: defaultMaxTaskNames,
		limits: ledger.Limits{
			RepeatedStatements: defaultRepeatedStatements,
			SlowStatements:     defaultSlowStatements,
			IdleTransactions:   defaultIdleTransactions,
			OperationSpans:     defaultMaxOperationSpans,
		},
		clock: func() time.Duration { return time.Since(processStart) },
		now:   time.Now,
	}
	for _, o := range opts {
		if o != nil {
			o.apply(c)
		}
	}
	if n := len(c.schedules); n > c.maxTaskNames {
		c.mistake("%d scheduled tasks, but at most %d task names", n, c.maxTaskNames)
	}
	return c
}

func (c *config) mistake(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("worker: "+format, args...))
}

func (c *config) err() error { return errors.Join(c.errs...) }

// WithTracerProvider sets where spans come from. Nil, the default, means the
// global provider, whether it is set before or after [New].
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(c *config) { c.tracerProvider = p })
}

// WithMeterProvider sets where instruments come from. Nil, the default, means
// the global provider, whether it is set before or after [New].
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meterProvider = p })
}

// WithPropagator sets how [Inject], [FromCarrier] and [ContinueFrom] write and read a trace
// context. Nil, the default, means the global propagator, looked up at each
// call. OpenTelemetry's own default for that one carries nothing.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return optionFunc(func(c *config) { c.propagator = p })
}

// WithLogger sets where failures (ERROR) and findings (WARN) are logged, with
// the task's context. Nil, the default, means [slog.Default], looked up for
// each record.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) { c.logger = l })
}

// WithErrorText sets the function that makes an error's text fit for spans and
// logs, instead of errs.Message. It is called with what a task returned, with
// an *errs.PanicError for a panic, and with the cause of a cancellation, from
// any goroutine. If it panics the error's type is used as its text. Nil means
// the default.
func WithErrorText(f func(error) string) Option {
	return optionFunc(func(c *config) { c.errorText = f })
}

// WithRecoverPanics turns the panic of a task into an error, an
// *errs.PanicError, which the task returns. Without it, the same value panics
// on after it has been recorded.
func WithRecoverPanics() Option {
	return optionFunc(func(c *config) { c.recoverPanics = true })
}

// WithLabelKeys declares the attributes of worker.task.duration that tasks may set
// with [WithLabel]. Every combination of values is a time series of its own, so
// labels should have few values. An empty key, one that the metric has anyway, or
// that Prometheus or its exporter keeps for itself (le, quantile, job, instance,
// otel_scope_…, __…), one that is not UTF-8, and two that are one to Prometheus,
// such as a.b and a_b, are mistakes.
func WithLabelKeys(keys ...string) Option {
	return optionFunc(func(c *config) {
		for _, k := range keys {
			if reservedLabel(k) || !utf8.ValidString(k) {
				c.mistake("%q cannot be a label", k)
				continue
			}
			same := func(other string) bool { return other != k && prometheusName(other) == prometheusName(k) }
			if i := slices.IndexFunc(c.labels, same); i >= 0 {
				c.mistake("the labels %q and %q are one to Prometheus", c.labels[i], k)
				continue
			}
			c.labels = append(c.labels, k)
		}
	})
}

// reservedLabel reports whether a label would not be a metric's own: a duplicate
// makes Prometheus reject all that it scrapes.
func reservedLabel(key string) bool {
	name := prometheusName(key)
	switch name {
	case "", "le", "quantile", "job", "instance":
		return true
	}
	for _, own := range []attribute.Key{keyTaskName, keyTaskResult, semconv.ErrorTypeKey} {
		if name == prometheusName(string(own)) {
			return true
		}
	}
	return strings.HasPrefix(name, "otel_scope_") || len(key) > 1 && !alphanumeric(rune(key[0])) && !alphanumeric(rune(key[1]))
}

// prometheusName returns a label's name in Prometheus, whose exporters may or
// may not take several underscores together.
func prometheusName(key string) string {
	var b strings.Builder
	last := rune(0)
	for _, c := range key {
		if !alphanumeric(c) {
			c = '_'
		}
		if c != '_' || last != '_' {
			b.WriteRune(c)
		}
		last = c
	}
	return b.String()
}

func alphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// schedule is how often a task is to succeed.
type schedule struct {
	task  string
	every time.Duration
}

// WithSchedule declares that the task of that name is to succeed once in that time,
// slack included: 26 hours for a nightly task. The time is the metric
// worker.task.schedule.interval, and worker.task.schedule.start.timestamp is when
// the runner was made, so that an alert finds a task that is late, or that never
// ran. The last call for a name counts. An empty name and a time that is not
// positive are mistakes, and so are more names than [WithMaxTaskNames] allows.
func WithSchedule(name string, every time.Duration) Option {
	return optionFunc(func(c *config) {
		switch {
		case name == "":
			c.mistake("a scheduled task has no name")
			return
		case every <= 0:
			c.mistake("the schedule of %q: %v is not positive", valid(name), every)
			return
		}
		c.schedules = slices.DeleteFunc(c.schedules, func(s schedule) bool { return s.task == name })
		c.schedules = append(c.schedules, schedule{name, every})
	})
}

// WithMaxTaskNames sets how many distinct task names the metrics have;
// those that come later share the name _OTHER. The default is 200. Spans always
// have the task's own name. Less than one is a mistake.
func WithMaxTaskNames(n int) Option {
	return optionFunc(func(c *config) {
		if n < 1 {
			c.mistake("at most %d task names: must be at least 1", n)
			return
		}
		c.maxTaskNames = n
	})
}

// WithRepeatedStatements sets how often statements of one text must run in a task
// to make a finding of the kind repeated_statement. The default is 20;
// zero turns the finding off. Less is a mistake.
func WithRepeatedStatements(n int) SharedOption {
	return sharedOption{func(l *ledger.Limits) { l.RepeatedStatements = int64(n) }, negative(n < 0, "repeated statements", n)}
}

// WithSlowStatements sets the time inside the driver from which a statement
// makes a finding of the kind slow_statement. The default is one second; zero
// turns the finding off. Less is a mistake.
func WithSlowStatements(d time.Duration) SharedOption {
	return sharedOption{func(l *ledger.Limits) { l.SlowStatements = d }, negative(d < 0, "slow statements", d)}
}

// WithIdleTransactions sets the time without an operation from which a
// transaction makes a finding of the kind transaction_idle. The default is ten
// seconds; zero turns the finding off. Less is a mistake.
func WithIdleTransactions(d time.Duration) SharedOption {
	return sharedOption{func(l *ledger.Limits) { l.IdleTransactions = d }, negative(d < 0, "idle transactions", d)}
}

// WithMaxOperationSpans sets how many operations of one kind have a span of
// their own in a trace. The default is 100; zero lifts the bound. Less is a
// mistake.
func WithMaxOperationSpans(n int) SharedOption {
	return sharedOption{func(l *ledger.Limits) { l.OperationSpans = n }, negative(n < 0, "operation spans", n)}
}

// negative returns the mistake that a value is below zero, if it is.
func negative(is bool, what string, value any) error {
	if !is {
		return nil
	}
	return fmt.Errorf("worker: %s: %v is negative", what, value)
}
