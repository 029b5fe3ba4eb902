package worker

// Result is how a task ended: a value of the attribute worker.task.result.
type Result string

// The values of [Result]. The package's documentation lists which of them a task
// has.
const (
	ResultSuccess      Result = "success"
	ResultFailure      Result = "failure"
	ResultPanic        Result = "panic"
	ResultCancellation Result = "cancellation"
	ResultTimeout      Result = "timeout"
	ResultSkip         Result = "skip"
	ResultRetry        Result = "retry"
)
