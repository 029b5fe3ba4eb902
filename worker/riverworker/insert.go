package riverworker

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/worker"
)

// operationInsert is River's word for putting jobs into a queue.
const operationInsert = "insert"

// keyJobKind is the kind of job that is inserted, if they are all of one.
const keyJobKind = attribute.Key("river.job.kind")

// InsertMany implements [rivertype.JobInsertMiddleware]: one span for the jobs
// of one call, and its trace context in the metadata of each. River calls it for
// every way to insert jobs.
func (p *Plugin) InsertMany(ctx context.Context, params []*rivertype.JobInsertParams, doInner func(context.Context) ([]*rivertype.JobInsertResult, error)) (results []*rivertype.JobInsertResult, err error) {
	if len(params) == 0 {
		return doInner(ctx)
	}
	started := time.Now()
	ctx, span := p.startInsert(ctx, params, started)
	inject(ctx, params)
	err = errNotReturned
	defer func() {
		ended := time.Now()
		errorType := ""
		switch {
		case err == errNotReturned: //nolint:errorlint // the sentinel itself
			errorType = semconv.ErrorTypeOther.Value.AsString()
		case err != nil:
			errorType = errorTypeOf(err)
		}
		endInsert(span, results, err, errorType, ended)
		p.instruments.inserted(ctx, ended.Sub(started), queueOf(params), sent(params, results), errorType)
	}()
	results, err = doInner(ctx)
	return results, err
}

// errNotReturned stands for the error of an insert that panicked, or whose
// goroutine exits.
var errNotReturned = errors.New("the insert did not return")

// queueOf returns the queue of all jobs, "" if they are not of one.
func queueOf(params []*rivertype.JobInsertParams) string {
	return common(params, func(j *rivertype.JobInsertParams) string { return j.Queue })
}

// sent returns how many jobs were inserted, or should have been, by their queue.
// Duplicates of unique jobs were not.
func sent(params []*rivertype.JobInsertParams, results []*rivertype.JobInsertResult) map[string]int64 {
	counts := make(map[string]int64, 1)
	for i, j := range params {
		if i < len(results) && results[i] != nil && results[i].UniqueSkippedAsDuplicate {
			continue
		}
		counts[j.Queue]++
	}
	return counts
}

func (p *Plugin) startInsert(ctx context.Context, params []*rivertype.JobInsertParams, at time.Time) (out context.Context, span trace.Span) {
	// The span in ctx is not this one's to end.
	out, span = ctx, trace.SpanFromContext(context.Background())
	defer guard("starting a span")
	name := operationInsert
	kv := make([]attribute.KeyValue, 0, 6)
	kv = append(kv, messagingSystem, semconv.MessagingOperationTypeSend, semconv.MessagingOperationName(operationInsert))
	if queue := queueOf(params); queue != "" {
		name += " " + queue
		kv = append(kv, semconv.MessagingDestinationName(queue))
	}
	if kind := common(params, func(j *rivertype.JobInsertParams) string { return j.Kind }); kind != "" {
		kv = append(kv, keyJobKind.String(kind))
	}
	if len(params) > 1 {
		kv = append(kv, semconv.MessagingBatchMessageCount(len(params)))
	}
	c, s := p.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(at), trace.WithAttributes(kv...))
	if c != nil && s != nil {
		out, span = c, s
	}
	return out, span
}

// common returns what is the same of all jobs, "" if it is not.
func common(params []*rivertype.JobInsertParams, of func(*rivertype.JobInsertParams) string) string {
	first := of(params[0])
	for _, j := range params[1:] {
		if of(j) != first {
			return ""
		}
	}
	return first
}

// inject puts the trace context of ctx into the metadata of all jobs.
func inject(ctx context.Context, params []*rivertype.JobInsertParams) {
	defer guard("injecting a trace context")
	c := propagation.MapCarrier{}
	worker.Inject(ctx, c)
	if len(c) == 0 {
		return
	}
	for _, j := range params {
		j.Metadata = withContext(j.Metadata, c)
	}
}

// endInsert ends the span of an insert.
func endInsert(span trace.Span, results []*rivertype.JobInsertResult, err error, errorType string, at time.Time) {
	defer guard("ending a span")
	defer span.End(trace.WithTimestamp(at))
	if !span.IsRecording() {
		return
	}
	switch {
	case err != nil:
		span.SetAttributes(semconv.ErrorTypeKey.String(errorType))
		span.SetStatus(codes.Error, errs.Message(err))
	case len(results) == 1 && results[0] != nil && results[0].Job != nil && !results[0].UniqueSkippedAsDuplicate:
		span.SetAttributes(semconv.MessagingMessageID(strconv.FormatInt(results[0].Job.ID, 10)))
	}
}
