// Package otdb opens databases whose every statement is a span.
//
// [Open] replaces [sql.Open], [OpenDB] replaces [sql.OpenDB]:
//
//	db, err := otdb.Open("pgx", os.Getenv("DATABASE_URL"))
//
// Everything else stays as it is: the returned *sql.DB behaves exactly as the
// bare one does. For libraries that take the name of a driver there is
// [Register]; [WrapDriver] and [WrapConnector] are for everything else.
//
// # Spans
//
// One logical statement is one span of kind CLIENT, from the call to the end of
// its rows, with the error of the iteration if there was one. It is named by
// the statement's summary, such as "SELECT orders customers", and carries the
// attributes of the OpenTelemetry database conventions: db.system.name,
// db.namespace, server.address, server.port, db.query.summary and
// db.query.text, all known when the span starts so that samplers see them, and
// db.response.status_code and error.type at its end. otdb.driver.duration is
// the time inside the driver, in seconds, where the consumer of the rows made
// the span at least a millisecond longer than that. It is exact for the call and the
// first rows: in a task 16, elsewhere the first and the consumer's pauses before the
// first two. Behind them a timer of the process, which runs while rows are read, tells
// when a millisecond has passed: a long turn of the driver or of the consumer is right
// to within that, and short ones in proportion. Where nobody but the consumer may end
// the rows (a context that is never done, and no task), only from row 128 on; if rows
// come slowly before, it is the next ones of such statements that are told exactly.
// Rows that a context or a task ends were over with the driver's last call, to
// within a millisecond too.
//
// A statement whose driver skips its fast path with driver.ErrSkip, as
// go-sql-driver/mysql does with every one that has arguments, is one span too,
// over the prepare and the execution that database/sql goes on with. They are
// told by the context and the text, since goroutines that share a transaction or
// a connection get in between. Only a program that calls the driver itself, in
// sql.Conn.Raw, may not go on: the span of its statement ends when the session is
// reset or the connection closed, with error.type _OTHER.
//
// The lifecycle operations CONNECT, BEGIN, COMMIT, ROLLBACK and PREPARE, and on
// demand PING and RESET_SESSION, are spans of those names.
//
// # Metrics
//
// db.client.operation.duration is a histogram in seconds of every operation,
// by summary or operation name, and by error. Its values are the lengths of the
// spans. The pool's metrics are db.client.connection.count and .max,
// otdb.connection.waits, .wait.duration and .closed.
//
// # What is never exported
//
// No value that the application passes or reads leaves the process unless an
// option allows it: not the arguments of a statement, not the literals in a
// text without placeholders, not what a driver quotes in its errors, not any
// part of a DSN but the address, the port and the name of the database. The
// errors that the application gets are always the driver's own.
//
// # Two layers
//
// What happens to a connection (connect, ping, session reset) goes through
// github.com/XSAM/otelsql, what happens on it (statements and transactions)
// through this package's own path on the raw connection, since that path has to
// be exact and fast.
package otdb
