package sqltext

import "strings"

// operate begins an operation with the word src[from:to].
func (s *scanner) operate(f *frame, k keyword, from, to int, next, item want) {
	s.sum.begin(s.src[from:to])
	*f = frame{
		stmt: k, operation: newSpan(from, to), want: next, item: item, named: f.named, mark: len(s.sum.buf),
		inserted: f.inserted || k == kwInsert, several: f.several || k == kwFrom,
	}
	if s.sum.muted {
		return
	}
	if s.operations++; s.operations == 1 {
		s.first, s.renames = k, s.operates(f, "rename")
	}
	s.several = s.several || s.parted && s.operations > 1
	switch k {
	case kwCopy, kwLoad, kwBulk:
		s.batched = true
	}
}

// clause takes a keyword that nothing waited for: an operation or a clause of one.
func (s *scanner) clause(f *frame, k keyword, from, to int, start bool) {
	begins := start || f.start || f.condition && f.stmt == kwDeclare && s.prev.operand()
	breaks := s.dialect == SQLServer && s.breaks(f, k)
	s.several = s.several || breaks
	start = begins || f.explain ||
		f.condition && s.prev.operand() && s.prevWord != kwIf && s.prevWord != kwExists && s.prevWord != kwWhile || breaks ||
		s.unparted && (k == kwInsert || k == kwUpdate || k == kwDelete)
	f.start = false
	switch k {
	case kwSelect:
		if f.stmt == kwPrivilege && !f.granted || s.prevWord == kwPrivilege || s.prevWord == kwOn && f.stmt != kwSet ||
			f.stmt == kwCreate && s.prevWord == kwFor { // CREATE POLICY … FOR SELECT
			return
		}
		if f.stmt == kwFrom { // FROM t SELECT a
			s.sum.rename(f.mark, s.src[f.operation.from:f.operation.to], s.src[from:to])
			f.stmt, f.item = kwSelect, wantNothing
			return
		}
		s.operate(f, k, from, to, wantNothing, wantNothing)
	case kwInsert, kwUpdate, kwDelete, kwMerge, kwReplace:
		if !start && (k != kwInsert || !f.several) { // Hive's FROM t INSERT …
			if k == kwUpdate || f.stmt == kwAnalyze { // FOR UPDATE, ON DUPLICATE KEY UPDATE
				f.item = wantNothing
			}
			return
		}
		s.modify(f, k, from, to)
	case kwWith:
		switch {
		case f.stmt == kwBegin && s.dialect == SQLServer && s.prev == tokenName && s.prevWord == kwNone: // BEGIN TRAN name WITH MARK
		case start || s.prev == tokenOpen || s.prevWord == kwAs || s.prevWord == kwFor:
			s.operate(f, k, from, to, wantCTE, wantNothing)
		case f.stmt == kwInsert: // unless a hint follows
			f.want, f.waiting, f.late = wantCTE, newSpan(from, to), true
		}
	case kwValues:
		if start || s.prevWord == kwHard || s.prevWord == kwAll { // UNION VALUES
			s.operate(f, k, from, to, wantNothing, wantNothing)
		}
		f.item, f.values = wantNothing, true
	case kwFrom:
		if begins && !f.condition || s.dialect == Default && s.leads(f) { // DuckDB, Spark, Hive
			s.operate(f, k, from, to, wantTable, wantTable)
			f.mark -= to - from
			f.from = true
			return
		}
		s.fromClause(f)
	case kwJoin:
		if s.prevWord == kwArray && s.dialect == Default { // of columns
			f.item = wantNothing
			return
		}
		if s.prevWord == kwFor { // FORCE INDEX FOR JOIN (name)
			f.item = wantTable
			return
		}
		s.joinClause(f)
	case kwApply:
		if s.prevWord == kwCross || s.prevWord == kwOuter {
			s.joinClause(f)
		}
	case kwStraightJoin:
		if f.from {
			s.joinClause(f)
		}
	case kwInto:
		s.intoClause(f)
	case kwUsing:
		if (f.stmt == kwDelete || f.stmt == kwMerge) && !f.joined {
			f.want, f.joined = wantTable, true
			if f.stmt == kwDelete {
				f.item = wantTable
			}
		}
	case kwOn:
		s.onClause(f)
	case kwTo:
		s.toClause(f, from, to)
	case kwView:
		if s.prevWord == kwLateral { // LATERAL VIEW explode(a) t AS columns
			f.item = wantNothing
		}
	case kwReturning:
		f.item, f.returning, f.values = wantNothing, true, false
		if s.dialect == SQLServer && start {
			*f = frame{named: f.named}
		}
	case kwOutput:
		if s.dialect == SQLServer || s.dialect == Default {
			f.item = wantNothing
			if f.output == 0 {
				f.output = len(s.sum.buf)
			}
		}
	case kwGroup, kwOrder:
		f.item = wantNothing
		if s.prevWord == kwFor { // USE INDEX FOR ORDER BY (name)
			f.item = wantTable
		}
	case kwSystemTime:
		if s.prevWord == kwFor && f.from { // FROM t FOR SYSTEM_TIME AS OF …, u
			f.item = wantTable
		}
	case kwFor:
		f.item = wantNothing
		if f.stmt == kwDeclare && s.lastIs("handler") { // FOR conditions statement
			f.condition = true
		}
		if f.stmt == kwRelationCommand && (s.lastIs("instance") || s.lastIs("binlog")) { // LOCK INSTANCE FOR BACKUP
			s.sum.drop()
		}
		if begins { // FOR i IN 1..9 LOOP
			f.control = true
		} else if f.object == kwTrigger && s.dialect == Default && f.routine && s.prev == tokenName { // Firebird
			f.want, f.object = wantTriggered, kwNone
		}
	case kwHard, kwSoft:
		f.item = wantNothing
		if start && s.dialect == Default { // CONNECT TO …
			f.arguments = true
		}
	case kwAs:
		f.start = f.stmt == kwCreate || f.stmt == kwPrepare ||
			f.stmt == kwAlter && f.object != kwTable // ADD COLUMN … GENERATED ALWAYS AS (expression)
	case kwBegin:
		s.beginClause(f, from, to, start)
	case kwOperator:
		if f.stmt == kwRelationCommand && s.operates(f, "exchange") && s.depth == 0 { // a AND b
			f.want = wantTable
		}
	case kwModifier:
		if f.stmt == kwLoad && s.lastIs("data") { // LOAD DATA OVERWRITE t
			f.want = wantAfterInto
		}
	case kwBlock, kwNoObject:
		if begins && s.prev == tokenNone && s.dialect == Default && strings.EqualFold(s.src[from:to], "system") { // ClickHouse
			s.command(f, kwCommand, from, to)
			return
		}
		s.blockClause(f, k, from, to, start)
	case kwExec:
		if start || s.executes(f) {
			s.operate(f, k, from, to, wantName, wantNothing)
		}
	case kwStdin:
		f.stdin = f.stmt == kwCopy
	case kwBy: // CLUSTER BY, SORT BY, DISTRIBUTE BY
		if s.dialect == Default {
			f.item = wantNothing
		}
	case kwPrivilege:
		if start && s.prevWord != kwWith { // WITH GRANT OPTION
			s.command(f, k, from, to)
		} else if f.stmt == kwAlter {
			f.stmt, f.item = k, wantNothing
		}
	case kwTable:
		if f.object == kwObject && s.prevWord == kwAs { // CREATE TYPE … AS TABLE
			return
		}
		switch {
		case start || f.stmt == kwInsert:
			s.command(f, k, from, to)
		case f.from && s.dialect == Default && (s.lastIs("final") || s.lastIs("new") || s.lastIs("old")): // FINAL TABLE (INSERT …)
			s.sum.drop()
			f.want, f.function = wantTable, true
		}
	case kwCommit, kwRollback:
		if start {
			s.command(f, k, from, to)
		}
	case kwDrop, kwAlter:
		switch {
		case start && !begins && f.stmt == kwAlter: // a clause, or a statement of SQL Server
			f.want, f.waiting = wantDefined, newSpan(from, to)
		case start:
			s.command(f, k, from, to)
		case f.stmt == kwAnalyze: // DROP HISTOGRAM ON columns
			f.item = wantNothing
		}
	case kwIf, kwWhile, kwElse, kwElsif, kwWhen, kwThen, kwCase, kwEnd, kwLoop, kwForall, kwException, kwDo:
		s.flow(f, k, from, to, start, begins)
	case kwSet:
		f.item = wantNothing
		f.assigned = true
		if start && !f.explain { // EXPLAIN PLAN SET STATEMENT_ID
			s.operate(f, k, from, to, wantNothing, wantNothing)
		}
	case kwNot: // BEGIN NOT ATOMIC
		f.start = begins && s.prevWord == kwBegin
	case kwOnly:
		if f.stmt == kwRelationCommand && s.prev == tokenName { // Redshift's VACUUM SORT ONLY
			s.sum.drop()
			f.want = wantInto
		}
	case kwTrigger:
		if (s.lastIs("enable") || s.lastIs("disable")) && s.dialect == SQLServer && f.stmt != kwAlter && f.stmt != kwCreate {
			if f.stmt == kwExec { // it was taken for a procedure
				s.sum.drop()
			}
			s.operate(f, kwRefresh, int(s.last.from), int(s.last.to), wantType, wantNothing)
			s.wanted(f, k, from, to)
		}
	case kwRows: // VALUES ROW(1), ROW(2)
		s.batched = s.batched || f.values && f.stmt == kwInsert && s.prev == tokenComma
	case kwBatch:
		if begins && s.dialect == Default || start && s.dialect == SQLServer {
			s.command(f, k, from, to)
		}
	default:
		if start {
			s.command(f, k, from, to)
		}
	}
}

// defines reports whether the first operation defines something.
func (s *scanner) defines() bool {
	switch s.first {
	case kwCreate, kwAlter, kwDrop, kwComment, kwOwner, kwPrivilege:
		return true
	}
	return s.renames
}

// modify begins INSERT, UPDATE, DELETE, MERGE or REPLACE.
func (s *scanner) modify(f *frame, k keyword, from, to int) {
	next, item := wantInto, wantNothing
	switch k {
	case kwReplace: // which is an INSERT
		if s.dialect == SQLServer { // a function
			return
		}
		k = kwInsert
	case kwDelete:
		next, item = wantFrom, wantFrom
	case kwUpdate:
		item = wantTable
	}
	s.operate(f, k, from, to, next, item)
}

// flow takes a word of the flow of control in a block or in a batch.
func (s *scanner) flow(f *frame, k keyword, from, to int, start, begins bool) {
	server := s.dialect == SQLServer && s.depth == 0
	switch k {
	case kwIf, kwWhile:
		switch {
		case server && (start || s.newline):
			*f = frame{named: f.named, condition: true}
		case begins:
			f.control = true
		}
	case kwElsif, kwWhen:
		f.control = f.control || begins
	case kwForall:
		if begins {
			f.condition = true
		}
	case kwCase:
		if begins {
			f.control = true // a statement
		} else {
			f.cases++
		}
	case kwThen:
		if f.control && f.cases == 0 {
			*f = frame{named: f.named, start: true}
		}
	case kwElse:
		if f.cases == 0 && (server || begins) {
			*f = frame{named: f.named, start: true}
		}
	case kwEnd:
		switch {
		case f.cases > 0:
			f.cases--
		case begins && len(s.sum.buf) == 0 && !s.sum.muted: // not of a block
			s.operate(f, k, from, to, wantNothing, wantNothing)
		case server:
			*f = frame{named: f.named, start: true}
		}
	case kwLoop, kwException:
		if begins || f.control {
			*f = frame{named: f.named, start: true}
		}
	case kwDo:
		switch {
		case f.control:
			*f = frame{named: f.named, start: true}
		case begins:
			s.command(f, k, from, to)
		default: // CREATE EVENT … DO
			f.start = f.stmt == kwCreate
		}
	}
}

// beginClause takes BEGIN. It is an operation at the beginning of a statement, and
// where it begins a transaction; that of a body or of a block in a block is none.
func (s *scanner) beginClause(f *frame, from, to int, start bool) {
	if s.prev == tokenNone {
		s.operate(f, kwBegin, from, to, wantNothing, wantNothing)
	} else if s.dialect == SQLServer && start {
		*f = frame{named: f.named, waiting: newSpan(from, to)}
	}
	f.start, f.object = true, kwNone
}

// blockClause takes a word after BEGIN, after which the block begins, or after END.
func (s *scanner) blockClause(f *frame, k keyword, from, to int, start bool) {
	if k == kwNoObject && f.stmt == kwPrepare && s.prevWord == kwPrepare { // PREPARE TRANSACTION
		s.sum.begin(s.src[from:to])
		return
	}
	if s.prevWord != kwBegin && s.prevWord != kwBlock && s.prevWord != kwNot && s.prevWord != kwEnd || !start {
		return
	}
	f.start = true
	if w := f.waiting; s.prevWord == kwBegin && f.stmt == kwNone && w.to > 0 && isTransaction(s.src[from:to]) {
		s.operate(f, kwBegin, int(w.from), int(w.to), wantNothing, wantNothing) // BEGIN TRAN in a batch
		f.start = true
	}
}

// isTransaction reports whether word, after BEGIN, begins a transaction.
func isTransaction(word string) bool {
	return lower[word[0]] == 't' && len(word) > len("try") || lower[word[0]] == 'd'
}

// command takes an operation that is one only at the beginning of a statement.
func (s *scanner) command(f *frame, k keyword, from, to int) {
	next, item := wantNothing, wantNothing
	switch k {
	case kwCommand, kwReserved, kwBatch, kwAdminister, kwAttach, kwDo, kwFetch, kwPrivilege, kwDeclare, kwPrepare, kwAbort:
	case kwCommit, kwRollback:
		if s.dialect == PostgreSQL || s.dialect == Default {
			next = wantPrepared
		}
	case kwExplain:
		s.operate(f, k, from, to, wantNothing, wantNothing)
		f.explain = true
		return
	case kwCreate, kwAlter, kwDrop, kwComment, kwRefresh, kwStart:
		next = wantType
	case kwOwner:
		s.operate(f, k, from, to, wantOwned, wantNothing)
		return
	case kwRelationCommand, kwTruncate, kwAnalyze:
		next, item = wantInto, wantTable
		if f.explain {
			return // EXPLAIN ANALYZE
		}
	case kwTable, kwCopy:
		next = wantTable
	case kwCall, kwUse, kwPragma, kwDescribe:
		next = wantName
	case kwExists: // EXISTS TABLE t, in ClickHouse
		if s.dialect != Default || s.prev != tokenNone {
			return
		}
		k, next = kwDescribe, wantName
	case kwBulk:
		next = wantInto
	case kwBackup:
		next = wantSaved
	case kwLoad:
	default:
		return
	}
	s.operate(f, k, from, to, next, item)
}

// phrase takes the second word of an operation that has two, if the word src[from:to]
// is it: REASSIGN OWNED, SECURITY LABEL, COMMIT PREPARED.
func (s *scanner) phrase(f *frame, from, to int) bool {
	word := s.src[from:to]
	owner := f.want == wantOwned
	f.want = wantNothing
	switch {
	case owner && strings.EqualFold(word, "label"):
		f.stmt, f.want = kwComment, wantType
	case owner && strings.EqualFold(word, "owned"), !owner && strings.EqualFold(word, "prepared"):
	default:
		return false
	}
	s.sum.begin(word)
	return true
}

// onClause takes ON where nothing waited for it.
func (s *scanner) onClause(f *frame) {
	f.values = false
	switch f.object {
	case kwTrigger:
		f.want, f.object = wantTriggered, kwNone
	case kwIndex:
		if !s.lastIs("depends") { // ALTER INDEX i DEPENDS ON EXTENSION e
			f.want = wantTable
		}
		if f.stmt != kwDrop { // DROP INDEX i ON t, j ON u
			f.object = kwNone
		}
	case kwPolicy:
		f.want, f.object = wantTable, kwNone
	case kwRule:
		if f.stmt != kwCreate { // CREATE RULE AS ON INSERT
			f.want, f.object = wantTable, kwNone
		}
	}
	if f.stmt == kwAnalyze || f.stmt == kwRelationCommand { // of columns
		f.item = wantNothing
	}
}

// toClause takes TO where nothing waited for it.
func (s *scanner) toClause(f *frame, from, to int) {
	switch f.stmt {
	case kwPrivilege:
		f.granted = true
	case kwRollback:
		s.sum.begin(s.src[from:to])
		f.stmt = kwCommand
	case kwBackup:
		f.item = wantNothing
	}
	if f.object == kwRule { // ON INSERT TO name
		f.want, f.object = wantTable, kwNone
	}
}

// leads reports whether FROM, where nothing waited for it, begins a query: after INSERT
// INTO t, EXPLAIN, or an opening parenthesis that is no function's.
func (s *scanner) leads(f *frame) bool {
	return f.stmt == kwInsert && !f.values && !f.from || f.explain ||
		s.prev == tokenOpen && f.stmt == kwNone && (f.call.to == 0 || strings.EqualFold(s.src[f.call.from:f.call.to], "exists"))
}

// fromClause takes FROM where nothing waited for it.
func (s *scanner) fromClause(f *frame) {
	if s.prevWord == kwDistinctFrom {
		return
	}
	switch f.stmt {
	case kwDelete:
		if !f.from { // DELETE alias FROM name
			to := f.output
			if to == 0 {
				to = len(s.sum.buf)
			}
			s.sum.cut(f.mark, to)
		}
	case kwSelect, kwUpdate:
		if f.from && s.prevWord == kwRows && s.dialect == PostgreSQL { // FROM ROWS FROM (functions)
			s.sum.drop()
		}
	case kwPrivilege:
		f.granted = true
		return
	default:
		return
	}
	f.want, f.item, f.from = wantTable, wantTable, true
}

// joinClause takes JOIN and what is like it.
func (s *scanner) joinClause(f *frame) {
	switch f.stmt {
	case kwSelect, kwUpdate, kwDelete, kwMerge, kwFrom:
		f.want, f.joined = wantTable, true
	}
}

// intoClause takes INTO where nothing waited for it.
func (s *scanner) intoClause(f *frame) {
	f.item = wantNothing
	switch f.stmt {
	case kwInsert, kwMerge, kwUpdate, kwDelete: // OUTPUT … INTO, LOG ERRORS INTO
		if !f.returning {
			f.want = wantAfterInto
			s.batched = s.batched || f.values // INSERT ALL INTO t VALUES … INTO u
		}
	case kwLoad:
		f.want = wantAfterInto
	case kwSelect:
		if !f.from && !f.returning && (s.dialect == PostgreSQL || s.dialect == SQLServer || s.dialect == Default) {
			f.want = wantSelected
		}
	}
}
