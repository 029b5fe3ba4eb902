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
// A client that does not pass through database/sql at all, such as pgx by itself, is
// traced by a [Tracer]. Package otpgx, a module of its own, is that for pgx.
//
// # Spans
//
// One logical statement is one span of kind CLIENT, from the call until its rows
// are closed, with the error of the iteration if there was one. It is named by
// the statement's summary, such as "SELECT orders customers", and carries the
// attributes of the OpenTelemetry database conventions: db.system.name,
// db.namespace, server.address, server.port, db.query.summary and
// db.query.text, all known when the span starts so that samplers see them, and
// db.response.status_code and error.type at its end.
//
// Whoever closes the rows ends the span, then: their consumer, a context, the
// transaction, or the worker task. otdb.driver.duration is the time inside the driver,
// in seconds, where the span is at least a millisecond longer than that. Measured are
// the call, some of the rows, and every row while rows take a microsecond or more, on
// average so far or since the last measured row. A measured row stands for those since
// the last one. A lone stall in the middle of a quick stream, and less than a
// microsecond a row, may not count as the driver's time.
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
// Rows that nobody closes are a finding of their task. Outside of tasks they are
// reported to the OpenTelemetry error handler when the database is closed, by summary,
// unless their context is done.
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
// Operations of a connection itself (connect, ping, session reset) go through
// github.com/XSAM/otelsql, those on it (statements and transactions)
// through this package's own path on the raw connection, since that path has to
// be exact and fast.
package otdb
