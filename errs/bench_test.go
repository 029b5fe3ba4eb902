package errs_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/errs/internal/lookalike/mysql"
	"github.com/taskspan/taskspan/errs/internal/lookalike/sqlite3"
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
