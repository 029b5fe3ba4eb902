package sqltext

import "strings"

// wanted takes the word or quoted name src[from:to] as what the frame waits
// for. It reports whether it is that; otherwise it may begin a clause.
func (s *scanner) wanted(f *frame, k keyword, from, to int) bool {
	switch f.want {
	case wantNothing, wantAssign:
		f.want = wantNothing
		return false
	case wantCTE:
		if k == kwRecursive {
			f.recursive = true
			return true
		}
		if f.late {
			f.late = false
			s.sum.begin(s.src[f.waiting.from:f.waiting.to])
		}
		f.want = wantBody
		f.waiting = newSpan(from, to)
		// Without RECURSIVE, the name is not visible in its own body, where it is
		// that of a table. Other dialects do not need the word.
		f.pending = !f.recursive && s.dialect <= MySQL
		if !f.pending {
			s.remember(f.waiting)
		}
		return true
	case wantBody, wantMain:
		switch k {
		case kwSelect, kwInsert, kwUpdate, kwDelete, kwMerge, kwReplace, kwValues, kwWith, kwTable, kwFrom:
			f.start = true
			f.want = wantNothing
			return false
		}
		return true
	case wantType:
		return s.wantedType(f, k, from, to)
	case wantDefined:
		return s.wantedDefined(f, k, from, to)
	case wantPrivileges:
		return s.wantedPrivileges(f, k)
	case wantRelation, wantObject:
		return s.wantedObject(f, k, from, to)
	case wantName:
		return s.wantedName(f, k, from, to)
	case wantTriggered:
		return s.triggered(f, k, from, to)
	case wantFunction:
		f.want = wantNothing
		return false
	case wantOwned, wantPrepared:
		return s.phrase(f, from, to)
	case wantSaved:
		return s.wantedSaved(f, k, from, to)
	case wantRevised:
		return s.revised(f, k, from, to)
	}
	return s.wantedTable(f, k, from, to)
}

// wantedTable is wanted for the relations of operations and clauses.
func (s *scanner) wantedTable(f *frame, k keyword, from, to int) bool {
	switch k {
	case kwOnly, kwLateral:
		return true
	case kwSelect, kwHard, kwOn, kwSet, kwJoin, kwUsing, kwReturning, kwAs, kwWhen:
		f.want = wantNothing
		return false
	case kwWith, kwValues, kwInsert, kwUpdate, kwDelete, kwMerge:
		switch {
		case s.prev == tokenOpen || k == kwValues:
			f.want = wantNothing
			f.start = s.prev == tokenOpen
			return false
		case f.stmt == kwAnalyze: // ANALYZE UPDATE …, MariaDB's EXPLAIN
			f.want, f.item, f.explain = wantNothing, wantNothing, true
			return false
		case f.stmt == kwBulk, k == kwInsert && f.stmt == kwUpdate && s.prevWord == kwOr: // BULK INSERT, UPDATE OR INSERT
			return true
		}
	case kwObject:
		if f.stmt == kwUpdate && s.dialect == SQLServer && strings.EqualFold(s.src[from:to], "statistics") {
			f.item = wantNothing
			return true
		}
		if s.at(to) == '(' && strings.EqualFold(s.src[from:to], "cast") { // TABLE(CAST(…))
			f.want = wantNothing
			return true
		}
	case kwOutfile:
		f.want = wantNothing
		return true
	case kwIf, kwExists: // TRUNCATE TABLE IF EXISTS t
		if s.prevWord == kwTable || s.prevWord == kwIf {
			return true
		}
	case kwTable:
		if f.want != wantTable && f.want != wantFrom {
			return true
		}
		s.addTarget(f, from, to)
		f.want = wantFunction
		return true
	case kwTemporary:
		if f.want == wantSelected {
			return true
		}
	case kwInto:
		f.want = wantAfterInto
		if f.stmt == kwRelationCommand { // VACUUM INTO file
			f.want, f.item = wantNothing, wantNothing
		}
		return true
	case kwFrom:
		if f.want == wantFrom {
			f.want, f.item, f.from = wantTable, wantTable, true
			return true
		}
		f.want = wantNothing
		return false
	case kwModifier, kwOr, kwReplace, kwRollback, kwAbort, kwAnalyze, kwTop, kwAll, kwIndex, kwRelationCommand:
		if (f.want == wantInto || f.want == wantFrom) && (k != kwRelationCommand || s.operates(f, "msck")) {
			return true
		}
	case kwFormat:
		if f.stmt == kwAnalyze && s.dialect != PostgreSQL { // ANALYZE FORMAT=JSON, MariaDB's EXPLAIN
			f.want, f.item, f.explain = wantNothing, wantNothing, true
			return true
		}
	case kwPercent:
		if s.prev == tokenClose { // TOP (10) PERCENT
			return true
		}
	case kwConcurrently:
		return true
	case kwDetail:
		if f.want == wantInto && f.stmt != kwUpdate && s.prevWord != kwTable {
			return true
		}
	}
	f.want = wantNothing
	switch {
	case s.typed(f, k, from, to):
		f.want, f.typed = wantRevised, newSpan(from, to)
	case s.dialect == Default && s.noTable(f, from, to):
		f.item = wantNothing
		return true
	}
	s.addTarget(f, from, to)
	return true
}

// noTable reports whether the word src[from:to] stands where a table may, and is none:
// USING TIMESTAMP 5, INSERT OVERWRITE DIRECTORY 'x'.
func (s *scanner) noTable(f *frame, from, to int) bool {
	switch word := s.src[from:to]; f.stmt {
	case kwDelete:
		return s.prevWord == kwUsing && (strings.EqualFold(word, "timestamp") || strings.EqualFold(word, "ttl"))
	case kwInsert:
		return (s.prevWord == kwModifier || s.prevWord == kwDetail) && strings.EqualFold(word, "directory")
	}
	return false
}

// wantedName takes the name of a procedure, a database or a pragma.
func (s *scanner) wantedName(f *frame, k keyword, from, to int) bool {
	switch k {
	case kwImmediate:
		return true
	case kwFrom: // EXECUTE IMMEDIATE FROM @file
		if f.stmt == kwExec {
			f.want = wantNothing
			return true
		}
	case kwNone:
		if word := s.src[from:to]; s.dialect == Default && (f.stmt == kwExec && strings.EqualFold(word, "block") || // Firebird
			f.stmt == kwUse && strings.EqualFold(word, "secondary")) { // ROLES
			f.want = wantNothing
			return true
		}
	case kwDetail, kwMaterialized:
		if f.stmt == kwDescribe {
			return true
		}
	case kwAs: // EXECUTE AS USER
		f.want = wantNothing
		return true
	case kwSelect, kwInsert, kwUpdate, kwDelete, kwMerge, kwReplace, kwWith, kwValues:
		f.want = wantNothing
		f.start = f.stmt == kwDescribe
		return false
	case kwTable:
		if f.stmt == kwDescribe {
			return true
		}
	}
	f.want = wantNothing
	if s.typed(f, k, from, to) {
		f.want, f.typed = wantRevised, newSpan(from, to)
	}
	s.addTarget(f, from, to)
	f.arguments = (f.stmt == kwExec || f.stmt == kwCall && s.dialect == Default) && f.want == wantNothing && (s.dialect == SQLServer || s.dialect == Default)
	return true
}

// typed reports whether the word src[from:to] may be a type of objects, before the
// name of one, after an operation that needs no type: REINDEX SCHEMA s, USE SCHEMA s.
func (s *scanner) typed(f *frame, k keyword, from, to int) bool {
	word := s.src[from:to]
	object := k == kwObject || k == kwRoutine || k == kwNoObject || k == kwView || k == kwIndex || k == kwTrigger || k == kwPolicy
	switch f.stmt {
	case kwUse, kwDescribe:
		return object || k == kwNone && (isObject(word) || f.stmt == kwDescribe && strings.EqualFold(word, "formatted"))
	case kwCall, kwExec:
		return s.dialect == Default && (object || k == kwNone && isObject(word))
	case kwAnalyze:
		return s.dialect == Oracle && k == kwRelationCommand || k == kwNone && strings.EqualFold(word, "compression")
	case kwCopy:
		return s.dialect == PostgreSQL && k == kwNone && strings.EqualFold(word, "binary")
	case kwInsert:
		return s.dialect == Default && k == kwRoutine && strings.EqualFold(word, "function")
	case kwTruncate:
		return k == kwObject && strings.EqualFold(word, "database") || k == kwRelationCommand && s.dialect == Oracle
	case kwRelationCommand:
		if k == kwNone && strings.EqualFold(word, "lazy") { // CACHE LAZY TABLE t
			return true
		}
		return object && (s.operates(f, "undrop") || s.operates(f, "reindex") && s.dialect != SQLite || s.operates(f, "rename") || s.operates(f, "flashback"))
	}
	return false
}

// operates reports whether the frame's operation is a word.
func (s *scanner) operates(f *frame, word string) bool {
	return strings.EqualFold(s.src[f.operation.from:f.operation.to], word)
}

// revised takes the word after one that was taken for a target. If it is a name, the
// word before was a type of objects, or a part of one.
func (s *scanner) revised(f *frame, k keyword, from, to int) bool {
	f.want = wantNothing
	name := k == kwNone || k == kwDetail || k == kwObject || k == kwRoutine || k == kwNoObject
	if s.prev != tokenName {
		return false
	}
	if f.compound {
		if strings.EqualFold(s.src[from:to], "specification") && s.lastIs("audit") {
			s.addTarget(f, from, to)
			f.want = wantRevised
			return true
		}
		f.compound = false
		switch {
		case k == kwIf:
			f.want = wantObject
		case name:
			s.addTarget(f, from, to)
		case k == kwOn:
			return false
		default:
			return false
		}
		s.enters(f)
		return true
	}
	if s.last != f.typed && s.prevWord != kwConcurrently {
		return false
	}
	if k == kwConcurrently {
		f.want = wantRevised
		return true
	}
	if k == kwTable { // CACHE LAZY TABLE t
		s.sum.drop()
		s.targets--
		f.want = wantInto
		return true
	}
	if !name {
		return false
	}
	s.sum.drop()
	f.arguments = f.stmt == kwExec
	s.targets--
	s.routineCalled = strings.EqualFold(s.src[f.typed.from:f.typed.to], "procedure")
	if !owns(s.src[f.typed.from:f.typed.to]) {
		s.addTarget(f, from, to)
	}
	return true
}

// owns reports whether what has the type is somebody, and no target.
func owns(typ string) bool {
	return strings.EqualFold(typ, "user") || strings.EqualFold(typ, "role") || strings.EqualFold(typ, "login") ||
		strings.EqualFold(typ, "share")
}

// wantedSaved takes what BACKUP and RESTORE save: DATABASE name, LOG name, TABLE name.
func (s *scanner) wantedSaved(f *frame, k keyword, from, to int) bool {
	switch k {
	case kwTo, kwFrom, kwInto, kwWith, kwAs, kwOn:
		f.want, f.item = wantNothing, wantNothing
		return false
	case kwTable, kwObject, kwIndex, kwView:
		f.typed = newSpan(from, to)
		return true
	}
	switch word := s.src[from:to]; {
	case f.typed.to > 0:
		s.addTarget(f, from, to)
		f.want = wantNothing
	case strings.EqualFold(word, "log"), strings.EqualFold(word, "certificate"):
		f.typed = newSpan(from, to)
	}
	return true
}
