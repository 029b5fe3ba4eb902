package fakedb

import (
	"context"
	"database/sql/driver"
	"strconv"
)

// stmt has every interface of a statement, as conn has of a connection.
type stmt struct {
	db     *DB
	conn   *conn
	number int
	query  string
	inputs int
}

func (s *stmt) call(ctx context.Context, m Method, detail string) (bool, error) {
	return s.db.call(ctx, Call{Method: m, Object: s.number, Of: s.conn.number, Detail: detail})
}

func (s *stmt) Close() error {
	if s.db.Plain {
		return nil
	}
	_, err := s.call(noContext, StmtClose, "")
	return err
}

func (s *stmt) NumInput() int {
	if !s.db.Plain {
		_, _ = s.call(noContext, StmtNumInput, "")
	}
	return s.inputs
}

func (s *stmt) CheckNamedValue(nv *driver.NamedValue) error {
	if s.db.Plain {
		return driver.ErrSkip
	}
	return check(s.db, Call{Method: StmtCheckNamedValue, Object: s.number, Of: s.conn.number}, nv, s.db.CheckStmt)
}

func (s *stmt) ColumnConverter(i int) driver.ValueConverter {
	if s.db.Plain {
		return driver.DefaultParameterConverter
	}
	_, _ = s.call(noContext, StmtColumnConverter, strconv.Itoa(i))
	return s.db.converter(i)
}

func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	if s.db.Plain {
		return driver.ResultNoRows, nil
	}
	return s.exec(noContext, StmtExec, describeLegacy(args))
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if s.db.Plain {
		return driver.ResultNoRows, nil
	}
	return s.exec(ctx, StmtExecWithContext, describe(args))
}

func (s *stmt) exec(ctx context.Context, m Method, args string) (driver.Result, error) {
	if handled, err := s.call(ctx, m, args); handled {
		return nil, err
	}
	return result{s.conn}, nil
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	if s.db.Plain {
		return s.conn.rewound(), nil
	}
	return s.rows(noContext, StmtQuery, describeLegacy(args))
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if s.db.Plain {
		return s.conn.rewound(), nil
	}
	return s.rows(ctx, StmtQueryWithContext, describe(args))
}

func (s *stmt) rows(ctx context.Context, m Method, args string) (driver.Rows, error) {
	if handled, err := s.call(ctx, m, args); handled {
		return nil, err
	}
	return newRows(s.conn, s.query), nil
}
