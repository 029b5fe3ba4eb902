package fakedb

import (
	"database/sql/driver"
	"io"
	"reflect"
	"strconv"
)

// rows has every interface of rows, as conn has of a connection.
type rows struct {
	db     *DB
	number int
	of     int // the connection's number
	sets   []ResultSet
	set    int // index of the current one
	row    int // index of the next one
}

func newRows(c *conn, query string) driver.Rows {
	r := &rows{db: c.db, number: c.db.number(2), of: c.number, sets: c.db.results(query)}
	return r.shaped()
}

func (r *rows) call(m Method, detail string) (bool, error) {
	return r.db.call(noContext, Call{Method: m, Object: r.number, Of: r.of, Detail: detail})
}

func (r *rows) Columns() []string {
	if !r.db.Plain {
		_, _ = r.call(RowsColumns, "")
	}
	return r.sets[r.set].Columns
}

func (r *rows) Close() error {
	if r.db.Plain {
		return nil
	}
	_, err := r.call(RowsClose, "")
	return err
}

func (r *rows) Next(dest []driver.Value) error {
	if !r.db.Plain {
		if handled, err := r.call(RowsNext, ""); handled && err != nil {
			return err
		}
	}
	row, err := r.next()
	if err != nil {
		return err
	}
	copy(dest, row)
	return nil
}

// next advances to the next row.
func (r *rows) next() ([]driver.Value, error) {
	set := &r.sets[r.set]
	if r.row >= len(set.Rows) {
		return nil, io.EOF
	}
	r.row++
	return set.Rows[r.row-1], nil
}

func (r *rows) HasNextResultSet() bool {
	if !r.db.Plain {
		if handled, _ := r.call(RowsHasNextResultSet, ""); handled {
			return false
		}
	}
	return r.set+1 < len(r.sets)
}

func (r *rows) NextResultSet() error {
	if !r.db.Plain {
		if handled, err := r.call(RowsToNextResultSet, ""); handled && err != nil {
			return err
		}
	}
	if r.set+1 >= len(r.sets) {
		return io.EOF
	}
	r.set, r.row = r.set+1, 0
	return nil
}

func (r *rows) column(name string, i int) {
	if !r.db.Plain {
		_, _ = r.call(RowsColumnType, name+" "+strconv.Itoa(i))
	}
}

func (r *rows) ColumnTypeScanType(i int) reflect.Type {
	r.column("ScanType", i)
	return [...]reflect.Type{reflect.TypeFor[int64](), reflect.TypeFor[string]()}[i%2]
}

func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	r.column("DatabaseTypeName", i)
	return [...]string{"BIGINT", "VARCHAR"}[i%2]
}

func (r *rows) ColumnTypeLength(i int) (length int64, ok bool) {
	r.column("Length", i)
	return int64(10 + i), i%2 == 1
}

func (r *rows) ColumnTypeNullable(i int) (nullable, ok bool) {
	r.column("Nullable", i)
	return i%2 == 1, true
}

func (r *rows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	r.column("PrecisionScale", i)
	return int64(20 + i), int64(i), i%2 == 0
}
