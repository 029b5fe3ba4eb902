package errs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mysql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/pgconn"
	"github.com/taskspan/taskspan/errs/internal/lookalike/sqlite3"
	"github.com/taskspan/taskspan/internal/drivertext"
)

var benchmarked = []struct {
	name string
	err  error
}{
	{"context", context.Canceled},
	{"wrapped-context", fmt.Errorf("a: %w", context.Canceled)},
	{"pgx", duplicate},
	{"wrapped-pgx", fmt.Errorf("a: %w", fmt.Errorf("b: %w", duplicate))},
	{"sqlite", sqlite3.Error{Code: 19, ExtendedCode: 2067}},
	{"mysql", &mysql.MySQLError{Number: 1062, Message: "Duplicate entry 'bob@x.com' for key 'users.email'"}},
	{"dial", dial(syscall.ECONNREFUSED)},
	{"text", errors.New("user 7 has no address")},
	{"joined", errors.Join(errors.New("a"), &fault{"b"}, duplicate)},
}

func BenchmarkClassify(b *testing.B) {
	for _, bench := range benchmarked {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				errs.Classify(bench.err)
			}
		})
	}
}

func BenchmarkMessage(b *testing.B) {
	for _, bench := range benchmarked {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				errs.Message(bench.err)
			}
		})
	}
}

// told is what the drivers said of which a memory is full, each with values of its own.
func told(n int) error {
	return &pgconn.PgError{
		Severity: "ERROR", Code: "23505", Message: `duplicate key value violates unique constraint "users_email_key"`,
		Detail: fmt.Sprintf("Key (email)=(user%d@example.com) already exists.", n), TableName: "users", ConstraintName: "users_email_key",
	}
}

// BenchmarkLook is what a statement and a task pay that fail, with nothing in the
// memories, with a full memory of the process, and with a full one of the task too.
func BenchmarkLook(b *testing.B) {
	long := strings.Repeat("the customer cannot be told, since nobody answers the door; ", 64<<10/60)
	looked := []struct {
		name string
		err  error
	}{
		{"driver", told(-1)},
		{"sqlite", sqlite3.Error{Code: 19, ExtendedCode: 2067}},
		{"wrapped", fmt.Errorf("save the user of order %d: %w", 7, told(-1))},
		{"text", fmt.Errorf("user %d of the shop has no address: give one first", 7)},
		{"64KiB", errors.New(long)},
	}
	var empty, full drivertext.Memory
	run := func(memories string, m *drivertext.Memory) {
		for _, bench := range looked {
			b.Run(bench.name+"/"+memories, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					errs.Look(bench.err, m)
				}
			})
		}
		b.Run("statement/"+memories, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				errs.LookDriver(told(n), m)
			}
		})
		b.Run("task/"+memories, func(b *testing.B) { // of one failing statement
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				var own drivertext.Memory
				own.Init(m)
				err := told(n)
				errs.LookDriver(err, &own)
				errs.Look(fmt.Errorf("save the user: %w", err), &own)
			}
		})
	}
	run("empty", &empty)
	for i := range 2000 {
		errs.LookDriver(told(i), nil)
	}
	run("process", new(drivertext.Memory))
	for i := range 2000 {
		errs.LookDriver(told(i), &full)
	}
	run("task", &full)
}
