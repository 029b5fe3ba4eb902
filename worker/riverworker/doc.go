// Package riverworker makes the jobs of River (https://riverqueue.com) tasks of
// package worker, and carries the trace context from where a job is inserted to
// where it is worked, be it another process or another machine:
//
//	client, err := river.NewClient(driver, &river.Config{
//		Plugins: []rivertype.Plugin{riverworker.New()},
//		...
//	})
//
// It is a module of its own, so that users of package worker do not inherit
// River.
//
// # Inserting
//
// Each insert is a span of the kind producer: one for a call, however many jobs
// it inserts. Its trace context and baggage go into the metadata of the jobs as
// worker.Inject writes them: with the W3C propagators under the keys
// traceparent, tracestate and baggage. Nothing else in the metadata is changed,
// and metadata that has one of these keys keeps what it has, so that a job that
// is inserted again with the metadata of another one belongs to the same insert.
// Where no propagator is set, which is what OpenTelemetry starts with, nothing
// is carried; package telemetry sets the W3C ones.
//
// The span has the attributes messaging.system (river), messaging.operation.type
// (send), messaging.operation.name (insert), where they are the same for all
// jobs messaging.destination.name (the queue) and river.job.kind, and
// messaging.batch.message_count if there are several jobs, else
// messaging.message.id (the job's, unless the job was a duplicate of a unique
// one). If the insert fails, it has error.type and the status Error.
//
// # Working
//
// Each attempt at a job is a task with the job's kind as its name. Its span is of
// the kind consumer, the root of a trace of its own, and linked to the insert,
// or with [WithAsParent] a child of it. Next to the attributes of a task it has
// messaging.system, messaging.operation.type (process), messaging.operation.name
// (work), messaging.destination.name, messaging.message.id, and
// messaging.client.id, the River client that works on it. The id of the task is
// that of the job. Time in the queue counts from when the job could be worked:
// from its scheduled_at if that was later than the insert, as for retries and
// snoozed jobs.
//
//	the job                         result        River gets
//	returns nil                     success       nil
//	returns an error                retry         the same error
//	  on its last attempt           failure       the same error
//	returns river.JobSnooze         skip          the same error
//	returns river.JobCancel         cancellation  the same error
//	is cancelled by JobCancel(ctx)  cancellation  the same error, if it reports that its context is done
//	  and fails with another error  failure       the same error: River cancels the job
//	is stopped with its client      cancellation  the same error, if it reports that its context is done
//	exceeds its timeout             retry         the same error, likewise
//	  on its last attempt           timeout       the same error, likewise
//	panics                          panic         the same panic
//	  with worker.WithRecoverPanics panic         an *errs.PanicError
//	calls runtime.Goexit            retry         worker.ErrGoexit
//	  on its last attempt           failure       worker.ErrGoexit
//	(the runner is draining)        -             a snooze of a second, and worker.ErrDraining
//
// An attempt is the last one if the job has had its MaxAttempts. River asks its
// ErrorHandler after the task has ended: if that cancels the job, the attempt has
// been recorded as a retry nevertheless.
//
// The plugin has to be in river.Config.Plugins. In Middleware it does not see the
// deadlines that River gives to jobs, and timeouts are failures.
//
// Workers that are added with [AddWorker] instead of [river.AddWorker] have the
// name of their method Work as the code.function.name of their jobs' spans.
//
// Package worker documents what the results mean for span, log and metrics. To River
// alone, a Goexit would leave the job running until it is rescued, and the
// client unable to stop: the plugin runs each job on a goroutine of its own. The
// trace that River keeps of a panic therefore ends in this package; the span and
// the log record of the task have the stack of the panic itself.
//
// Jobs whose kind the client does not know fail before any plugin is asked, and
// have no span.
//
// # Metrics
//
// The plugin has the metrics of the OpenTelemetry conventions for messaging, in
// development there. All have messaging.system, messaging.operation.name,
// messaging.destination.name (the queue, of the first 256 that the plugin sees),
// and error.type if the operation failed:
//
//   - messaging.client.operation.duration, a histogram in seconds: inserts, with
//     messaging.operation.type; without the queue if an insert has several;
//   - messaging.client.sent.messages, a counter: jobs that were inserted, or should
//     have been. Duplicates of unique jobs do not count. Jobs that are inserted in a
//     transaction count at the insert, also if it is rolled back later;
//   - messaging.process.duration, a histogram in seconds: attempts at jobs. Snoozes
//     and cancellations have no error.type.
//
// The buckets end at ten seconds, as the conventions have it: use
// worker.task.duration for jobs that take longer.
//
// [ObserveQueues] measures how many jobs wait in each queue, and for how long.
//
// # Shutting down
//
// Stop the client first, then drain the runner, then shut the providers down:
//
//	err := errors.Join(client.Stop(ctx), runner.Drain(ctx), shutdown(ctx))
//
// # The database of the queue
//
// River polls. Give it a pool that is not traced, or one that was opened with
// otdb.WithRequireParent, which traces only the statements within a task or
// another span: those of inserts, for example. The statements of jobs themselves
// are traced if they use a pool opened by package otdb, and pass on
// their context.
package riverworker
