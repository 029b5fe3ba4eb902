// Package errs describes what went wrong: a class that is safe as a metric label, and a
// text that is safe to export.
//
//	err := transfer(ctx, db)
//	if errs.Classify(err).Retryable { // a deadlock, a lost connection, …
//		err = transfer(ctx, db)
//	}
//	if err != nil {
//		slog.ErrorContext(ctx, "transfer failed", "error", errs.Message(err))
//	}
//
// [Classify] returns a [Class]: a coarse [Kind], the same for all databases, the values
// of the OpenTelemetry attributes error.type and db.response.status_code, and whether
// the same work may succeed when it is done again from the start.
//
// [Message] returns a text. The words of an application are kept; its values, and
// what a driver or a library quoted, are not:
//
//	save user ?: constraint (23505): duplicate key, constraint "users_email_key", table "public.users"
//
// [DriverMessage] is for an error that is known to come from a driver, one that nobody
// has wrapped yet: it keeps no text that it does not recognise.
//
// An error of a database is two things at once. For the program it is a value to be
// compared and returned, and nothing here changes that. For telemetry it is a risk:
// drivers quote the values they were given, so that the text of a failed insert holds
// a customer's address, and an error text used as a label makes as many time series
// as there are customers.
//
// No driver is imported. Errors of PostgreSQL (pgx, lib/pq, bun's pgdriver), MySQL and MariaDB
// (go-sql-driver/mysql, go-mysql), SQLite (mattn/go-sqlite3, modernc.org/sqlite,
// ncruces/go-sqlite3) and SQL Server (go-mssqldb) are recognised by the methods
// they have and by the exported fields of their types. Each type is
// examined once and is remembered for as long as the process lives; the memory
// is bounded by the number of error types in the program.
//
// # Precedence
//
// One error may wrap or join several. The whole tree is looked at (up to 128
// errors and 32 levels), once, and the most specific finding wins:
//
//  1. a class that the error gives itself ([Classified]), or a [PanicError];
//  2. a code that a database gave;
//  3. context.Canceled and context.DeadlineExceeded;
//  4. the other well-known values: sql.ErrNoRows, driver.ErrBadConn, io.EOF, …;
//  5. well-known types: DNS, system error numbers, timeouts, TLS, parsing, scanning;
//  6. any other error, by its type.
//
// Ties go to the outermost error, then to the first of a join.
//
// # Limits
//
// An error is recognised by its type. Where a program has formatted a driver's error
// with %v, the type is gone. The texts of drivers that passed through package otdb are then known by
// their words: all of them to the task that got them, and the newest to the process. From
// any other text of an application the values are removed by rules, and plain words of
// prose stay, whoever wrote them first. The page docs/sensitive-data.md lists what that leaves.
//
// All functions may be called from several goroutines at once, and none panics,
// whatever the methods of an error do.
package errs
