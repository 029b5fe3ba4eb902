// Package worker traces worker tasks: one call around a function makes it a
// span with its queries as children, a point in a histogram and, if it fails,
// an error that is recorded once and comes back untouched.
//
//	err := worker.Run(ctx, "reindex", func(ctx context.Context) error {
//		_, err := db.ExecContext(ctx, "UPDATE packages SET ...")
//		return err
//	})
//
// Open the database with package otdb, and pass the function's own context to
// its queries: that is how they find their task. [Do] and [Wrap] are for
// functions with values, [Go] and [Group] for goroutines, [Inject] with
// [FromCarrier] or [ContinueFrom] for tasks that pass through a queue.
//
// Telemetry goes to the global OpenTelemetry providers, whenever they are set,
// or to those of a [Runner]; [New] makes one, [SetDefault] makes it that of the
// package's functions, and [Runner.Context] that of the tasks below a context.
//
// # What becomes of a task
//
//	in fn                    result        span status  error.type       event, log  Run returns
//	returns nil              success       unset        -                -           nil
//	returns an error         failure       Error        its type         yes         the same error
//	panics                   panic         Error        the panic's      with stack  nothing: it panics on
//	  with WithRecoverPanics panic         Error        the panic's      with stack  an *errs.PanicError
//	calls runtime.Goexit     failure       Error        runtime.Goexit   yes         nothing: it goes on
//	context was cancelled    cancellation  unset        -                -           the same error
//	context timed out        timeout       Error        its type         yes         the same error
//	fails or times out, and  retry         Error        its type         yes, WARN   the same error
//	  has another attempt
//	returns Permanent(err)   failure       Error        its type         yes         err
//	returns Skip(err)        skip          unset        -                -           err
//	panics with              cancellation  unset        -                -           nothing: it panics on
//	  http.ErrAbortHandler
//	(runner is draining)     -             -            -                -           ErrDraining, fn is not called
//
// Result and error.type (as package errs has it) are attributes of the span and
// of the metric worker.task.duration, whose value is the span's duration.
//
// A cancellation is an error that is context.Canceled, or a driver's own word
// for it, while the task's context is done; a timeout likewise. If several errors
// are joined, each must be one. If the context is still live, the same
// errors are failures: something else was cancelled. Why the context was done is
// the attribute worker.task.cancel.cause. A context that is done before the task
// starts changes nothing: fn is called, and decides.
//
// If fn returns the cause of its context ([context.Cause]), that is a timeout if
// its deadline has passed, and a cancellation if the cause is context.Canceled to
// errors.Is, as those of signal.NotifyContext are. Any other cause is a failure:
// something went wrong, and then the context was cancelled.
//
// There is another attempt if [WithAttempt] is less than [WithMaxAttempts]. Where
// the class of an error is known, worker.task.error.retryable reports whether trying
// again makes sense.
//
// A panic goes on with the same value, from a deferred call, so that a crash
// still prints the frames of the function that panicked. Future.Wait and
// Group.Wait panic with an *errs.PanicError, which keeps the value and the stack
// of the goroutine that panicked.
//
// Before a panic leaves a task, the task calls ForceFlush of its tracer provider,
// its meter provider, the global logger provider and its log handler, where they
// have that method: the process may be about to end. All tasks that one panic
// leaves share two seconds, and a runner does not do so again within ten, so that
// a server that recovers is not held up. An end of the process without a panic in a
// task cannot be caught: a panic on a goroutine that was started by a plain go
// statement, os.Exit, and fatal errors of the runtime.
//
// Events and log records hold the safe text of an error: no value that a driver
// quotes. They are made once, where the error happened: a task around that one
// has the status and the error.type, and neither event nor record, if it returns
// that error, wraps it, or lets the panic pass. An error is known by its identity:
// one that merely equals it is another one, but a value that every failure
// shares, such as io.EOF, is taken for the one that was recorded. A task that is
// not around the first one, and returns its error all the same, such as what
// Future.Wait gave it, or the cause of a group's context, records it again.
//
// Telemetry that fails or panics, and functions given to options that panic,
// are reported to otel.Handle and change nothing of this: fn runs exactly once.
// The source of a log record is the line that called Run, or what else started
// the task.
//
// # Spans
//
// A span has the name of its task, is of the kind internal, or consumer with
// [FromCarrier] and [ContinueFrom], and is a child of the span in the context. From
// its start on it has worker.task.name, code.function.name (that of fn), and what options add:
// worker.task.id, worker.task.attempt, worker.task.input.<key>, labels, and any
// attributes, the first 16 of them. At its end it gets worker.task.result,
// error.type, worker.task.error.retryable, worker.task.cancel.cause and, if there were database operations in the task or
// in tasks within it, worker.task.db.operations, worker.task.db.duration (in
// seconds, inside the driver), worker.task.db.rows and worker.task.db.errors.
// Goroutines that inherit the context write to the same account, until the task
// ends.
//
// # Metrics
//
//	worker.task.duration                histogram, s            name, result, error.type, labels
//	worker.task.active                  up-down counter, {task} name; observed
//	worker.task.oldest.age              gauge, s                name; absent while none is running
//	worker.task.last_success.timestamp  gauge, s (Unix time)    name; absent until it succeeded
//	worker.task.schedule.interval       gauge, s                name; see WithSchedule
//	worker.task.schedule.start.timestamp gauge, s (Unix time)   name; likewise
//	worker.task.queue.duration          histogram, s            name; see WithEnqueuedAt
//	worker.task.db.operations           histogram, {operation}  name; of tasks that had any
//	worker.task.db.duration             histogram, s            name; likewise
//	worker.task.db.wait                 histogram, s            name; of tasks that waited for connections
//	worker.task.findings                counter, {finding}      name, worker.finding.kind
//
// name and result stand for worker.task.name and worker.task.result. Durations
// are recorded with the context of their span, so that exemplars point at it.
//
// # Findings
//
// A finding is something that a task should not do to its databases. There is
// one for each kind and sanitised query text, and it is a WARN record, a span event
// worker.finding and a count:
//
//   - repeated_statement: one text ran 20 times or more ([WithRepeatedStatements]),
//     what tasks within this one have reported not counted again;
//   - rows_leaked: rows were open when the outermost task ended, or the last of
//     the tasks that they were opened in, if one outlived it;
//   - slow_statement: a statement took one second or more ([WithSlowStatements]);
//   - transaction_leaked: a transaction was open when rows would be leaked;
//   - transaction_idle: no operation of a transaction was open for ten seconds or
//     more ([WithIdleTransactions]);
//   - connection_wait: the task waited one second or more for the connections of a
//     pool.
//
// A finding has the place in the code, if that is known: see [Location].
//
// A task reports at most 16 of a kind, the worst first.
//
// # Reports
//
// A [Report] is what is known of one run: [Runner.Running] and [CurrentReport]
// return those of running tasks, [Runner.Watch] reports each run at its end,
// and [DrainError] has those that a runner has waited for in vain. [Progress]
// reports how far a task is, and [WithStillRunning] logs tasks that run for long.
package worker
