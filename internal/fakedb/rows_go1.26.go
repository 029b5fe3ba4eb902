//go:build !go1.27

package fakedb

import "database/sql/driver"

func (r *rows) shaped() driver.Rows { return rowsShapes[r.db.Shape&RowsShapes](r) }
