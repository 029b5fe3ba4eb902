package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// slowExporter takes a while for each batch, and must not be called while it is busy.
type slowExporter struct {
	takes time.Duration

	mu       sync.Mutex
	busy     bool
	names    map[string]int
	overlaps int
	stopped  int
}

func newSlowExporter(takes time.Duration) *slowExporter {
	return &slowExporter{takes: takes, names: make(map[string]int)}
}

func (e *slowExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.mu.Lock()
	if e.busy {
		e.overlaps++
	}
	e.busy = true
	e.mu.Unlock()
	var err error
	select {
	case <-time.After(e.takes):
	case <-ctx.Done():
		err = ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy = false
	if err == nil {
		for _, s := range spans {
			e.names[s.Name()]++
		}
	}
	return err
}

func (e *slowExporter) Shutdown(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped++
	return nil
}

func (e *slowExporter) count(name string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.names[name]
}

// tasksOf runs two tasks of 4,350 statements each, the second of them with a parent.
func tasksOf(tp trace.TracerProvider) {
	worker, otdb := tp.Tracer(taskScope), tp.Tracer("github.com/taskspan/taskspan/otdb")
	ctx := context.Background()
	for i := range 2 {
		taskCtx, task := worker.Start(ctx, fmt.Sprint("task ", i))
		for range 4350 {
			_, s := otdb.Start(taskCtx, "INSERT orders")
			s.End()
		}
		task.End()
		ctx = taskCtx
	}
}

// The spans of tasks arrive although there is no room for those of their statements, and what was dropped is
// reported once.
func TestTasksHaveTheirOwnQueue(t *testing.T) {
	errs := captureErrors(t)
	setEnv(t, nil)
	synctest.Test(t, func(t *testing.T) {
		e := newSlowExporter(50 * time.Millisecond)
		tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(NewSpanProcessor(e)))
		tasksOf(tp)
		time.Sleep(time.Minute)
		tasksOf(tp)
		time.Sleep(time.Second)
		if err := tp.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if e.count("task 0") != 2 || e.count("task 1") != 2 || e.overlaps != 0 || e.stopped != 1 {
			t.Errorf("exported %v, %d overlaps, stopped %d times", e.names, e.overlaps, e.stopped)
		}
		dropped := 0
		for i, err := range errs.all() {
			n := 0
			if _, scanErr := fmt.Sscanf(err.Error(), "telemetry: %d spans were dropped", &n); scanErr != nil {
				t.Errorf("report %d: %v", i, err)
			}
			if !strings.Contains(err.Error(), "OTEL_BSP_MAX_QUEUE_SIZE") {
				t.Errorf("%v does not say what to set", err)
			}
			dropped += n
		}
		if got := len(errs.all()); got != 2 {
			t.Errorf("%d reports: %v", got, errs.all())
		}
		if exported := e.count("INSERT orders"); dropped+exported != 2*8700 {
			t.Errorf("%d dropped and %d exported are not 17400", dropped, exported)
		}
	})
}

// A program that ends soon is told at once, and once.
func TestDropsReportedAtShutdown(t *testing.T) {
	errs := captureErrors(t)
	e := newSlowExporter(50 * time.Millisecond)
	tel, err := start(t, nil, WithSpanProcessor(NewSpanProcessor(e)))
	if err != nil {
		t.Fatal(err)
	}
	tasksOf(otel.GetTracerProvider())
	if err := tel.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if e.count("task 0") != 1 || e.count("task 1") != 1 {
		t.Errorf("exported %v", e.names)
	}
	if got := errs.all(); len(got) != 1 || !strings.Contains(got[0].Error(), "a queue of 2048 was full: set OTEL_BSP_MAX_QUEUE_SIZE higher") {
		t.Errorf("reports %v", got)
	}
}

func TestSpanProcessorOptions(t *testing.T) {
	errs := captureErrors(t)
	setEnv(t, map[string]string{envBSPMaxQueueSize: "-1", envBSPScheduleDelay: "0", envBSPMaxBatchSize: "-7"})
	synctest.Test(t, func(t *testing.T) {
		e := newSlowExporter(0)
		p := NewSpanProcessor(e, sdktrace.WithMaxQueueSize(10), sdktrace.WithMaxExportBatchSize(20), nil)
		tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(p))
		tracer := tp.Tracer("test")
		for range 15 {
			_, s := tracer.Start(context.Background(), "root")
			s.End()
		}
		_, unsampled := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(p), sdktrace.WithSampler(recordOnly{})).
			Tracer("test").Start(context.Background(), "unsampled")
		unsampled.End()
		if err := tp.ForceFlush(t.Context()); err != nil {
			t.Error(err)
		}
		_, s := tracer.Start(context.Background(), "late")
		s.End()
		if err := tp.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		p.OnEnd(nil) // after the end nothing is looked at
		if n := e.count("root"); n < 10 || n > 15 || e.count("late") != 1 || e.count("unsampled") != 0 {
			t.Errorf("exported %v", e.names)
		}
		if err := p.Shutdown(t.Context()); err != nil || e.stopped != 1 {
			t.Errorf("stopped %d times, %v", e.stopped, err)
		}
	})
	if got := errs.all(); len(got) > 1 {
		t.Errorf("%v", got)
	}
}

// With the SDK's option for it nothing is dropped.
func TestBlockingSpanProcessor(t *testing.T) {
	errs := captureErrors(t)
	setEnv(t, nil)
	synctest.Test(t, func(t *testing.T) {
		e := newSlowExporter(time.Millisecond)
		tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(
			NewSpanProcessor(e, sdktrace.WithBlocking(), sdktrace.WithMaxQueueSize(10))))
		tasksOf(tp)
		if err := tp.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := e.count("INSERT orders"); n != 8700 || len(errs.all()) != 0 {
			t.Errorf("%d exported, %v", n, errs.all())
		}
	})
}

// An exporter that hangs holds neither the application nor the shutdown, and errors of both queues are returned.
func TestHangingExporter(t *testing.T) {
	captureErrors(t)
	setEnv(t, nil)
	synctest.Test(t, func(t *testing.T) {
		e := newSlowExporter(time.Hour)
		tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(NewSpanProcessor(e)))
		tasksOf(tp)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if err := tp.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// recordOnly samples nothing, and records all the same.
type recordOnly struct{}

func (recordOnly) ShouldSample(sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{Decision: sdktrace.RecordOnly}
}
func (recordOnly) Description() string { return "recordOnly" }

// Start's exporters have such processors.
func TestStartUsesSpanProcessor(t *testing.T) {
	captureErrors(t)
	c := newCollector(t)
	tel, err := start(t, map[string]string{"OTEL_TRACES_EXPORTER": "otlp", envOTLPEndpoint: c.URL, envBSPMaxQueueSize: "10"})
	if err != nil {
		t.Fatal(err)
	}
	tasksOf(otel.GetTracerProvider())
	if err := tel.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var tasks []string
	for _, s := range c.spans {
		if strings.HasPrefix(s.item.GetName(), "task") {
			tasks = append(tasks, s.item.GetName())
		}
	}
	slices.Sort(tasks)
	if !slices.Equal(tasks, []string{"task 0", "task 1"}) {
		t.Errorf("tasks %q of %d spans", tasks, len(c.spans))
	}
}
