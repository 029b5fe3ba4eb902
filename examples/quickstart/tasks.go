package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/examples/internal/problem"
	"github.com/taskspan/taskspan/worker"
)

// indexer is the worker: it keeps the graph of a module in a database.
type indexer struct {
	db       *sql.DB
	graph    *graph
	progress *progress

	naive, joined int         // how many imports each way of resolving them resolved
	top           []pathCount // the most imported packages
}

// pathCount is a package and how many packages import it.
type pathCount struct {
	path  string
	count int
}

// topPackages is how many packages the report shows.
const topPackages = 8

// task is a unit of work of the indexer.
type task struct {
	name string
	run  func(context.Context) error
	// fails is the kind of error that the task is there to show, if any.
	fails errs.Kind
}

func (x *indexer) tasks() []task {
	return []task{
		{name: "quickstart.migrate", run: x.migrate},
		{name: "quickstart.load", run: x.load},
		{name: "quickstart.resolve_naive", run: x.resolveNaive},
		{name: "quickstart.resolve_joined", run: x.resolveJoined},
		{name: "quickstart.insert_twice", run: x.insertTwice, fails: errs.KindConstraint},
		{name: "quickstart.report", run: x.report},
	}
}

// work runs all tasks, one after the other, and stops at the first that does
// not end as it should.
func (x *indexer) work(ctx context.Context) error {
	defer x.progress.clear()
	for _, t := range x.tasks() {
		x.progress.step(t.name, 0, 0)
		err := worker.Run(ctx, t.name, t.run)
		switch {
		case t.fails == errs.KindNone && err != nil:
			return problem.New(t.name, err)
		case t.fails != errs.KindNone && err == nil:
			return problem.New(t.name+": the database let it pass", nil)
		case err != nil && errs.Classify(err).Kind != t.fails:
			return problem.New(t.name, err)
		}
	}
	if x.naive != x.joined {
		return problem.New(fmt.Sprintf("one query per row resolved %d imports, and a join %d", x.naive, x.joined), nil)
	}
	return nil
}

// connectTimeout is how long a database may take to answer for the first time.
const connectTimeout = 15 * time.Second

// migrate creates the tables that are not there yet, or none if one that is
// there is another program's. As the first task it is also the one that connects.
func (x *indexer) migrate(ctx context.Context) error {
	connect, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := x.db.PingContext(connect); err != nil {
		return err
	}
	return x.transaction(ctx, func(tx *sql.Tx) error {
		for _, statement := range []string{createPackages, createImports} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		for _, statement := range []string{insertPackage, insertImport} {
			switch err := prepares(ctx, tx, statement); {
			case errs.Classify(err).Kind == errs.KindUndefined:
				return problem.New("the tables quickstart_packages and quickstart_imports are not this program's", err)
			case err != nil:
				return err
			}
		}
		return nil
	})
}

// prepares returns an error if the database could not run a statement. It does
// not run it.
func prepares(ctx context.Context, tx *sql.Tx, statement string) error {
	prepared, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer prepared.Close()
	return nil
}

// load replaces what the tables hold with the graph, all of it or nothing.
func (x *indexer) load(ctx context.Context) error {
	return x.transaction(ctx, func(tx *sql.Tx) error {
		for _, statement := range []string{deleteImports, deletePackages} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		if err := x.loadPackages(ctx, tx); err != nil {
			return err
		}
		return x.loadImports(ctx, tx)
	})
}

func (x *indexer) loadPackages(ctx context.Context, tx *sql.Tx) error {
	insert, err := tx.PrepareContext(ctx, insertPackage)
	if err != nil {
		return err
	}
	defer insert.Close()
	for i, p := range x.graph.packages {
		module := sql.NullString{String: p.module, Valid: p.module != ""}
		if _, err := insert.ExecContext(ctx, i+1, p.path, module, p.standard); err != nil {
			return err
		}
		x.progress.step("loading packages", i+1, len(x.graph.packages))
	}
	return nil
}

func (x *indexer) loadImports(ctx context.Context, tx *sql.Tx) error {
	insert, err := tx.PrepareContext(ctx, insertImport)
	if err != nil {
		return err
	}
	defer insert.Close()
	done := 0
	for i, p := range x.graph.packages {
		for _, path := range p.imports {
			if _, err := insert.ExecContext(ctx, i+1, path); err != nil {
				return err
			}
			done++
			x.progress.step("loading imports", done, x.graph.imports)
		}
	}
	return nil
}

// resolveNaive looks every import up by itself: what Taskspan is there to show.
func (x *indexer) resolveNaive(ctx context.Context) error {
	paths, err := x.importPaths(ctx)
	if err != nil {
		return err
	}
	x.naive = 0
	for i, path := range paths {
		var id int
		switch err := x.db.QueryRowContext(ctx, selectPackage, path).Scan(&id); {
		case errors.Is(err, sql.ErrNoRows): // "C" is imported, but is no package
		case err != nil:
			return err
		default:
			x.naive++
		}
		x.progress.step("resolving imports", i+1, len(paths))
	}
	return nil
}

func (x *indexer) importPaths(ctx context.Context) ([]string, error) {
	rows, err := x.db.QueryContext(ctx, selectImports)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var paths []string
	for rows.Next() {
		var path string
		if err := rows.Scan(&path); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, rows.Err()
}

// resolveJoined does the same in one statement.
func (x *indexer) resolveJoined(ctx context.Context) error {
	return x.db.QueryRowContext(ctx, selectJoined).Scan(&x.joined)
}

// insertTwice breaks the unique constraint on paths, in a transaction that is
// rolled back. Its path must not be seen in any output.
func (x *indexer) insertTwice(ctx context.Context) error {
	return x.transaction(ctx, func(tx *sql.Tx) error {
		for _, id := range []int{-1, -2} {
			if _, err := tx.ExecContext(ctx, insertPackage, id, confidential, nil, false); err != nil {
				return err
			}
		}
		return nil
	})
}

// confidential stands for a value that telemetry must not let out.
const confidential = "example.com/confidential/customer-4711"

// report reads the most imported packages.
func (x *indexer) report(ctx context.Context) error {
	rows, err := x.db.QueryContext(ctx, selectMostImported, topPackages)
	if err != nil {
		return err
	}
	defer rows.Close()
	x.top = nil
	for rows.Next() {
		var p pathCount
		if err := rows.Scan(&p.path, &p.count); err != nil {
			return err
		}
		x.top = append(x.top, p)
	}
	return rows.Err()
}

// transaction runs f in a transaction, which is committed if f returns nil and
// rolled back if it does not.
func (x *indexer) transaction(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err = f(tx); err == nil {
		err = tx.Commit()
	} else if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
		err = errors.Join(err, rollback)
	}
	// database/sql rolls back by itself when the context is done, and then says
	// no more than that the transaction is over.
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
