package main

import (
	"database/sql/driver"

	"github.com/taskspan/taskspan/internal/fakedb"
)

// noopConnector leads to a database that answers at once. Its connections and
// statements have the interfaces that spare database/sql detours. They have no
// SessionResetter, which some of the peers would record.
func noopConnector(rows int) driver.Connector {
	set := fakedb.ResultSet{Columns: []string{"id"}}
	for range rows {
		set.Rows = append(set.Rows, []driver.Value{int64(1)}) // a small one, which needs no allocation
	}
	fake := &fakedb.DB{
		Plain: true,
		Shape: fakedb.ExecerContext | fakedb.QueryerContext | fakedb.ConnPrepareContext | fakedb.ConnBeginTx |
			fakedb.StmtExecContext | fakedb.StmtQueryContext,
		Results: func(string) []fakedb.ResultSet { return []fakedb.ResultSet{set} },
	}
	return fake.Connector()
}
