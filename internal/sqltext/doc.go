// Package sqltext reads SQL text: in one pass it sanitises a statement, so that a
// span may record it, and summarises it, so that a span and a metric have a name.
//
//	r := sqltext.Parse(sqltext.PostgreSQL, `SELECT * FROM users WHERE name = 'alice'`)
//	r.Text    // SELECT * FROM users WHERE name = ?
//	r.Summary // SELECT users
//
// # Text
//
// Every literal becomes a question mark: strings in all their forms, numbers with
// the sign that belongs to them, hexadecimal and bit strings, amounts of money.
// The words NULL, TRUE and FALSE stay, and so do placeholders as they are written.
// Comments go; where a comment alone separates two tokens, a space takes its
// place. White space around the statement goes. A list after IN that holds only
// literals and placeholders becomes IN (?), whatever its length. Rows of VALUES are
// not collapsed.
//
// A literal must not survive by any reading of the text. The reading depends on
// the dialect and on settings of the session that are not known here, so the scanner
// drops rather than keeps:
//
//   - An odd number of backslashes before the quote that would end a string: in
//     PostgreSQL standard_conforming_strings decides, in MySQL
//     NO_BACKSLASH_ESCAPES, in Default the database. From that string on, the rest
//     of the text becomes one question mark. PostgreSQL's E'…' is not in doubt.
//   - Double quotes: names in PostgreSQL and Oracle, strings in MySQL even under
//     ANSI_QUOTES. SQLite takes them for a string when no column has the name, SQL
//     Server has QUOTED_IDENTIFIER, and Default is not known: in these three they
//     are kept where only the name of a relation can stand (after FROM, JOIN, INTO,
//     UPDATE, WITH, CREATE TABLE and the like) or beside the dot of a qualified
//     name, and are a literal elsewhere.
//   - A quoted name that holds "://", a question mark, = or @ becomes a question mark:
//     some databases read from signed addresses in the place of a table.
//   - Whatever is not closed becomes one question mark up to the end of the text; so
//     does everything from the first NUL byte or invalid UTF-8 on, with the word
//     that touches it.
//   - MySQL's version comments and hints go, as all comments do. If they hold a quote
//     or another comment, the rest of the text goes with them, as it does from a
//     comment in a comment.
//   - Default knows that # and // may begin comments, that two dashes need white
//     space in MySQL, that [ may quote a name and $$ a string, and that q'…' and
//     triple quotes exist. Where two of those readings differ in what they take
//     for a literal, the rest goes.
//   - What is not in quotes, but secret: everything after IDENTIFIED BY, ENCRYPT or
//     DECRYPT USING and ADMINISTER, the word after PASSWORD where it is no column (the
//     one after that if it is BY, TO or the like), the value of a pragma that ends in
//     "key" or whose name is quoted, in ATTACH all but the schema's name, in SQL Server
//     the arguments of a procedure, and in Default a UUID and an ISO 8601 duration.
//   - The data that follow COPY … FROM STDIN and, in Default, INSERT … FORMAT name.
//   - The value of a setting (SET x = word, ALTER … SET x TO word and, in PostgreSQL,
//     CREATE FUNCTION … SET x TO word), a list of words as one question mark. DEFAULT,
//     ON, OFF, LOCAL and the constants stay. SQLite and SQL Server have no such
//     settings.
//
// Other words are taken for what they are by the grammar, names and keywords: SET
// ROLE word and UPDATE t SET a = word stay.
//
// # Summary
//
// The summary follows the OpenTelemetry conventions for db.query.summary: the
// operations and their targets in the order of the text and as they are written,
// separated by spaces, statements by "; ". It is made of words that are also in
// Text, and has at most [MaxSummary] characters: an entry that does not fit is
// left out together with all that follow. For example:
//
//	INSERT INTO a SELECT * FROM b, c                 INSERT a SELECT b c
//	WITH x AS (SELECT 1 FROM a) DELETE FROM b        WITH SELECT a DELETE b
//	CREATE UNIQUE INDEX IF NOT EXISTS i ON t (c)     CREATE INDEX i t
//	CREATE TRIGGER tr AFTER INSERT ON t BEGIN …      CREATE TRIGGER tr t
//	TRUNCATE TABLE a, b                              TRUNCATE a b
//	REINDEX SCHEMA a                                 REINDEX a
//	UPDATE a SET x = 1; COMMIT                       UPDATE a; COMMIT
//	BEGIN IF x THEN UPDATE a SET y = 1; END IF; END  BEGIN UPDATE a
//	ROLLBACK TO SAVEPOINT a                          ROLLBACK TO
//
// Targets are relations, table functions, procedures, databases (USE), pragmas and
// the objects of CREATE, ALTER and DROP. Common table expressions, aliases,
// columns, variables, savepoints, cursors, channels, devices, the roles of GRANT and its
// like, and the names of settings are none. Operations inside a MERGE (WHEN … THEN) and
// in ON CONFLICT are part of their statement, the body of a routine is part of its
// definition, and privileges are no operations. IF, WHILE and blocks in a block leave no
// trace, and neither do empty statements. A type stands before the object of CREATE,
// ALTER, DROP and COMMENT, and nowhere else.
//
// SQL Server needs no semicolon between statements. There a command begins on a new
// line, or anywhere if its word is reserved and is no clause of another statement.
//
// # Cost
//
// At most [MaxScan] bytes are read, so that the cost is linear up to there and then
// constant. A call allocates its two results and nothing else.
//
// # Why there is a scanner here
//
// github.com/DataDog/go-sqllexer (0.2.6) was tried. It leaks the rest of nested
// PostgreSQL comments and the digits after the underscore in 1_000_000, splits
// N'…' in two, and spends 1.3 µs on the tokens of a statement of 140 bytes, before
// anything is sanitised or summarised.
package sqltext
