package riverworker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// keyJobState is the state of the jobs that a gauge counts.
const keyJobState = attribute.Key("river.job.state")

// observedStates are the states of jobs that are not done.
var observedStates = []rivertype.JobState{
	rivertype.JobStateAvailable,
	rivertype.JobStatePending,
	rivertype.JobStateRetryable,
	rivertype.JobStateRunning,
	rivertype.JobStateScheduled,
}

const (
	// queuesTimeout is how long a collection of the metrics waits for the database.
	queuesTimeout = time.Second
	// queuesPause is how long a reading of the queues is used.
	queuesPause = 5 * time.Second
)

// ObserveQueues measures the queues of a client's database, at most every five
// seconds, when the metrics are collected:
//
//   - river.queue.jobs, a gauge: jobs that are not done, with
//     messaging.destination.name (the queue) and river.job.state: available,
//     pending, retryable, running or scheduled;
//   - river.queue.oldest.age, a gauge in seconds: how long the oldest available job
//     could have been worked by now, by the database's clock; zero if there is none.
//
// Both have messaging.system. A queue is measured from when it first has a job on,
// and then also while it has none. At most 256 queues have a name: the others are
// counted together, without one.
//
// Each process that observes a database reports the whole of it. Observe it in one
// process, or aggregate by max instead of sum.
//
// The client's driver has to be one for PostgreSQL or SQLite. It runs one
// statement, which reads an index of the jobs that are not done, on the pool of the
// client. A collection waits at most one second for it. If the statement has not
// returned by then, it is cancelled; if it fails, that is reported to otel.Handle.
// The gauges are absent until it succeeds, and there is never more than one.
//
// The option [WithMeterProvider] applies, the others do not. The returned function ends it; it is
// never nil and may be called more than once. If err is not nil, nothing is
// measured.
func ObserveQueues[TTx any](client *river.Client[TTx], opts ...Option) (stop func(), err error) {
	if client == nil {
		return func() {}, errors.New("riverworker: ObserveQueues: the client is nil")
	}
	driver := client.Driver()
	statement, err := queuesStatement(driver.DatabaseName(), client.Schema())
	if err != nil {
		return func() {}, err
	}
	executor := driver.GetExecutor()
	return observeQueues(newConfig(opts), func(ctx context.Context) ([]queueReading, error) {
		return readQueues(ctx, executor, statement)
	})
}

// queueReading is what one queue has of one state.
type queueReading struct {
	Queue string             `json:"queue"`
	State rivertype.JobState `json:"state"`
	Jobs  int64              `json:"jobs"`
	Age   float64            `json:"age"` // of the oldest, in seconds
}

// queuesStatement returns a statement whose only value is a JSON array of
// readings, since River's drivers return single rows.
func queuesStatement(database, schema string) (string, error) {
	table := "river_job"
	if schema != "" {
		table = `"` + strings.ReplaceAll(schema, `"`, `""`) + `".` + table
	}
	states := make([]string, 0, len(observedStates))
	for _, s := range observedStates {
		states = append(states, "'"+string(s)+"'")
	}
	in := strings.Join(states, ", ")
	switch database {
	case riverdriver.DatabaseNamePostgres:
		return `SELECT coalesce(json_agg(json_build_object('queue', queue, 'state', state, 'jobs', jobs, 'age', age))::text, '[]')
FROM (SELECT queue, state::text AS state, count(*) AS jobs, extract(epoch FROM now() - min(scheduled_at)) AS age
	FROM ` + table + ` WHERE state IN (` + in + `) GROUP BY queue, state) AS q`, nil
	case riverdriver.DatabaseNameSQLite:
		return `SELECT coalesce(json_group_array(json_object('queue', queue, 'state', state, 'jobs', jobs, 'age', age)), '[]')
FROM (SELECT queue, state, count(*) AS jobs, (julianday('now') - min(julianday(scheduled_at))) * 86400.0 AS age
	FROM ` + table + ` WHERE state IN (` + in + `) GROUP BY queue, state) AS q`, nil
	default:
		return "", fmt.Errorf("riverworker: ObserveQueues: the driver is for %q; only PostgreSQL and SQLite are measured", database)
	}
}

func readQueues(ctx context.Context, executor riverdriver.Executor, statement string) (readings []queueReading, err error) {
	var text string
	if err := executor.QueryRow(ctx, statement).Scan(&text); err != nil {
		return nil, err
	}
	err = json.Unmarshal([]byte(text), &readings)
	return readings, err
}

// queuesObserver keeps the last reading.
type queuesObserver struct {
	ctx  context.Context //nolint:containedctx // done when observing ends
	read func(context.Context) ([]queueReading, error)

	mu      sync.Mutex
	reading chan struct{} // closed when the statement that runs has returned; nil: none runs
	next    time.Time     // when to read again
	valid   bool
	jobs    map[queueState]int64
	ages    map[string]float64
	names   queueNames
}

type queueState struct {
	queue string // "": of all that have no name here
	state rivertype.JobState
}

func observeQueues(c *config, read func(context.Context) ([]queueReading, error)) (stop func(), err error) {
	defer func() {
		if v := recover(); v != nil {
			stop, err = func() {}, fmt.Errorf("riverworker: ObserveQueues: the meter panicked with a %T", v)
		}
	}()
	m, err := meter(c.meterProvider)
	if err != nil {
		return func() {}, err
	}
	jobs, err1 := m.Int64ObservableGauge("river.queue.jobs",
		metric.WithUnit("{job}"),
		metric.WithDescription("Jobs in a queue that are not done, by their state."))
	age, err2 := m.Float64ObservableGauge("river.queue.oldest.age",
		metric.WithUnit("s"),
		metric.WithDescription("How long the oldest available job of a queue has waited to be worked."))
	if err := errors.Join(err1, err2); err != nil {
		return func() {}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	q := &queuesObserver{ctx: ctx, read: read}
	registration, err := m.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		q.refresh(ctx)
		q.observe(func(kv attribute.Set, n int64) { o.ObserveInt64(jobs, n, metric.WithAttributeSet(kv)) },
			func(kv attribute.Set, s float64) { o.ObserveFloat64(age, s, metric.WithAttributeSet(kv)) })
		return nil
	}, jobs, age)
	if err != nil {
		cancel()
		return func() {}, err
	}
	return sync.OnceFunc(func() {
		defer guard("ending to observe queues")
		cancel()
		if err := registration.Unregister(); err != nil {
			otel.Handle(err)
		}
	}), nil
}

// refresh reads the queues if the last reading is too old, and waits for that, but
// not for long: a driver need not listen to its context.
func (q *queuesObserver) refresh(ctx context.Context) {
	q.mu.Lock()
	reading := q.reading
	if reading == nil && !time.Now().Before(q.next) && q.ctx.Err() == nil {
		reading = make(chan struct{})
		q.reading = reading
		go q.readOnce(reading)
	}
	q.mu.Unlock()
	if reading == nil {
		return
	}
	timer := time.NewTimer(queuesTimeout)
	defer timer.Stop()
	select {
	case <-reading:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// readOnce runs the statement, and keeps what it returns.
func (q *queuesObserver) readOnce(done chan<- struct{}) {
	var (
		readings []queueReading
		err      = errors.New("riverworker: reading the queues panicked")
	)
	defer func() {
		q.keep(readings, err)
		close(done)
	}()
	defer guard("reading the queues")
	ctx, cancel := context.WithTimeout(q.ctx, queuesTimeout)
	defer cancel()
	readings, err = q.read(ctx)
	if err != nil && q.ctx.Err() == nil {
		otel.Handle(fmt.Errorf("riverworker: reading the queues failed with %s", errorTypeOf(err)))
	}
}

// keep keeps a reading. Queues that were seen before have no jobs if it has none.
func (q *queuesObserver) keep(readings []queueReading, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reading, q.next, q.valid = nil, time.Now().Add(queuesPause), err == nil
	if err != nil {
		return
	}
	jobs, ages := make(map[queueState]int64), make(map[string]float64)
	for seen := range q.ages {
		ages[seen] = 0
	}
	for _, r := range readings {
		queue := r.Queue
		if !q.names.known(queue) {
			queue = ""
		}
		jobs[queueState{queue, r.State}] += r.Jobs
		ages[queue] = max(ages[queue], 0)
		if r.State == rivertype.JobStateAvailable {
			ages[queue] = max(ages[queue], r.Age)
		}
	}
	q.jobs, q.ages = jobs, ages
}

// observe reports the last reading, unless it failed.
func (q *queuesObserver) observe(jobs func(attribute.Set, int64), age func(attribute.Set, float64)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.valid {
		return
	}
	for queue, seconds := range q.ages {
		kv := make([]attribute.KeyValue, 0, 3)
		kv = append(kv, messagingSystem)
		if queue != "" {
			kv = append(kv, semconv.MessagingDestinationName(strings.ToValidUTF8(queue, "\uFFFD")))
		}
		age(attribute.NewSet(kv...), seconds)
		for _, state := range observedStates {
			jobs(attribute.NewSet(append(kv[:len(kv):len(kv)], keyJobState.String(string(state)))...), q.jobs[queueState{queue, state}])
		}
	}
}
