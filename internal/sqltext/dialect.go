package sqltext

// Dialect is how a database reads SQL text.
type Dialect uint8

// The dialects. Default is for databases that are not known: it assumes the
// worst of every dialect.
const (
	Default Dialect = iota
	PostgreSQL
	MySQL
	SQLite
	SQLServer
	Oracle
)

// String returns the dialect's name.
func (d Dialect) String() string {
	switch d {
	case PostgreSQL:
		return "PostgreSQL"
	case MySQL:
		return "MySQL"
	case SQLite:
		return "SQLite"
	case SQLServer:
		return "SQLServer"
	case Oracle:
		return "Oracle"
	default:
		return "Default"
	}
}

// DialectOf returns the dialect for a value of db.system.name. Databases that
// share the lexical rules of one of the five share its dialect; all others have
// [Default].
func DialectOf(system string) Dialect {
	switch system {
	case "postgresql", "cockroachdb", "aws.redshift", "yugabytedb", "timescaledb", "alloydb":
		return PostgreSQL
	case "mysql", "mariadb", "tidb":
		return MySQL
	case "sqlite":
		return SQLite
	case "microsoft.sql_server":
		return SQLServer
	case "oracle.db":
		return Oracle
	default:
		return Default
	}
}

// escape is what a backslash does before the quote that would end a string.
type escape uint8

const (
	escapeNever  escape = iota // nothing
	escapeAlways               // it takes the quote into the string
	escapeDoubt                // one or the other, by the session's settings
)

// plainEscape returns the rule for strings in single quotes without a prefix.
// PostgreSQL has standard_conforming_strings, MySQL NO_BACKSLASH_ESCAPES.
func (d Dialect) plainEscape() escape {
	switch d {
	case SQLite, SQLServer, Oracle:
		return escapeNever
	default:
		return escapeDoubt
	}
}

// comments in a block nest, do not nest, or nobody knows.
type nesting uint8

const (
	nestDoubt nesting = iota
	nestNever
	nestAlways
)

// nesting returns whether block comments nest. MySQL's do so only inside
// version comments, and that is deprecated.
func (d Dialect) nesting() nesting {
	switch d {
	case PostgreSQL, SQLServer:
		return nestAlways
	case SQLite, Oracle:
		return nestNever
	default:
		return nestDoubt
	}
}
