package otdb

import (
	"math/bits"
	"strings"
)

// Operation is a kind of operation, or a set of lifecycle operations: of its bits each is
// one. Zero is a statement.
type Operation uint8

// The lifecycle operations of a database, which are all but its statements.
const (
	OperationConnect Operation = 1 << iota
	OperationPing
	OperationBegin
	OperationCommit
	OperationRollback
	OperationPrepare
	OperationResetSession

	allOperations = OperationResetSession<<1 - 1
)

// DefaultOperations are the lifecycle operations that are traced unless
// [WithOperations] selects others: all but ping and session reset.
const DefaultOperations = OperationConnect | OperationBegin | OperationCommit | OperationRollback | OperationPrepare

// operationNames are the names of the lifecycle operations by their bits: span names, and
// values of db.operation.name.
var operationNames = [...]string{"CONNECT", "PING", "BEGIN", "COMMIT", "ROLLBACK", "PREPARE", "RESET_SESSION"}

// String returns the name of a lifecycle operation as its span has it, those of a set with
// "|" between them, and "statement" for zero.
func (o Operation) String() string {
	if o == 0 {
		return "statement"
	}
	var names []string
	for rest := uint(o); rest != 0; rest &= rest - 1 {
		if bit := bits.TrailingZeros(rest); bit < len(operationNames) {
			names = append(names, operationNames[bit])
		} else {
			names = append(names, "unknown")
		}
	}
	return strings.Join(names, "|")
}

// SpanInfo describes an operation to a span filter.
type SpanInfo struct {
	Operation Operation // zero for a statement
	Summary   string    // a statement's db.query.summary
	Query     string    // a statement's text as the application wrote it, for PREPARE too
}
