package riverworker

import (
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/riverqueue/river/rivertype"

	"github.com/taskspan/taskspan/worker"
)

// Option configures a [Plugin].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// config is made once for a plugin and never changes after that.
type config struct {
	runner         *worker.Runner
	tracerProvider trace.TracerProvider
	meterProvider  metric.MeterProvider
	taskOptions    func(*rivertype.JobRow) []worker.TaskOption
	asParent       bool
}

func newConfig(opts []Option) *config {
	c := new(config)
	for _, o := range opts {
		if o != nil {
			o.apply(c)
		}
	}
	return c
}

// WithRunner sets the runner whose tasks the jobs are. Nil, the default, means
// [worker.Default], looked up for each job.
func WithRunner(r *worker.Runner) Option {
	return optionFunc(func(c *config) { c.runner = r })
}

// WithTracerProvider sets where the spans of inserts come from; those of jobs
// come from the runner. Nil, the default, means the global provider, whether it
// is set before or after [New].
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(c *config) { c.tracerProvider = p })
}

// WithMeterProvider sets where the metrics of package riverworker come from; those
// of tasks come from the runner. Nil, the default, means the global provider,
// whether it is set before or after [New].
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meterProvider = p })
}

// WithTaskOptions sets a function that returns more options for the task that a
// job is, such as a label, or an input made from what of its arguments may be
// seen. They come over those that the plugin gives. If the function panics,
// that is reported to otel.Handle, and the job runs without them. It is called
// from any goroutine, and must not change the job.
func WithTaskOptions(f func(*rivertype.JobRow) []worker.TaskOption) Option {
	return optionFunc(func(c *config) { c.taskOptions = f })
}

// WithAsParent makes the span of the insert the parent of the job's, instead of
// a link from it, as [worker.ContinueFrom] does. Use it where a trace is looked
// at as a whole, and jobs are done soon: a retry weeks later still belongs to
// that trace.
func WithAsParent() Option {
	return optionFunc(func(c *config) { c.asParent = true })
}
