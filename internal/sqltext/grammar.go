package sqltext

import "strings"

// want is what the next token may be, after an operation or a clause.
type want uint8

const (
	wantNothing   want = iota
	wantTable          // a relation: after FROM, JOIN, USING, ON
	wantInto           // a relation, modifiers before it: after INSERT, UPDATE, TRUNCATE …
	wantAfterInto      // a relation, TABLE before it: after INTO
	wantSelected       // a relation, TEMP TABLE before it: after SELECT … INTO
	wantFrom           // FROM or a relation: after DELETE
	wantType           // an object's type: after CREATE, ALTER, DROP …
	wantRelation       // a relation's name: after CREATE TABLE …
	wantObject         // another object's name
	wantName           // a procedure, a database, a pragma
	wantAssign         // = and a procedure, or its arguments: after EXEC @variable
	wantCTE            // the name of a common table expression
	wantBody           // its columns, AS and its body
	wantDefined        // an object's type, or what a clause drops or alters: after DROP in an ALTER
	wantMain           // a comma and another one, or the statement that uses them
)

// maxNames is how many common table expressions are remembered in a statement.
const maxNames = 64

// frame is the state of the summary between two parentheses.
type frame struct {
	stmt      keyword // the operation whose clauses are read
	object    keyword // the object's type, after CREATE, ALTER and DROP
	want      want    // what the next token may be
	item      want    // what follows a comma: wantNothing outside a list of targets
	start     bool    // a statement may begin here
	explain   bool    // a statement may begin anywhere, after EXPLAIN
	condition bool    // a statement may begin after an operand, after IF
	joined    bool    // USING holds columns
	from      bool    // FROM was seen
	returning bool    // INTO holds variables
	setting   bool    // a value follows = or TO: after SET
	recursive bool    // WITH RECURSIVE
	arguments bool    // words are arguments: after EXEC in SQL Server
	inserted  bool    // the statement began with INSERT
	stdin     bool    // data follow the statement: after COPY … FROM STDIN
	pending   bool    // a name waits until its common table expression ends
	waiting   span    // that name
	mark      int     // length of the summary after the operation
	late      bool    // WITH waits there until a name follows
	named     int     // common table expressions in scope outside
}

// top returns the innermost frame.
func (s *scanner) top() *frame { return &s.frames[s.depth] }

// wantsName reports whether only a relation's name, or that of a common table
// expression, can stand here.
func (s *scanner) wantsName() bool {
	if s.over > 0 {
		return false
	}
	switch s.top().want {
	case wantTable, wantInto, wantAfterInto, wantSelected, wantFrom, wantRelation, wantCTE:
		return true
	default:
		return false
	}
}

// took records that a token was read.
func (s *scanner) took(t token, k keyword) {
	s.prev, s.prevWord = t, k
	s.newline = false
	s.commented = false
	s.password = false
	s.setting.tokens++
	if s.ended && t != tokenNone {
		s.script = true
	}
	switch s.attach {
	case attachBegun:
		s.attach = attachSource
	case attachName:
		s.attach = attachRest
	}
}

// takeWord takes the unquoted word src[from:to].
func (s *scanner) takeWord(from, to int) {
	if s.takeSecret(from, to) {
		return
	}
	if s.prev == tokenDot {
		s.takeName(from, to)
		return
	}
	k := keywordOf(s.src[from:to])
	if s.at(to) == '.' {
		k = kwNone // it qualifies a name
	}
	if k == kwDistinct && (s.prevWord == kwIs || s.prevWord == kwNot) {
		k = kwDistinctFrom
	}
	s.endTarget()
	if s.over == 0 {
		f := s.top()
		if k == kwGo && s.dialect == SQLServer && s.newline {
			s.statement()
			s.took(tokenNone, k)
			return
		}
		if f.arguments && k == kwNone {
			s.literal(from, to) // a string without quotes
			return
		}
		start := f.start
		f.start = false
		if start && k == kwNone {
			s.batch(f)
		}
		if !s.wanted(f, k, from, to) && k != kwNone {
			s.clause(f, k, from, to, start)
		}
	}
	if k != kwConstant {
		s.list.active = false
	} else {
		s.list.values = true
	}
	prevWord, password := s.prevWord, s.password
	if beforeValue[k] {
		s.took(tokenWord, k)
	} else {
		s.took(tokenName, k)
	}
	if s.beginsSecret(k, prevWord, from, to) {
		s.dropSecret()
		return
	}
	s.expectSecret(k, from, to)
	s.password = s.password || password
}

// batch lets a name that begins a batch of SQL Server be that of a procedure.
func (s *scanner) batch(f *frame) {
	if s.dialect == SQLServer && s.prev == tokenNone && f.want == wantNothing {
		f.stmt, f.want = kwExec, wantName
	}
}

// takeName takes a quoted name, or a word after a dot.
func (s *scanner) takeName(from, to int) {
	if s.takeSecretName(from, to) {
		return
	}
	s.list.active = false
	if s.prev == tokenDot {
		if s.target {
			for ; s.dots > 0; s.dots-- {
				s.sum.extend(".")
			}
			s.simple = span{}
			s.sum.extend(s.src[from:to])
		}
		s.took(tokenName, kwNone)
		if s.beginsSecret(kwNone, kwNone, from, to) {
			s.dropSecret()
		}
		return
	}
	s.endTarget()
	if s.over == 0 {
		f := s.top()
		if f.start {
			s.batch(f)
		}
		f.start = false
		s.wanted(f, kwNone, from, to)
	}
	s.took(tokenName, kwNone)
}

// takeDot takes a dot.
func (s *scanner) takeDot() {
	s.list.active = false
	if s.prevWord != kwExec && (s.prev == tokenName || s.prev == tokenDot) {
		s.dots++
		s.took(tokenDot, kwNone)
		return
	}
	if s.prev == tokenNone { // ..name, in the default database
		s.batch(s.top())
	}
	s.takeOp('.')
}

// takeValue takes a literal, or a placeholder that looks like one.
func (s *scanner) takeValue() {
	if s.target && s.prev == tokenDot {
		s.target = false
		s.sum.drop() // half a name
	}
	s.endTarget()
	if s.over == 0 {
		f := s.top()
		if s.dialect == SQLServer && f.stmt == kwExec && f.want == wantName {
			f.arguments = true // of a procedure whose name is taken for a string
		}
		if f.want != wantType && f.want != wantMain && f.want != wantBody {
			f.want = wantNothing
		}
		f.start = false
		if s.dialect == SQLServer && s.prev == tokenNone && s.prevWord != kwGo {
			// No statement begins with a value: it is the name of a procedure, as a
			// string perhaps, or the number of one, as in EXEC p;1.
			f.arguments = true
		}
	}
	s.list.values = true
	s.took(tokenValue, kwNone)
}

// takeVariable takes a variable or a named placeholder.
func (s *scanner) takeVariable() {
	f := s.top()
	called := s.over == 0 && f.stmt == kwExec && f.want == wantName
	s.takeValue()
	if called { // EXEC @status = name, EXEC @name
		f.want, f.arguments = wantAssign, s.dialect == SQLServer
	}
}

// takeOp takes a byte of an operator.
func (s *scanner) takeOp(c byte) {
	s.endTarget()
	s.list.active = false
	if s.over == 0 {
		f := s.top()
		switch f.want {
		case wantType, wantMain, wantBody:
		case wantName:
			if c != '.' { // ..name
				f.want = wantNothing
			}
		case wantAssign:
			f.want = wantNothing
			if c == '=' {
				f.want, f.arguments = wantName, false
			}
		default:
			f.want = wantNothing
		}
		if c != '{' { // {call name}
			f.start = false
		}
	}
	t := tokenOp
	if c == ']' || c == '}' {
		t = tokenClose
	}
	password := s.password
	s.took(t, kwNone)
	if c == '=' {
		s.password = password
		s.expectValue()
	}
}

// takeComma takes a comma.
func (s *scanner) takeComma() {
	s.endTarget()
	if s.over == 0 {
		f := s.top()
		switch {
		case f.want == wantMain:
			f.want = wantCTE
		default:
			f.want = f.item
		}
		f.start = false
	}
	s.endSetting()
	s.took(tokenComma, kwNone)
}

// takeSemicolon takes the end of a statement.
func (s *scanner) takeSemicolon() {
	s.endTarget()
	s.list.active = false
	stdin := s.frames[0].stdin
	s.statement()
	commented := s.commented
	s.took(tokenNone, kwNone)
	s.commented = commented
	s.ended = true
	if stdin {
		s.dropSecret()
	}
}

// statement begins a statement.
func (s *scanner) statement() {
	s.depth, s.over, s.named = 0, 0, 0
	s.setting, s.attach = setting{}, attachNone
	s.frames[0] = frame{start: true}
	s.sum.separated = true
}

// takeOpen takes an opening parenthesis, which was read.
func (s *scanner) takeOpen() {
	s.endTarget()
	s.list.active = false
	if s.prevWord == kwIn {
		s.flush(s.pos)
		s.list = inList{active: true, mark: len(s.out)}
	}
	if s.over > 0 || s.depth+1 == maxDepth {
		s.over++
		s.took(tokenOpen, kwNone)
		return
	}
	f := s.top()
	inner := frame{named: s.named}
	want := f.want
	if (want == wantInto || want == wantFrom) && (s.prevWord == kwUpdate || s.prevWord == kwDelete) {
		want = wantTable // not the options of VACUUM (FULL) or TOP (1)
	}
	switch want {
	case wantTable, wantAfterInto, wantSelected: // a joined table or a subquery
		inner.stmt, inner.want, inner.item, inner.start, inner.from = f.stmt, wantTable, wantTable, true, true
		f.want = wantNothing
	case wantBody:
		if s.prevWord == kwAs || s.prevWord == kwMaterialized {
			inner.start = true
			f.want = wantMain
		}
	case wantMain:
		inner.start = true
		f.want = wantNothing
	case wantInto, wantFrom, wantType: // options: TOP (1), VACUUM (FULL)
	default:
		inner.start = f.start
		f.want = wantNothing
	}
	f.start = false
	s.depth++
	s.frames[s.depth] = inner
	s.took(tokenOpen, kwNone)
}

// takeClose takes a closing parenthesis, which was not read.
func (s *scanner) takeClose() {
	s.endTarget()
	if s.list.active {
		if s.list.values {
			s.out = s.out[:s.list.mark]
			s.write("?")
			s.keep = s.pos
		}
		s.list.active = false
	}
	switch {
	case s.over > 0:
		s.over--
	case s.depth > 0:
		s.named = s.frames[s.depth].named
		s.depth--
		if f := s.top(); f.pending && f.want == wantMain {
			s.remember(f.waiting)
			f.pending = false
		}
	}
	s.took(tokenClose, kwNone)
}

// addTarget begins a target with the name src[from:to].
func (s *scanner) addTarget(f *frame, from, to int) {
	s.simple = span{from, to}
	if (s.dialect == PostgreSQL || s.dialect == SQLite) && len(s.sum.buf) == f.mark {
		switch f.stmt {
		case kwInsert, kwUpdate, kwDelete, kwMerge: // no common table expression can be changed there
			s.simple = span{}
		}
	}
	s.sum.begin(s.src[from:to])
	s.target, s.dots = true, 0
}

// endTarget ends the target, if one was begun, and removes it if it is the name
// of a common table expression.
func (s *scanner) endTarget() {
	if !s.target {
		return
	}
	s.target = false
	if s.simple.to > 0 && s.isNamed(unquoted(s.src[s.simple.from:s.simple.to])) {
		s.sum.drop()
	}
}

// remember makes a name of a common table expression known.
func (s *scanner) remember(name span) {
	if s.named < maxNames {
		s.names[s.named] = name
		s.named++
	}
}

// isNamed reports whether a name is that of a common table expression.
func (s *scanner) isNamed(name string) bool {
	for _, n := range s.names[:s.named] {
		if strings.EqualFold(name, unquoted(s.src[n.from:n.to])) {
			return true
		}
	}
	return false
}

// unquoted returns a name without its quotes.
func unquoted(name string) string {
	if n := len(name); n >= 2 {
		switch name[0] {
		case '"', '`', '[':
			return name[1 : n-1]
		}
	}
	return name
}

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
		f.waiting = span{from, to}
		// Without RECURSIVE, the name is not visible in its own body, where it is
		// that of a table. Other dialects do not need the word.
		f.pending = !f.recursive && s.dialect <= MySQL
		if !f.pending {
			s.remember(f.waiting)
		}
		return true
	case wantBody, wantMain:
		switch k {
		case kwSelect, kwInsert, kwUpdate, kwDelete, kwMerge, kwReplace, kwValues, kwWith, kwTable:
			f.start = true
			f.want = wantNothing
			return false
		}
		return true
	case wantType:
		return s.wantedType(f, k, from, to)
	case wantDefined:
		return s.wantedDefined(f, k, from, to)
	case wantRelation, wantObject:
		switch k {
		case kwIf, kwExists, kwNot, kwConcurrently, kwOnly:
			return true
		case kwTrigger: // EVENT TRIGGER
			if s.prevWord == kwObject {
				s.sum.begin(s.src[from:to])
				return true
			}
		case kwBody: // PACKAGE BODY
			if f.want == wantObject {
				return true
			}
		case kwOn:
			return false
		}
		s.addTarget(f, from, to)
		f.want = wantNothing
		return true
	case wantName:
		switch k {
		case kwImmediate:
			return true
		case kwDetail:
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
		s.addTarget(f, from, to)
		f.want = wantNothing
		f.arguments = f.stmt == kwExec && s.dialect == SQLServer
		return true
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
		if s.prev == tokenOpen || k == kwValues {
			f.want = wantNothing
			f.start = s.prev == tokenOpen
			return false
		}
		if f.stmt == kwBulk || k == kwInsert && f.stmt == kwUpdate && s.prevWord == kwOr { // BULK INSERT, UPDATE OR INSERT
			return true
		}
	case kwObject:
		if f.stmt == kwUpdate && s.dialect == SQLServer && strings.EqualFold(s.src[from:to], "statistics") {
			s.sum.begin(s.src[from:to])
			f.item = wantNothing
			return true
		}
	case kwOutfile:
		f.want = wantNothing
		return true
	case kwTable:
		if f.want != wantTable && f.want != wantFrom {
			return true
		}
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
	case kwModifier, kwOr, kwReplace, kwRollback, kwAbort, kwAnalyze, kwTop, kwAll, kwIndex:
		if f.want == wantInto || f.want == wantFrom {
			return true
		}
	case kwConcurrently:
		return true
	case kwDetail:
		if f.want == wantInto && f.stmt != kwUpdate && s.prevWord != kwTable {
			return true
		}
	}
	s.addTarget(f, from, to)
	f.want = wantNothing
	return true
}

// wantedType takes the type of the object that is created, altered or dropped.
func (s *scanner) wantedType(f *frame, k keyword, from, to int) bool {
	switch k {
	case kwTable, kwView, kwIndex:
		f.want = wantRelation
	case kwObject, kwTrigger, kwPolicy, kwRule:
		f.want = wantObject
	case kwNoObject:
		f.want = wantNothing
	case kwPrivilege: // ALTER DEFAULT PRIVILEGES GRANT
		f.stmt, f.want = k, wantNothing
		return true
	default:
		return true // a modifier
	}
	s.sum.begin(s.src[from:to])
	f.object = k
	if f.stmt == kwDrop {
		f.item = f.want
	}
	return true
}

// operate begins an operation with the word src[from:to].
func (s *scanner) operate(f *frame, k keyword, from, to int, next, item want) {
	s.sum.begin(s.src[from:to])
	inserted := f.inserted || k == kwInsert
	*f = frame{stmt: k, want: next, item: item, named: f.named, mark: len(s.sum.buf), inserted: inserted}
}

// clause takes a keyword that nothing waited for: an operation or a clause of one.
func (s *scanner) clause(f *frame, k keyword, from, to int, start bool) {
	start = start || f.start || f.explain ||
		f.condition && s.prev.operand() && s.prevWord != kwIf && s.prevWord != kwExists
	f.start = false
	switch k {
	case kwSelect:
		if f.stmt == kwPrivilege || s.prevWord == kwPrivilege || s.prevWord == kwOn && f.stmt != kwSet ||
			f.stmt == kwCreate && s.prevWord == kwFor { // CREATE POLICY … FOR SELECT
			return
		}
		s.operate(f, k, from, to, wantNothing, wantNothing)
	case kwInsert, kwUpdate, kwDelete, kwMerge, kwReplace:
		if !start && !s.startsLine(f) {
			if k == kwUpdate { // FOR UPDATE, ON DUPLICATE KEY UPDATE
				f.item = wantNothing
			}
			return
		}
		if k == kwReplace && s.dialect == SQLServer { // a function
			return
		}
		next := wantInto
		item := wantNothing
		switch k {
		case kwDelete:
			next, item = wantFrom, wantFrom
		case kwUpdate:
			item = wantTable
		}
		s.operate(f, k, from, to, next, item)
	case kwWith:
		switch {
		case start || s.prev == tokenOpen || s.prevWord == kwAs || s.prevWord == kwFor:
			s.operate(f, k, from, to, wantCTE, wantNothing)
		case f.stmt == kwInsert: // unless a hint follows
			f.want, f.waiting, f.late = wantCTE, span{from, to}, true
		}
	case kwValues:
		if start || s.prevWord == kwHard || s.prevWord == kwAll { // UNION VALUES
			s.operate(f, k, from, to, wantNothing, wantNothing)
		}
		f.item = wantNothing
	case kwFrom:
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
		switch f.object {
		case kwIndex, kwTrigger, kwPolicy:
			f.want, f.object = wantTable, kwNone
		case kwRule:
			if f.stmt != kwCreate { // CREATE RULE AS ON INSERT
				f.want, f.object = wantTable, kwNone
			}
		}
	case kwTo:
		if f.object == kwRule { // ON INSERT TO name
			f.want, f.object = wantTable, kwNone
		}
	case kwView:
		if s.prevWord == kwLateral { // LATERAL VIEW explode(a) t AS columns
			f.item = wantNothing
		}
	case kwReturning:
		f.item, f.returning = wantNothing, true
	case kwGroup, kwOrder:
		f.item = wantNothing
		if s.prevWord == kwFor { // USE INDEX FOR ORDER BY (name)
			f.item = wantTable
		}
	case kwSystemTime:
		if s.prevWord == kwFor && f.from { // FROM t FOR SYSTEM_TIME AS OF …, u
			f.item = wantTable
		}
	case kwHard, kwSoft, kwFor:
		f.item = wantNothing
	case kwAs:
		f.start = f.stmt == kwCreate || f.stmt == kwPrepare ||
			f.stmt == kwAlter && f.object != kwTable // ADD COLUMN … GENERATED ALWAYS AS (expression)
	case kwBegin:
		if s.prev == tokenNone { // not that of a body
			s.operate(f, k, from, to, wantNothing, wantNothing)
		}
		f.start, f.object = true, kwNone
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
	case kwDo: // CREATE EVENT … DO
		f.start = f.stmt == kwCreate
		if start {
			s.command(f, k, from, to)
		}
	case kwIf:
		if s.dialect == SQLServer && s.depth == 0 && (start || s.newline) {
			f.condition, f.item = true, wantNothing
		}
	case kwPrivilege:
		if start {
			s.command(f, k, from, to)
		} else if f.stmt == kwAlter {
			f.stmt = k
		}
	case kwTable:
		if f.object == kwObject && s.prevWord == kwAs { // CREATE TYPE … AS TABLE
			return
		}
		if start || f.stmt == kwInsert {
			s.command(f, k, from, to)
		}
	case kwCommit, kwRollback:
		if start || s.startsLine(f) {
			s.command(f, k, from, to)
		}
	case kwCreate, kwAlter, kwDrop, kwTruncate:
		switch {
		case start:
			s.command(f, k, from, to)
		case !s.startsLine(f):
		case f.stmt == kwAlter && k != kwCreate && k != kwTruncate:
			f.want, f.waiting = wantDefined, span{from, to}
		default:
			s.command(f, k, from, to)
		}
	case kwElse:
		f.start = s.dialect == SQLServer
	case kwSet:
		f.item = wantNothing
		if start && !f.explain { // EXPLAIN PLAN SET STATEMENT_ID
			s.operate(f, k, from, to, wantNothing, wantNothing)
		}
	default:
		if start {
			s.command(f, k, from, to)
		}
	}
}

// startsLine reports whether a statement may begin in the middle of another:
// SQL Server needs no semicolon between them.
func (s *scanner) startsLine(f *frame) bool {
	if s.dialect != SQLServer || s.depth > 0 || f.stmt == kwPrivilege {
		return false
	}
	switch s.prevWord {
	case kwFor, kwThen:
		return false
	case kwOn: // SET NOCOUNT ON, but not ON DELETE
		return f.stmt == kwSet
	}
	return s.newline && s.prev != tokenComma || s.prev == tokenClose
}

// wantedDefined takes the word after DROP or ALTER, which begins a statement if the
// word is an object's type, and is a clause of an ALTER otherwise, like DROP COLUMN.
func (s *scanner) wantedDefined(f *frame, k keyword, from, to int) bool {
	f.want = wantNothing
	word := s.src[from:to]
	switch k {
	case kwTable, kwView, kwTrigger:
	case kwObject:
		if strings.EqualFold(word, "column") || strings.EqualFold(word, "event") {
			return false
		}
	default:
		return false
	}
	begin := f.waiting
	s.command(f, keywordOf(s.src[begin.from:begin.to]), begin.from, begin.to)
	return s.wantedType(f, k, from, to)
}

// executes reports whether EXEC begins a statement in the middle of another: in
// SQL Server it does, unless it is a privilege or WITH EXECUTE AS.
func (s *scanner) executes(f *frame) bool {
	return s.dialect == SQLServer && s.depth == 0 && f.stmt != kwPrivilege &&
		s.prevWord != kwWith && s.prev != tokenComma
}

// command takes an operation that is one only at the beginning of a statement.
func (s *scanner) command(f *frame, k keyword, from, to int) {
	next, item := wantNothing, wantNothing
	switch k {
	case kwCommand, kwAdminister, kwAttach, kwCommit, kwDo, kwFetch, kwRollback, kwPrivilege, kwDeclare, kwPrepare, kwAbort:
	case kwEnd:
		if len(s.sum.buf) > 0 {
			return // of a block
		}
	case kwExplain:
		s.operate(f, k, from, to, wantNothing, wantNothing)
		f.explain = true
		return
	case kwCreate, kwAlter, kwDrop, kwComment, kwRefresh, kwStart:
		next = wantType
	case kwRelationCommand, kwTruncate, kwAnalyze:
		next, item = wantInto, wantTable
		if f.explain {
			return // EXPLAIN ANALYZE
		}
	case kwTable, kwCopy:
		next = wantTable
	case kwCall, kwUse, kwPragma, kwDescribe:
		next = wantName
	case kwBulk:
		next = wantInto
	case kwLoad:
	default:
		return
	}
	s.operate(f, k, from, to, next, item)
}

// fromClause takes FROM where nothing waited for it.
func (s *scanner) fromClause(f *frame) {
	if s.prevWord == kwDistinctFrom {
		return
	}
	switch f.stmt {
	case kwDelete:
		if !f.from { // DELETE alias FROM name
			s.sum.cut(f.mark)
		}
	case kwSelect, kwUpdate:
		if f.from && s.prevWord == kwRows && s.dialect == PostgreSQL { // FROM ROWS FROM (functions)
			s.sum.drop()
		}
	default:
		return
	}
	f.want, f.item, f.from = wantTable, wantTable, true
}

// joinClause takes JOIN and what is like it.
func (s *scanner) joinClause(f *frame) {
	switch f.stmt {
	case kwSelect, kwUpdate, kwDelete, kwMerge:
		f.want, f.joined = wantTable, true
	}
}

// intoClause takes INTO where nothing waited for it.
func (s *scanner) intoClause(f *frame) {
	f.item = wantNothing
	switch f.stmt {
	case kwInsert, kwMerge, kwReplace:
		if !f.returning {
			f.want = wantAfterInto
		}
	case kwLoad:
		f.want = wantAfterInto
	case kwSelect:
		if !f.from && !f.returning && (s.dialect == PostgreSQL || s.dialect == SQLServer || s.dialect == Default) {
			f.want = wantSelected
		}
	}
}
