package main

// ofDatabase selects the operations on the databases that the viewer chose.
const ofDatabase = `job=~"$job", instance=~"$instance", db_system_name=~"$system", db_namespace=~"$namespace"`

// ofStatement selects the statements among them, and ofPool the pools.
const (
	ofStatement = ofDatabase + `, db_query_summary=~"$statement", db_query_summary!=""`
	ofPool      = `job=~"$job", instance=~"$instance", db_client_connection_pool_name=~"$pool"`
)

// Links to the traces of a statement: of a series, of its errors, and of a row of a table.
// Spans that stand for many statements are internal, and have how many and how long.
var (
	statementTraces = []link{traces("Traces with the statement", "${__field.labels.db_query_summary:percentencode}", "")}
	statementErrors = []link{traces("Traces of such errors", "${__field.labels.db_query_summary:percentencode}", "error.type=${__field.labels.error_type:percentencode}")}
	errorTraces     = []link{traces("Traces of such errors", "", "error.type=${__field.labels.error_type:percentencode}")}
	rowStatements   = []link{
		traces("Traces with the statement", "${__data.fields.Statement:percentencode}", ""),
		traces("Traces that fold it", "${__data.fields.Statement:percentencode}", "span.kind=internal"),
	}
)

// databases is the dashboard of statements and connections.
func databases() (file, error) {
	byStatement := func(quantile string) []query {
		return []query{{
			expr:   `topk(10, histogram_quantile(` + quantile + `, sum by (db_query_summary, le) (rate(db_client_operation_duration_seconds_bucket{` + ofStatement + `}[$__rate_interval]))) >= 0)`,
			legend: "{{db_query_summary}}",
		}}
	}
	return newDashboard("taskspan-databases", "Databases", "Statements by their summary, and the pools of connections.", []group{
		{"Now", []chart{
			{kind: "stat", title: "Statements per second", unit: perSec, width: 6, description: "Statements that ended, over five minutes.",
				queries: []query{{expr: `sum(rate(db_client_operation_duration_seconds_count{` + ofStatement + `}[5m]))`, legend: "statements"}}},
			{kind: "stat", title: "Error ratio", unit: share, width: 6, description: "Operations that failed among all, over five minutes.",
				queries: []query{{expr: `(sum(rate(db_client_operation_duration_seconds_count{` + ofDatabase + `, error_type!=""}[5m])) or vector(0)) / sum(rate(db_client_operation_duration_seconds_count{` + ofDatabase + `}[5m]))`, legend: "failed"}}},
			{kind: "stat", title: "p99", unit: seconds, width: 6, description: "What one statement in a hundred takes at least, over five minutes.",
				queries: []query{{expr: `histogram_quantile(0.99, sum by (le) (rate(db_client_operation_duration_seconds_bucket{` + ofStatement + `}[5m])))`, legend: "p99"}}},
			{kind: "stat", title: "Pool in use", unit: share, width: 6, description: "The fullest pool of those with a limit.",
				queries: []query{{expr: `max(sum by (job, instance, db_client_connection_pool_name) (db_client_connection_count{` + ofPool + `, db_client_connection_state="used"}) / sum by (job, instance, db_client_connection_pool_name) (db_client_connection_max{` + ofPool + `}))`, legend: "in use"}}},
		}},
		{"Statements", []chart{
			{kind: "table", title: "All statements", unit: count, width: 24, description: "What each statement cost in the chosen time. Statements that share one span in a trace, folded, count like all others; a link of theirs leads to the traces that fold them.",
				by: []column{{"db_system_name", "System", nil}, {"db_namespace", "Database", nil}, {"db_query_summary", "Statement", rowStatements}},
				queries: []query{
					{expr: byStatementSum(`increase(db_client_operation_duration_seconds_count{`+ofStatement+`}[$__range])`) + ` > 0`, legend: "Count"},
					{expr: byStatementSum(`increase(db_client_operation_duration_seconds_sum{`+ofStatement+`}[$__range])`) + ` > 0`, legend: "Time", unit: seconds},
					{expr: `histogram_quantile(0.95, sum by (db_system_name, db_namespace, db_query_summary, le) (increase(db_client_operation_duration_seconds_bucket{` + ofStatement + `}[$__range]))) >= 0`, legend: "p95", unit: seconds},
					{expr: byStatementSum(`increase(db_client_operation_duration_seconds_count{`+ofStatement+`, error_type!=""}[$__range])`) + ` > 0`, legend: "Errors"},
				}},
			{kind: "timeseries", title: "Duration of statements", unit: seconds, width: 12, description: "Percentiles over all chosen statements, rows included. A dot is one statement, and leads to its trace.", links: allTraces,
				queries: quantiles("db_client_operation_duration_seconds_bucket", ofStatement)},
			{kind: "timeseries", title: "Rate by statement", unit: perSec, width: 12, description: "The ten that run most often.", links: statementTraces,
				queries: []query{{expr: `topk(10, sum by (db_query_summary) (rate(db_client_operation_duration_seconds_count{` + ofStatement + `}[$__rate_interval])))`, legend: "{{db_query_summary}}"}}},
			{kind: "timeseries", title: "Time by statement", unit: seconds, width: 12, stacked: true, description: "Seconds of statements in a second: where the time goes. The ten with the most.", links: statementTraces,
				queries: []query{{expr: `topk(10, sum by (db_query_summary) (rate(db_client_operation_duration_seconds_sum{` + ofStatement + `}[$__rate_interval])))`, legend: "{{db_query_summary}}"}}},
			{kind: "timeseries", title: "p99 by statement", unit: seconds, width: 12, description: "The ten slowest by their p99.", queries: byStatement("0.99"), links: statementTraces},
			{kind: "timeseries", title: "p95 by statement", unit: seconds, width: 12, description: "The ten slowest by their p95.", queries: byStatement("0.95"), links: statementTraces},
			{kind: "timeseries", title: "p50 by statement", unit: seconds, width: 12, description: "The ten slowest by their median.", queries: byStatement("0.5"), links: statementTraces},
			{kind: "timeseries", title: "Rows by statement", unit: count, width: 12, description: "The mean number of rows of a query, where otdb.WithRowCounts is on. The ten with the most.", links: statementTraces,
				queries: []query{{expr: `topk(10, sum by (db_query_summary) (rate(db_client_response_returned_rows_sum{` + ofStatement + `}[$__rate_interval])) / sum by (db_query_summary) (rate(db_client_response_returned_rows_count{` + ofStatement + `}[$__rate_interval])) >= 0)`, legend: "{{db_query_summary}}"}}},
			{kind: "timeseries", title: "Connects and transactions", unit: perSec, width: 12, description: "Operations other than statements.",
				queries: []query{{expr: `sum by (db_operation_name) (rate(db_client_operation_duration_seconds_count{` + ofDatabase + `, db_operation_name!=""}[$__rate_interval]))`, legend: "{{db_operation_name}}"}}},
		}},
		{"Errors", []chart{
			{kind: "timeseries", title: "Errors by type", unit: perSec, width: 12, stacked: true, description: "Operations that failed: by the database's code, or by the Go type of the error.", links: errorTraces,
				queries: []query{{expr: `sum by (error_type) (rate(db_client_operation_duration_seconds_count{` + ofDatabase + `, error_type!=""}[$__rate_interval]))`, legend: "{{error_type}}"}}},
			{kind: "timeseries", title: "Errors by statement", unit: perSec, width: 12, stacked: true, description: "The ten that fail most often.", links: statementErrors,
				queries: []query{{expr: `topk(10, sum by (db_query_summary, db_operation_name, error_type) (rate(db_client_operation_duration_seconds_count{` + ofDatabase + `, error_type!=""}[$__rate_interval])))`, legend: "{{db_query_summary}}{{db_operation_name}} {{error_type}}"}}},
		}},
		{"Transactions", []chart{
			{kind: "timeseries", title: "Transactions", unit: perSec, width: 12, stacked: true, description: "By how they ended. Nobody knows of a lost one: its commit or rollback failed, or was never called.",
				queries: []query{{expr: `sum by (otdb_transaction_outcome) (rate(otdb_transaction_duration_seconds_count{` + ofDatabase + `}[$__rate_interval]))`, legend: "{{otdb_transaction_outcome}}"}}},
			{kind: "timeseries", title: "Duration of transactions", unit: seconds, width: 12, description: "From BEGIN to the end: what one in twenty takes at least.",
				queries: []query{{expr: `histogram_quantile(0.95, sum by (otdb_transaction_outcome, le) (rate(otdb_transaction_duration_seconds_bucket{` + ofDatabase + `}[$__rate_interval])))`, legend: "{{otdb_transaction_outcome}}"}}},
		}},
		{"Connections", []chart{
			{kind: "timeseries", title: "Connections in use", unit: count, width: 12, description: "Connections of each pool that are in use or idle, and how many it may have.",
				queries: []query{
					{expr: `sum by (db_client_connection_pool_name, db_client_connection_state) (db_client_connection_count{` + ofPool + `})`, legend: "{{db_client_connection_pool_name}} {{db_client_connection_state}}"},
					{expr: `sum by (db_client_connection_pool_name) (db_client_connection_max{` + ofPool + `})`, legend: "{{db_client_connection_pool_name}} max"},
				}},
			{kind: "timeseries", title: "Waits", unit: perSec, width: 12, description: "How often somebody had to wait for a connection.",
				queries: []query{{expr: `sum by (db_client_connection_pool_name) (rate(otdb_connection_waits_total{` + ofPool + `}[$__rate_interval]))`, legend: "{{db_client_connection_pool_name}}"}}},
			{kind: "timeseries", title: "Time waited for a connection", unit: seconds, width: 12, description: "Mean time of a wait that has ended.",
				queries: []query{{expr: `sum by (db_client_connection_pool_name) (rate(otdb_connection_wait_duration_seconds_total{` + ofPool + `}[$__rate_interval])) / sum by (db_client_connection_pool_name) (rate(otdb_connection_waits_total{` + ofPool + `}[$__rate_interval]))`, legend: "{{db_client_connection_pool_name}}"}}},
			{kind: "timeseries", title: "Connections closed", unit: perSec, width: 12, description: "Connections that a pool closed, by the limit that made it do so.",
				queries: []query{{expr: `sum by (db_client_connection_pool_name, reason) (rate(otdb_connection_closed_total{` + ofPool + `}[$__rate_interval]))`, legend: "{{db_client_connection_pool_name}} {{reason}}"}}},
		}},
	},
		labelVariable("job", "Job", "db_client_operation_duration_seconds_count", "job"),
		labelVariable("instance", "Instance", `db_client_operation_duration_seconds_count{job=~"$job"}`, "instance"),
		labelVariable("system", "System", `db_client_operation_duration_seconds_count{job=~"$job"}`, "db_system_name"),
		labelVariable("namespace", "Database", `db_client_operation_duration_seconds_count{job=~"$job", db_system_name=~"$system"}`, "db_namespace"),
		labelVariable("statement", "Statement", `db_client_operation_duration_seconds_count{job=~"$job", db_namespace=~"$namespace"}`, "db_query_summary"),
		labelVariable("pool", "Pool", `db_client_connection_count{job=~"$job", instance=~"$instance"}`, "db_client_connection_pool_name"))
}

// byStatementSum adds series up by what a row of a table stands for.
func byStatementSum(series string) string {
	return "sum by (db_system_name, db_namespace, db_query_summary) (" + series + ")"
}
