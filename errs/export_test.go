package errs

import "slices"

// The types of the drivers that the tests stand in for are the drivers' own.
func init() {
	driverPaths = slices.Concat(driverPaths, []string{
		"github.com/taskspan/taskspan/errs/internal/lookalike/pgconn",
		"github.com/taskspan/taskspan/errs/internal/lookalike/pgx",
		"github.com/taskspan/taskspan/errs/internal/lookalike/sqlite3",
	})
}

// The bounds of the texts, for tests.
const (
	MaxMessage = maxMessage
	MaxType    = maxType
)

// Retryable returns the codes of a table for which the same work may succeed a
// second time.
func Retryable() map[string][]string {
	codes := map[string][]string{}
	for code, c := range sqlStates {
		if c.retry {
			codes["sqlstate"] = append(codes["sqlstate"], code)
		}
	}
	for class, c := range sqlStateClasses {
		if c.retry {
			codes["class"] = append(codes["class"], class)
		}
	}
	for name, table := range map[string]numbers{"mysql": mysqlCodes, "sqlite": sqliteCodes, "sqlserver": sqlServerCodes} {
		for _, c := range table {
			if c.retry {
				codes[name] = append(codes[name], c.code)
			}
		}
	}
	return codes
}

// Conditions calls f for each code of each table.
func Conditions(f func(table, code string, kind Kind, phrase string)) {
	for code, c := range sqlStates {
		f("sqlstate", code, c.kind, c.phrase)
	}
	for class, c := range sqlStateClasses {
		f("class", class, c.kind, c.phrase)
	}
	for name, table := range map[string]numbers{"mysql": mysqlCodes, "sqlite": sqliteCodes, "sqlserver": sqlServerCodes} {
		for _, c := range table {
			f(name, c.code, c.kind, c.phrase)
		}
	}
}

// IsIdentifier is isIdentifier.
func IsIdentifier(s string) bool { return isIdentifier(s) }

// IsDriverPath is isDriverPath.
func IsDriverPath(path string) bool { return isDriverPath(path) }

// TypeName is typeName.
var TypeName = typeName
