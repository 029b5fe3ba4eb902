package main

// ofTask selects the tasks that the viewer chose.
const ofTask = `job=~"$job", instance=~"$instance", worker_task_name=~"$task"`

// ofQueue selects the queues that they may come from.
const ofQueue = `job=~"$job", instance=~"$instance"`

// Links to the traces of a task, which have its statements: of a series, of its errors,
// and of a row of a table.
var (
	taskTraces = []link{traces("Traces of the task, with its statements", "${__field.labels.worker_task_name:percentencode}", "")}
	failures   = []link{traces("Traces of such failures", "${__field.labels.worker_task_name:percentencode}", "error.type=${__field.labels.error_type:percentencode}")}
	rowTraces  = []link{traces("Traces of the task, with its statements", "${__data.fields.Task:percentencode}", "")}
	allTraces  = []link{traces("Traces of the service", "", "")}
)

const failed = `worker_task_result=~"failure|panic|timeout"`

// tasks is the dashboard of worker tasks.
func tasks() (file, error) {
	return newDashboard("taskspan-tasks", "Tasks", "What worker tasks do, how long they take, and how they end.", []group{
		{"Now", []chart{
			{kind: "stat", title: "Running", unit: count, width: 6, description: "Tasks that are running.",
				queries: []query{{expr: `sum(worker_task_active{` + ofTask + `})`, legend: "running"}}},
			{kind: "stat", title: "Runs per second", unit: perSec, width: 6, description: "Tasks that ended, over five minutes.",
				queries: []query{{expr: `sum(rate(worker_task_duration_seconds_count{` + ofTask + `}[5m]))`, legend: "runs"}}},
			{kind: "stat", title: "Failure ratio", unit: share, width: 6, description: "Failures, panics and timeouts among all runs, over five minutes.",
				queries: []query{{expr: `(sum(rate(worker_task_duration_seconds_count{` + ofTask + `, ` + failed + `}[5m])) or vector(0)) / sum(rate(worker_task_duration_seconds_count{` + ofTask + `}[5m]))`, legend: "failed"}}},
			{kind: "stat", title: "Longest silence", unit: seconds, width: 6, description: "The longest time since a task succeeded last.",
				queries: []query{{expr: `max(time() - max by (job, worker_task_name) (worker_task_last_success_timestamp_seconds{` + ofTask + `}))`, legend: "since a success"}}},
		}},
		{"Runs", []chart{
			{kind: "timeseries", title: "Rate by result", unit: perSec, width: 12, stacked: true, description: "Tasks that ended, by how they ended.",
				queries: []query{{expr: `sum by (worker_task_result) (rate(worker_task_duration_seconds_count{` + ofTask + `}[$__rate_interval]))`, legend: "{{worker_task_result}}"}}},
			{kind: "timeseries", title: "Rate by task", unit: perSec, width: 12, description: "Tasks that ended, by name.", links: taskTraces,
				queries: []query{{expr: `sum by (worker_task_name) (rate(worker_task_duration_seconds_count{` + ofTask + `}[$__rate_interval]))`, legend: "{{worker_task_name}}"}}},
			{kind: "timeseries", title: "Failure ratio by task", unit: share, width: 12, description: "Failures, panics and timeouts among the runs of each task.", links: taskTraces,
				queries: []query{{expr: `sum by (worker_task_name) (rate(worker_task_duration_seconds_count{` + ofTask + `, ` + failed + `}[$__rate_interval])) / sum by (worker_task_name) (rate(worker_task_duration_seconds_count{` + ofTask + `}[$__rate_interval]))`, legend: "{{worker_task_name}}"}}},
			{kind: "timeseries", title: "Failures by error type", unit: perSec, width: 12, stacked: true, description: "What went wrong: a code of a database, or the name of a Go type.", links: failures,
				queries: []query{{expr: `sum by (worker_task_name, error_type) (rate(worker_task_duration_seconds_count{` + ofTask + `, ` + failed + `}[$__rate_interval]))`, legend: "{{worker_task_name}} {{error_type}}"}}},
			{kind: "timeseries", title: "Retries by error type", unit: perSec, width: 24, stacked: true, description: "Attempts that failed and are tried again.", links: failures,
				queries: []query{{expr: `sum by (worker_task_name, error_type) (rate(worker_task_duration_seconds_count{` + ofTask + `, worker_task_result="retry"}[$__rate_interval]))`, legend: "{{worker_task_name}} {{error_type}}"}}},
		}},
		{"Duration", []chart{
			{kind: "timeseries", title: "Duration", unit: seconds, width: 12, description: "Percentiles over all chosen tasks. A dot is one run, and leads to its trace.", links: allTraces,
				queries: quantiles("worker_task_duration_seconds_bucket", ofTask)},
			{kind: "timeseries", title: "p99 by task", unit: seconds, width: 12, description: "What one run in a hundred of each task takes at least.", links: taskTraces,
				queries: []query{{expr: `histogram_quantile(0.99, sum by (worker_task_name, le) (rate(worker_task_duration_seconds_bucket{` + ofTask + `}[$__rate_interval])))`, legend: "{{worker_task_name}}"}}},
			{kind: "heatmap", title: "Distribution", unit: seconds, width: 12, description: "How many runs took how long. A dot is one run, and leads to its trace.", links: allTraces,
				queries: []query{{expr: `sum by (le) (increase(worker_task_duration_seconds_bucket{` + ofTask + `}[$__rate_interval]))`, legend: "{{le}}", exemplars: true}}},
			{kind: "timeseries", title: "Time in queue", unit: seconds, width: 12, description: "From enqueuing to start, where it is known: what one task in twenty waits at least.", links: taskTraces,
				queries: []query{{expr: `histogram_quantile(0.95, sum by (worker_task_name, le) (rate(worker_task_queue_duration_seconds_bucket{` + ofTask + `}[$__rate_interval])))`, legend: "{{worker_task_name}}"}}},
		}},
		{"Running", []chart{
			{kind: "table", title: "Running now", unit: count, width: 24, description: "Tasks that are running, and how long the oldest run of each has taken: against what 95 % of the runs in the chosen time took at most. The link of a task leads to its traces, and they to its statements.",
				by: []column{{"job", "Job", nil}, {"instance", "Instance", nil}, {"worker_task_name", "Task", rowTraces}},
				queries: []query{
					{expr: ofRow("sum", `worker_task_active{`+ofTask+`}`) + ` > 0`, legend: "Running"},
					{expr: ofRow("max", `worker_task_oldest_age_seconds{`+ofTask+`}`), legend: "Oldest", unit: seconds},
					{expr: whileRunning(`histogram_quantile(0.95, sum by (job, instance, worker_task_name, le) (increase(worker_task_duration_seconds_bucket{` + ofTask + `}[$__range]))) >= 0`), legend: "p95", unit: seconds},
					{expr: whileRunning(`time() - ` + ofRow("max", `worker_task_last_success_timestamp_seconds{`+ofTask+`}`)), legend: "Since a success", unit: seconds},
				}},
			{kind: "timeseries", title: "Active", unit: count, width: 8, stacked: true, description: "Tasks that are running, by name.", links: taskTraces,
				queries: []query{{expr: `sum by (worker_task_name) (worker_task_active{` + ofTask + `})`, legend: "{{worker_task_name}}"}}},
			{kind: "timeseries", title: "Oldest run", unit: seconds, width: 8, description: "How long the oldest running task of each name has run.", links: taskTraces,
				queries: []query{{expr: `max by (worker_task_name) (worker_task_oldest_age_seconds{` + ofTask + `})`, legend: "{{worker_task_name}}"}}},
			{kind: "timeseries", title: "Time since last success", unit: seconds, width: 8, description: "Since the last success on any instance.", links: taskTraces,
				queries: []query{{expr: `time() - max by (worker_task_name) (worker_task_last_success_timestamp_seconds{` + ofTask + `})`, legend: "{{worker_task_name}}"}}},
			{kind: "timeseries", title: "Left of the schedule", unit: seconds, width: 24, description: "How much of its schedule a task has left to succeed, counted from its last success, or else from the start of the process.", links: taskTraces,
				queries: []query{{expr: `max by (worker_task_name) (worker_task_schedule_interval_seconds{` + ofTask + `}) - (time() - (max by (worker_task_name) (worker_task_last_success_timestamp_seconds{` + ofTask + `}) or min by (worker_task_name) (worker_task_schedule_start_timestamp_seconds{` + ofTask + `})))`, legend: "{{worker_task_name}}"}}},
		}},
		{"Queues", []chart{
			{kind: "timeseries", title: "Age of the oldest job", unit: seconds, width: 8, description: "How long the oldest available job of each queue of River could have been worked by now.",
				queries: []query{{expr: `max by (messaging_destination_name) (river_queue_oldest_age_seconds{` + ofQueue + `})`, legend: "{{messaging_destination_name}}"}}},
			{kind: "timeseries", title: "Jobs by state", unit: count, width: 8, stacked: true, description: "Jobs of River that are not done: available ones wait for a worker, retryable and scheduled ones for their time.",
				queries: []query{{expr: `max by (messaging_destination_name, river_job_state) (river_queue_jobs{` + ofQueue + `})`, legend: "{{messaging_destination_name}} {{river_job_state}}"}}},
			{kind: "timeseries", title: "Failed for good", unit: perSec, width: 8, stacked: true, description: "Tasks from a queue that failed in their last attempt.", links: taskTraces,
				queries: []query{{expr: `sum by (worker_task_name) (rate(worker_task_duration_seconds_count{` + ofTask + `, ` + failed + `}[$__rate_interval])) and on (worker_task_name) worker_task_queue_duration_seconds_count{` + ofTask + `}`, legend: "{{worker_task_name}}"}}},
			{kind: "timeseries", title: "Jobs inserted", unit: perSec, width: 8, stacked: true, description: "Jobs that were inserted into each queue of River.",
				queries: []query{{expr: `sum by (messaging_destination_name) (rate(messaging_client_sent_messages_total{` + ofQueue + `}[$__rate_interval]))`, legend: "{{messaging_destination_name}}"}}},
			{kind: "timeseries", title: "Attempts by queue", unit: perSec, width: 8, stacked: true, description: "Attempts at jobs of each queue of River, and how they failed.",
				queries: []query{{expr: `sum by (messaging_destination_name, error_type) (rate(messaging_process_duration_seconds_count{` + ofQueue + `}[$__rate_interval]))`, legend: "{{messaging_destination_name}} {{error_type}}"}}},
			{kind: "timeseries", title: "p99 of inserts", unit: seconds, width: 8, description: "What one insert in a hundred into each queue of River takes at least.",
				queries: []query{{expr: `histogram_quantile(0.99, sum by (messaging_destination_name, le) (rate(messaging_client_operation_duration_seconds_bucket{` + ofQueue + `}[$__rate_interval])))`, legend: "{{messaging_destination_name}}"}}},
		}},
		{"Work in databases", []chart{
			{kind: "timeseries", title: "Share of time in the database", unit: share, width: 8, description: "Time inside drivers in that of the task. Above 100 % statements run at the same time.", links: taskTraces,
				queries: []query{{expr: `sum by (worker_task_name) (rate(worker_task_db_duration_seconds_sum{` + ofTask + `}[$__rate_interval])) / sum by (worker_task_name) (rate(worker_task_duration_seconds_sum{` + ofTask + `}[$__rate_interval]))`, legend: "{{worker_task_name}}"}}},
			{kind: "timeseries", title: "Operations per task", unit: count, width: 8, description: "The mean number of database operations of one run.", links: taskTraces,
				queries: []query{{expr: `sum by (worker_task_name) (rate(worker_task_db_operations_sum{` + ofTask + `}[$__rate_interval])) / sum by (worker_task_name) (rate(worker_task_db_operations_count{` + ofTask + `}[$__rate_interval]))`, legend: "{{worker_task_name}}"}}},
			{kind: "timeseries", title: "Findings", unit: count, width: 8, stacked: true, description: "Repeated and slow statements, rows and transactions left open, idle transactions and long waits, within an hour. The log records named task finding say which, and where in the code.", links: taskTraces,
				queries: []query{{expr: `sum by (worker_task_name, worker_finding_kind) (increase(worker_task_findings_total{` + ofTask + `}[1h]))`, legend: "{{worker_task_name}} {{worker_finding_kind}}"}}},
			{kind: "timeseries", title: "Share of time waiting for connections", unit: share, width: 24, description: "Time that tasks waited for a free connection, in that of the task: their pool is too small, or somebody holds its connections.", links: taskTraces,
				queries: []query{{expr: `sum by (worker_task_name) (rate(worker_task_db_wait_seconds_sum{` + ofTask + `}[$__rate_interval])) / sum by (worker_task_name) (rate(worker_task_duration_seconds_sum{` + ofTask + `}[$__rate_interval]))`, legend: "{{worker_task_name}}"}}},
		}},
	},
		labelVariable("job", "Job", "worker_task_duration_seconds_count", "job"),
		labelVariable("instance", "Instance", `worker_task_duration_seconds_count{job=~"$job"}`, "instance"),
		labelVariable("task", "Task", `worker_task_duration_seconds_count{job=~"$job", instance=~"$instance"}`, "worker_task_name"))
}

// ofRow aggregates series by what a row of a table stands for.
func ofRow(aggregate, series string) string {
	return aggregate + " by (job, instance, worker_task_name) (" + series + ")"
}

// whileRunning leaves out the tasks that are not running.
func whileRunning(expr string) string {
	return "(" + expr + ") and on (job, instance, worker_task_name) " + ofRow("sum", `worker_task_active{`+ofTask+`}`) + " > 0"
}
