package callsite

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// The program's own module comes first, then whoever is no library.
func TestOf(t *testing.T) {
	if l := Of(nil); l != (Location{}) {
		t.Errorf("%v", l)
	}
	pcs := make([]uintptr, 64)
	for function, own := range map[string]bool{
		"main.run":       true,
		"main.run.func1": true,
		"github.com/taskspan/taskspan/examples/stack/load.run":            true,
		"github.com/taskspan/taskspan/examples/quickstart.(*index).add":   true,
		"github.com/taskspan/taskspan.init":                               false,
		"github.com/taskspan/taskspan/otdb.(*conn).execContext":           false,
		"github.com/taskspan/taskspan/otdb/otpgx.(*Tracer).TraceQueryEnd": false,
		"github.com/taskspan/taskspan/worker.Do[...]":                     false,
		"github.com/taskspan/taskspan/worker/riverworker.(*hook).Work":    false,
		"github.com/taskspan/taskspan/internal/ledger.callers":            false,
		"github.com/taskspan/taskspanner.f":                               false,
		"gorm.io/gorm.(*DB).Find":                                         false,
		"github.com/jmoiron/sqlx.Select":                                  false,
		"database/sql.(*DB).QueryContext":                                 false,
	} {
		if got := inMainModule(&runtime.Frame{Function: function, File: "x.go"}); got != own {
			t.Errorf("%s: own is %v", function, got)
		}
	}
	for function, library := range map[string]bool{
		"database/sql.(*DB).QueryContext":              true,
		"github.com/taskspan/taskspan/worker.Do[...]":  true,
		"github.com/lib/pq.(*conn).Query":              true,
		"github.com/lib/pqueue.Take":                   false,
		"gorm.io/gorm.(*DB).Find":                      false,
		"example.com/store.(*Store[go.shape.int]).Get": false,
		"runtime.goexit":                               true,
		"testing.tRunner":                              true,
	} {
		if got := isLibrary(function); got != library {
			t.Errorf("%s: library is %v", function, got)
		}
	}
	for function, path := range map[string]string{
		"main.run":                     "main",
		"gopkg.in/yaml%2ev3.Unmarshal": "gopkg.in/yaml%2ev3",
		"example.com/a/b.Map[example.com/c/d.T].Get": "example.com/a/b",
		"example.com/a/b.(*T).Get.func1":             "example.com/a/b",
		"odd":                                        "odd",
	} {
		if got := packageOf(function); got != path {
			t.Errorf("%s is of %q, want %q", function, got, path)
		}
	}
	const shop = "example.com/shop/"
	frame := func(function, file string) runtime.Frame {
		return runtime.Frame{Function: shop + function, File: "/src/" + file}
	}
	exec := frame("internal/db.(*Queries).exec", "db.go")
	query := frame("internal/db.(*Queries).ListOrders", "orders.sql.go")
	all, iterate := frame("ent.(*OrderQuery).All", "ent/order_query.go"), frame("ent/order.Each", "ent/order/order.go")
	run, other := frame("store.(*Store).Orders", "store.go"), frame("internal/db.Migrate", "migrate.go")
	for name, tc := range map[string][2][]runtime.Frame{
		"sqlc":           {{query, run}, {run}},
		"sqlc, prepared": {{exec, query, run, other}, {run, other}},
		"ent":            {{all, iterate, run}, {run}},
		"nothing else":   {{all, iterate}, {all, iterate}},
		"none":           {{other, run}, {other, run}},
		"empty":          {nil, nil},
	} {
		if got := written(tc[0]); !slices.Equal(got, tc[1]) {
			t.Errorf("%s: %v", name, got)
		}
	}
	// This test is called by nobody but the testing package.
	l := Of(pcs[:runtime.Callers(1, pcs)])
	if filepath.Base(l.File) != "callsite_test.go" || !strings.HasSuffix(l.Function, "callsite.TestOf") || strings.Count(l.Stack, "\n") != 2 {
		t.Errorf("%+v", l)
	}
}
