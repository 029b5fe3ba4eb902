package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// taskScope is the instrumentation scope of package worker.
const taskScope = "github.com/taskspan/taskspan/worker"

const (
	// firstReport is how long after the first span was dropped this is reported.
	firstReport = 10 * time.Second
	// reportInterval is the least time between two reports.
	reportInterval = time.Minute
)

// NewSpanProcessor returns a processor that exports spans in batches, as sdktrace.NewBatchSpanProcessor does,
// but with a queue of their own for the spans of tasks and for those that a trace begins with in this process.
// These end last: in one queue they would be dropped behind the thousands of statements of a large task, and
// they have its outcome. [Start] uses it for each exporter.
//
// For programs that set up their own TracerProvider:
//
//	sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(telemetry.NewSpanProcessor(exporter)))
//
// The variables OTEL_BSP_* hold for each of the two queues; the options come over them. A value that is no good
// is replaced by the default. Unlike that of the SDK, a queue counts the spans that are being exported. Calls of
// the exporter never overlap.
//
// Spans that find their queue full are dropped and counted. Their number is reported to otel.Handle, with what
// to set: ten seconds after the first, then once a minute at most, and at Shutdown.
func NewSpanProcessor(exporter sdktrace.SpanExporter, opts ...sdktrace.BatchSpanProcessorOption) sdktrace.SpanProcessor {
	o := sdktrace.BatchSpanProcessorOptions{
		MaxQueueSize:       integer(envBSPMaxQueueSize),
		MaxExportBatchSize: integer(envBSPMaxBatchSize),
		BatchTimeout:       millis(envBSPScheduleDelay),
		ExportTimeout:      millis(envBSPExportTimeout),
	}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	o.MaxExportBatchSize = min(o.MaxExportBatchSize, o.MaxQueueSize)
	p := &spanProcessor{exporter: exporter, turn: make(chan struct{}, 1), queueSize: o.MaxQueueSize}
	p.life, p.end = context.WithCancel(context.Background())
	p.tasks, p.others = p.newQueue(o), p.newQueue(o)
	return p
}

// spanProcessor has two batch processors of the SDK, and an exporter that they share.
type spanProcessor struct {
	exporter  sdktrace.SpanExporter
	turn      chan struct{} // holds a value while the exporter is in use
	tasks     *spanQueue
	others    *spanQueue
	queueSize int
	stopped   atomic.Bool
	life      context.Context // ends with Shutdown, and then what is still being exported
	end       context.CancelFunc

	dropped atomic.Int64 // not yet reported
	mu      sync.Mutex
	due     time.Time // of the next report; zero: nothing was dropped yet
}

var _ sdktrace.SpanProcessor = (*spanProcessor)(nil)

// spanQueue is a batch processor that never has to drop a span, since it is given no more than it has room for.
// The SDK's does not report what it drops.
type spanQueue struct {
	owner   *spanProcessor
	batch   sdktrace.SpanProcessor
	bounded bool
	waiting atomic.Int64 // spans, those that are being exported included
}

func (p *spanProcessor) newQueue(o sdktrace.BatchSpanProcessorOptions) *spanQueue {
	q := &spanQueue{owner: p, bounded: !o.BlockOnQueueFull}
	q.batch = sdktrace.NewBatchSpanProcessor(q, func(to *sdktrace.BatchSpanProcessorOptions) { *to = o })
	return q
}

// OnStart implements sdktrace.SpanProcessor.
func (p *spanProcessor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (p *spanProcessor) OnEnd(s sdktrace.ReadOnlySpan) {
	if p.stopped.Load() || p.exporter == nil || !s.SpanContext().IsSampled() {
		return
	}
	q := p.others
	if parent := s.Parent(); !parent.IsValid() || parent.IsRemote() || s.InstrumentationScope().Name == taskScope {
		q = p.tasks
	}
	if waiting := q.waiting.Add(1); q.bounded && waiting > int64(p.queueSize) {
		q.waiting.Add(-1)
		p.drop(1)
		return
	}
	q.batch.OnEnd(s)
}

var _ sdktrace.SpanExporter = (*spanQueue)(nil)

var errShutdown = errors.New("telemetry: shut down")

// ExportSpans implements sdktrace.SpanExporter: it waits for its turn, and exports.
func (q *spanQueue) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	p := q.owner
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.life, func() { cancel(errShutdown) })()
	defer p.report(false)
	defer q.waiting.Add(-int64(len(spans)))
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
		return p.exporter.ExportSpans(ctx, spans)
	case <-ctx.Done():
		p.drop(len(spans))
		return fmt.Errorf("telemetry: waiting for another export: %w", context.Cause(ctx))
	}
}

// Shutdown implements sdktrace.SpanExporter. The exporter is stopped once, behind both queues.
func (*spanQueue) Shutdown(context.Context) error { return nil }

// drop counts spans that are lost.
func (p *spanProcessor) drop(n int) {
	p.dropped.Add(int64(n))
	p.report(false)
}

// report reports how many spans were dropped, if it is time, or the last chance.
func (p *spanProcessor) report(last bool) {
	if p.dropped.Load() == 0 {
		return
	}
	now := time.Now()
	p.mu.Lock()
	if p.due.IsZero() {
		p.due = now.Add(firstReport)
	}
	if !last && now.Before(p.due) {
		p.mu.Unlock()
		return
	}
	p.due = now.Add(reportInterval)
	n := p.dropped.Swap(0)
	p.mu.Unlock()
	if n > 0 {
		otel.Handle(fmt.Errorf("telemetry: %d spans were dropped, since a queue of %d was full: "+
			"set %s higher, sample fewer traces, or find out why the exporter is slow", n, p.queueSize, envBSPMaxQueueSize))
	}
}

// ForceFlush implements sdktrace.SpanProcessor. The spans of tasks come first.
func (p *spanProcessor) ForceFlush(ctx context.Context) error {
	return errors.Join(p.tasks.batch.ForceFlush(ctx), p.others.batch.ForceFlush(ctx))
}

// Shutdown implements sdktrace.SpanProcessor.
func (p *spanProcessor) Shutdown(ctx context.Context) error {
	if p.stopped.Swap(true) {
		return nil
	}
	// Both at once: the one waits for the other's turn, and then for no longer than ctx.
	var others error
	done := make(chan struct{})
	go func() {
		defer close(done)
		others = p.others.batch.Shutdown(ctx)
	}()
	tasks := p.tasks.batch.Shutdown(ctx)
	<-done
	p.end() // an exporter that hangs leaves nothing behind
	err := errors.Join(tasks, others)
	if p.exporter != nil {
		err = errors.Join(err, p.exporter.Shutdown(ctx))
	}
	p.report(true)
	return err
}
