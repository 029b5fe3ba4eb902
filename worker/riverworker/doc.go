// Package riverworker is reserved for running River jobs as Taskspan tasks. It
// is a module of its own, so that users of package worker do not inherit River.
//
// What belongs here: a River middleware that puts the caller's trace context
// into a job when it is inserted, and runs the job through package worker when
// it is worked, with the job's kind as the name of the task, and its id,
// attempt and time in the queue as what the task knows of itself.
//
// The package exports nothing yet.
package riverworker
