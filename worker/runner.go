package worker

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/instrument"
)

// exceptionSignals is the variable of the OpenTelemetry conventions for
// exceptions by which exceptions move from span events to logs. Both are
// recorded unless it is "logs", which leaves the events out.
const exceptionSignals = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"

// Runner runs tasks and records what becomes of them. It is safe for concurrent
// use. Make one with [New], or use [Default]; a zero or nil Runner stands for
// the default one.
type Runner struct {
	config      *config
	tracer      trace.Tracer
	instruments *instruments
	names       *names
	leaveGauges func() error
	noEvents    bool // exceptions are not recorded as span events

	labels     map[string]bool
	undeclared sync.Map // the labels that were reported, at most maxUndeclared
	reported   atomic.Int64

	watchers  atomic.Pointer[watchers] // nil if nobody watches
	lookout   lookout                  // see WithStillRunning
	lastFlush atomic.Int64             // a reading of the clock, plus one; 0: there was none

	draining atomic.Bool
	drainMu  sync.Mutex
	drained  bool          // under drainMu
	idle     chan struct{} // closed when drained
}

// New returns a runner. The error lists the options that are mistakes, and the
// instruments could not be made.
//
// New reads the environment variable OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN: with
// the value logs, errors are logged, and not added to the span as events. With
// logs/dup, or without it, they are both.
func New(opts ...Option) (*Runner, error) {
	c := newConfig(opts)
	if err := c.err(); err != nil {
		return nil, err
	}
	r, err := newRunner(c)
	if err != nil {
		return nil, errors.Join(err, r.leave())
	}
	return r, nil
}

// newRunner returns a runner that can be used even if there is an error.
func newRunner(c *config) (*Runner, error) {
	r := &Runner{
		config:   c,
		noEvents: exceptionsAsLogsOnly(os.Getenv(exceptionSignals)),
		labels:   make(map[string]bool),
		idle:     make(chan struct{}),
	}
	r.lookout.runner = r
	for _, k := range c.labels {
		r.labels[k] = true
	}
	var errTracer error
	r.tracer, errTracer = scope.Tracer(c.tracerProvider)
	group, errMeter := r.newMeter()
	r.names = newNames(c.maxTaskNames, group)
	for _, s := range c.schedules {
		k, _ := r.names.get(s.task)
		group.schedule(k.gauge, s.every, c.now())
	}
	return r, errors.Join(errTracer, errMeter)
}

// newMeter makes the instruments, and returns the state of the observable ones.
func (r *Runner) newMeter() (*gaugeGroup, error) {
	m := scope.Meter(r.config.meterProvider)
	r.instruments = newInstruments(m)
	group, leave, err := joinGauges(r.config, r.config.meterProvider)
	r.leaveGauges = leave
	return group, errors.Join(m.Err(), err)
}

func exceptionsAsLogsOnly(value string) bool {
	only := false
	for v := range strings.SplitSeq(value, ",") {
		switch strings.TrimSpace(v) {
		case "logs":
			only = true
		case "logs/dup":
			return false
		}
	}
	return only
}

// logger returns where to log.
func (r *Runner) logger() *slog.Logger {
	if l := r.config.logger; l != nil {
		return l
	}
	return slog.Default()
}

type runnerKey struct{}

// contextRunners reports whether there has been a context with a runner.
var contextRunners atomic.Bool

// Context returns a context in which r is the runner of the package's functions
// instead of [Default]: of tasks that start below it, and of what is injected.
// [WithRunner] and the methods of another runner come before it.
func (r *Runner) Context(ctx context.Context) context.Context {
	if r == nil || r.config == nil {
		r = Default()
	}
	if ctx == nil {
		ctx = context.Background()
	}
	contextRunners.Store(true)
	return context.WithValue(ctx, runnerKey{}, r)
}

// fromContext returns the runner of [Runner.Context], or nil. A program that
// does not use it pays nothing for it.
func fromContext(ctx context.Context) *Runner {
	if !contextRunners.Load() {
		return nil
	}
	r, _ := ctx.Value(runnerKey{}).(*Runner)
	return r
}

// runnerOf returns the runner of the package's functions in ctx.
func runnerOf(ctx context.Context) *Runner {
	if r := fromContext(ctx); r != nil {
		return r
	}
	return Default()
}

var (
	defaultMu     sync.Mutex
	defaultRunner atomic.Pointer[Runner]
)

// Default returns the runner of the package's functions: the one that
// [SetDefault] set last, else one without options, made when it is first asked
// for. If a part of that one cannot be made, otel.Handle gets the error, and it works
// without.
func Default() *Runner {
	if r := defaultRunner.Load(); r != nil {
		return r
	}
	defaultMu.Lock()
	defer defaultMu.Unlock()
	if r := defaultRunner.Load(); r != nil {
		return r
	}
	r, err := newRunner(newConfig(nil))
	instrument.Handle(err)
	defaultRunner.Store(r)
	return r
}

// SetDefault makes r the runner of the package's functions. Tasks that are
// running are not affected. With nil, [Default] makes a new one when it is next
// asked for.
func SetDefault(r *Runner) {
	defaultMu.Lock()
	defer defaultMu.Unlock()
	if r != nil && r.config == nil {
		r = nil // a zero Runner stands for the default one
	}
	defaultRunner.Store(r)
}
