package otdb

import (
	"database/sql/driver"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/sqltext"
)

// maxParameters is how many arguments are recorded of a statement, so that they take no
// place from its other attributes: spans have a limit.
const maxParameters = 32

// parameters appends the arguments that the user allowed to be recorded. Drivers
// that convert arguments themselves, such as pgx, let any Go value through to here:
// those of other types are not recorded. To print one could run
// the application's own methods, race with it, or show what its Value method hides.
func (db *database) parameters(opts []trace.SpanStartOption, args []driver.NamedValue) (out []trace.SpanStartOption) {
	out = opts // in case the function panics
	defer scope.Guard("the function given to WithQueryParameters")
	var kv []attribute.KeyValue
	first := callOptions(args)
	for i := range args[first:] {
		arg := &args[first+i]
		text, ok := parameterText(arg.Value)
		if !ok {
			continue
		}
		key := arg.Name
		if key == "" {
			key = strconv.Itoa(arg.Ordinal - 1 - first)
		}
		if len(kv) < maxParameters && db.cfg.parameters(key) {
			kv = append(kv, semconv.DBQueryParameter(instrument.ValidString(key), text))
		}
	}
	if kv == nil {
		return opts
	}
	return append(opts[:len(opts):len(opts)], trace.WithAttributes(kv...))
}

// callOptions returns how many of the arguments are none: pgx takes for the way to run
// the statement what stands in front of its arguments.
func callOptions(args []driver.NamedValue) (n int) {
	for n < len(args) && isCallOption(args[n].Value) {
		n++
	}
	return n
}

// isCallOption knows pgx's types by their names: no driver is imported.
func isCallOption(v any) bool {
	switch v.(type) {
	case nil, int64, float64, bool, []byte, string, time.Time: // most arguments
		return false
	}
	t := reflect.TypeOf(v)
	return strings.HasPrefix(t.PkgPath(), "github.com/jackc/pgx/") && strings.HasPrefix(t.Name(), "Query")
}

// parameterText formats an argument, and returns false for what is no value of
// database/sql or a number of Go's own. Like a text, it is exported as valid UTF-8
// and cut where it is very long.
func parameterText(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "NULL", true
	case string:
		return sqltext.Truncate(v), true
	case []byte:
		return sqltext.Truncate(string(v[:min(len(v), 2*sqltext.MaxText)])), true
	case time.Time:
		return v.Format(time.RFC3339Nano), true
	case bool, int64, float64, int, int8, int16, int32, uint, uint8, uint16, uint32, uint64, float32:
		return fmt.Sprint(v), true
	}
	return "", false
}
