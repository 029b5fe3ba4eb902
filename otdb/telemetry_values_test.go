package otdb

import (
	"context"
	"database/sql/driver"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/taskspan/taskspan/internal/sqltext"
)

// An attribute that is no valid UTF-8 makes exporters drop the whole batch.
func TestParametersAreValidText(t *testing.T) {
	for _, v := range []driver.Value{[]byte{0xff, 0xfe}, "\xff", strings.Repeat("é", sqltext.MaxText), []byte(strings.Repeat("x", 1<<20))} {
		if got := parameterText(v); !utf8.ValidString(got) || len(got) > sqltext.MaxText {
			t.Errorf("%d bytes, valid: %v", len(got), utf8.ValidString(got))
		}
	}
}

type panickingResult struct{ driver.Result }

func (*panickingResult) RowsAffected() (int64, error) { panic("canary") }

func TestRowsAffectedOfABrokenDriver(t *testing.T) {
	r := newRig(t)
	if got := rowsAffected((*panickingResult)(nil)); got != unknown {
		t.Errorf("%d rows", got)
	}
	r.wantHandled("otdb: the driver's RowsAffected panicked with a string")
}

// A connection remembers its latest text, but not a long one.
func TestLongTextsAreNotKept(t *testing.T) {
	const n, size = 8, 4 << 20
	d := observed(t)
	conns := make([]*conn, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range conns {
		conns[i] = &conn{db: d}
		conns[i].statement("INSERT INTO t VALUES ('" + strings.Repeat("x", size) + "')")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > size {
		t.Errorf("%d idle connections keep %d bytes", n, grown)
	}
	runtime.KeepAlive(conns)
}

// Two databases on one connector have a pool each, and an end each.
func TestPoolsOfOneConnector(t *testing.T) {
	r := newRig(t)
	c := WrapConnector(dsnConnector{&listening{}, ":memory:"}, r.options(WithPoolName("one"))...)
	a, b := OpenDB(c), OpenDB(c)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.PingContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.collect()["db.client.connection.count"]; !ok {
		t.Error("closing one database has taken the other's metrics away")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
