package sqltext

import "strings"

// breaks reports whether the keyword begins a statement in the middle of another:
// SQL Server needs no semicolon between them. Nobody puts the words that SQL Server
// reserves in the place of names, so that those of pure commands need no new line.
func (s *scanner) breaks(f *frame, k keyword) bool {
	if s.dialect != SQLServer || s.depth > 0 || s.over > 0 || f.cases > 0 || f.stmt == kwPrivilege && !f.granted {
		return false
	}
	switch s.prev {
	case tokenComma, tokenOp, tokenOpen, tokenDot, tokenNone:
		return false
	}
	switch s.prevWord {
	case kwFor, kwThen, kwOperator, kwNot, kwOr, kwIn, kwIs, kwBy, kwSelect, kwWhen, kwHard, kwWith, kwTo, kwFrom, kwInto, kwUsing,
		kwJoin, kwDistinctFrom, kwExec, kwCase, kwIf, kwWhile, kwExists, kwCreate, kwAlter, kwDrop:
		return false
	case kwOn: // SET NOCOUNT ON, but not ON DELETE
		return f.stmt == kwSet
	}
	switch k {
	case kwReserved, kwDeclare, kwBackup, kwBegin, kwWhile, kwCommit, kwRollback:
		return true
	case kwInsert, kwUpdate, kwDelete:
		switch f.stmt {
		case kwSelect, kwInsert, kwUpdate, kwDelete, kwSet, kwTruncate, kwBegin, kwPrivilege, kwBatch, kwReserved, kwDeclare, kwFetch,
			kwCommit, kwRollback, kwUse, kwExec, kwBackup, kwBulk:
			return true
		}
		return s.newline || s.prev == tokenClose
	case kwBatch:
		return s.newline || !s.isThrow()
	case kwFetch:
		return s.prevWord != kwRows // OFFSET n ROWS FETCH
	case kwPrivilege, kwUse, kwTruncate, kwBulk, kwIf, kwMerge, kwReturning, kwCreate, kwAlter, kwDrop:
		return s.newline || s.prev == tokenClose
	case kwSet:
		if f.stmt == kwUpdate && !f.assigned || f.stmt == kwMerge || f.stmt == kwAlter || f.stmt == kwCreate {
			return false
		}
		return s.newline
	}
	return false
}

// isBatch reports whether word, after BEGIN, belongs to Cassandra's BEGIN UNLOGGED BATCH.
func isBatch(word string) bool {
	return strings.EqualFold(word, "batch") || strings.EqualFold(word, "unlogged") || strings.EqualFold(word, "logged") || strings.EqualFold(word, "counter")
}

// isBroker reports whether word begins a statement of SQL Server about queues, or about
// parts of texts, and is a name elsewhere.
func isBroker(word string) bool {
	for _, w := range [...]string{"receive", "send", "get", "readtext", "writetext", "updatetext"} {
		if strings.EqualFold(word, w) {
			return true
		}
	}
	return false
}

// isThrow reports whether the word at the scanner's position, which was read, is THROW:
// of all that begin a statement, it alone is not reserved.
func (s *scanner) isThrow() bool {
	return s.pos >= len("throw") && strings.EqualFold(s.src[s.pos-len("throw"):s.pos], "throw")
}

// executes reports whether EXEC begins a statement in the middle of another: in
// SQL Server it does, unless it is a privilege or WITH EXECUTE AS.
func (s *scanner) executes(f *frame) bool {
	return s.dialect == SQLServer && s.depth == 0 && (f.stmt != kwPrivilege || f.granted) &&
		s.prevWord != kwWith && s.prev != tokenComma
}

// argument reports whether the keyword, among the arguments of a procedure, is none of
// them: no string without quotes is reserved.
func (k keyword) argument() bool {
	switch k {
	case kwNone, kwCommand, kwObject, kwRoutine, kwNoObject, kwTemporary, kwDetail, kwModifier, kwSoft, kwOwner, kwRelationCommand,
		kwAdminister, kwAnalyze, kwApply, kwBlock, kwException, kwArray, kwBody, kwDo, kwElsif, kwForall, kwFormat, kwGo,
		kwImmediate, kwLateral, kwLoad, kwLoop, kwMaterialized, kwOnly, kwPolicy, kwPragma, kwPrepare, kwRecursive,
		kwRefresh, kwReplace, kwRows, kwStart, kwStdin, kwSystemTime, kwOutfile, kwEncrypt, kwIdentified, kwStraightJoin:
		return true
	}
	return false
}
