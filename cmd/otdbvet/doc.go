// Command otdbvet finds what Taskspan does not trace in Go code, and mends it.
//
//	go run github.com/taskspan/taskspan/cmd/otdbvet@latest ./...
//	go run github.com/taskspan/taskspan/cmd/otdbvet@latest -fix ./...
//
// It prints file:line:column, what is lost, and what to do, and exits with 1 if
// there is anything to report. Where it cannot know, it is silent: each report is
// meant to be right.
//
// # What it reports
//
//	analyzer     reported                                     becomes
//	opendb       db, err := sql.Open("pgx", dsn)              otdb.Open("pgx", dsn)
//	             db := sql.OpenDB(connector)                  otdb.OpenDB(connector)
//	             db := stdlib.OpenDB(config)                  otdb.OpenDB(stdlib.GetConnector(config))
//	             db, err := sqlx.Connect("pgx", dsn)          a function with otdb.Open and sqlx.NewDb
//	             gorm.Open(mysql.Open(dsn))                   a function with otdb.Open and Config.Conn
//	             goose.OpenDBWithDriver("pgx", dsn)           a function with SetDialect and otdb.Open
//	             entsql.Open("mysql", dsn)                    a function with otdb.Open and entsql.OpenDB
//	             migrate.New(source, url)                     (by hand) otdb.Open, then WithInstance
//	             conn.Raw(… c.(*stdlib.Conn) …)               otdb.Raw(c).(*stdlib.Conn)
//	dbcontext    db.Query(q), with ctx in scope               db.QueryContext(ctx, q)
//	             tx, err := db.Begin()                        db.BeginTx(ctx, nil)
//	             tx.Stmt(s), stmt.Exec(), db.Ping(), …        their forms with a context
//	taskcontext  worker.Run(ctx, "x", func(c context.Context) error {
//	                 return store.Load(ctx)                   store.Load(c)
//	             })
//	ignore       //otdbvet:ignore                             (by hand) with a reason behind it
//
// opendb reports a driver by a name that is written in the package, that comes
// from the environment or a flag, or that a function of the package is called
// with; and connectors that a driver's package makes. It is silent about a name
// that somebody else gives (an exported function's parameter, an exported field),
// since that may be one from otdb.Register; -opendb.any reports these too, and to
// give otdb.Open the name of a traced driver changes nothing.
//
// dbcontext is silent in go and defer statements, and in functions that the
// context was not given to: there it may be done. taskcontext is silent about
// contexts that were made to be others (context.WithoutCancel,
// context.Background), about further tasks, and about what only reads a context.
//
// # Fixes
//
// -fix applies what compiles and keeps the program's behaviour, adds and removes
// imports, and reports what is left to do by hand. -diff prints it instead. What
// dbcontext reports is left out, since a context can now end a statement that
// nothing ended before: -dbcontext -fix applies it, and is worth a review of its
// own.
//
// A module that does not require Taskspan yet needs it afterwards:
//
//	go get github.com/taskspan/taskspan/otdb
//
// # Exceptions
//
// Generated files are left alone, and test files unless -tests is set. A comment
// exempts the statement or declaration that begins on its line, or on the next
// line if it stands alone, and needs a reason:
//
//	db, err := sql.Open("pgx", dsn) //otdbvet:ignore the proxy traces it
//
// golangci-lint's //nolint and //nolint:otdbvet do the same, with or without the
// name of an analyzer in place of otdbvet.
//
// # In CI
//
// As a tool of go vet, which caches what it has looked at:
//
//	go install github.com/taskspan/taskspan/cmd/otdbvet@latest
//	go vet -vettool=$(which otdbvet) ./...
//
// For code review, -sarif prints SARIF 2.1.0, and -json what go vet prints. As a
// plugin of golangci-lint it is package
// github.com/taskspan/taskspan/cmd/otdbvet/golangci. The flags -opendb,
// -dbcontext and -taskcontext run one analyzer, -opendb=false all others.
//
// Exit codes: 0 nothing to report, or -json and -sarif; 1 something was reported,
// or a package could not be loaded; 2 the command line is wrong.
package main
