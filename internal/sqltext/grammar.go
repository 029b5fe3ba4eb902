package sqltext

import "strings"

// want is what the next token may be, after an operation or a clause.
type want uint8

const (
	wantNothing    want = iota
	wantTable           // a relation: after FROM, JOIN, USING, ON
	wantInto            // a relation, modifiers before it: after INSERT, UPDATE, TRUNCATE …
	wantAfterInto       // a relation, TABLE before it: after INTO
	wantSelected        // a relation, TEMP TABLE before it: after SELECT … INTO
	wantFrom            // FROM or a relation: after DELETE
	wantType            // an object's type: after CREATE, ALTER, DROP …
	wantRelation        // a relation's name: after CREATE TABLE …
	wantObject          // another object's name
	wantName            // a procedure, a database, a pragma
	wantAssign          // = and a procedure, or its arguments: after EXEC @variable
	wantCTE             // the name of a common table expression
	wantBody            // its columns, AS and its body
	wantDefined         // an object's type, or what a clause drops or alters: after DROP in an ALTER
	wantMain            // a comma and another one, or the statement that uses them
	wantPrivileges      // IN SCHEMA and names, then GRANT: after ALTER DEFAULT PRIVILEGES
	wantTriggered       // a relation, or DATABASE: after CREATE TRIGGER … ON
	wantRevised         // a name, if the word before is a type of objects
	wantFunction        // a parenthesis with a function in it: after FROM TABLE
	wantSaved           // a type and a name: after BACKUP
	wantOwned           // OWNED or LABEL: after REASSIGN, SECURITY
	wantPrepared        // PREPARED, perhaps: after COMMIT
)

// maxNames is how many common table expressions are remembered in a statement.
const maxNames = 64

// frame is the state of the summary between two parentheses.
type frame struct {
	stmt      keyword // the operation whose clauses are read
	operation span    // its word
	typed     span    // the object's type as it is written
	object    keyword // the object's type, after CREATE, ALTER and DROP
	want      want    // what the next token may be
	item      want    // what follows a comma: wantNothing outside a list of targets
	start     bool    // a statement may begin here
	explain   bool    // a statement may begin anywhere, after EXPLAIN
	condition bool    // a statement may begin after an operand, after IF
	control   bool    // a statement begins after THEN, LOOP or DO
	cases     int     // CASE that are open
	joined    bool    // USING holds columns
	from      bool    // FROM was seen
	returning bool    // INTO holds variables
	output    int     // length of the summary before OUTPUT
	assigned  bool    // SET was seen
	granted   bool    // the privileges are over, after TO or FROM
	values    bool    // VALUES was seen
	compound  bool    // the last target may be a part of the type
	function  bool    // a function is in the parentheses that come next
	routine   bool    // it is the definition of a routine
	setting   bool    // a value follows = or TO: after SET
	recursive bool    // WITH RECURSIVE
	arguments bool    // words are arguments: after EXEC in SQL Server
	inserted  bool    // the statement began with INSERT
	several   bool    // INSERT may follow again: after FROM at the beginning
	label     bool    // it is between << and >>
	stdin     bool    // data follow the statement: after COPY … FROM STDIN
	pending   bool    // a name waits until its common table expression ends
	waiting   span    // that name
	mark      int     // length of the summary after the operation
	late      bool    // WITH waits there until a name follows
	named     int     // common table expressions in scope outside
	call      span    // the word before the parenthesis, which may be a function
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
	case wantTable, wantInto, wantAfterInto, wantSelected, wantFrom, wantRelation, wantCTE, wantTriggered, wantRevised:
		return true
	default:
		return false
	}
}

// took records that a token was read.
func (s *scanner) took(t token, k keyword) {
	s.prev, s.prevWord = t, k
	s.newline = false
	s.password, s.keyed = false, false
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
	if (s.password || s.attach != attachNone || s.setting.active) && s.takeSecret(from, to) {
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
	switch k {
	case kwCreate, kwAlter, kwCopy:
		s.kept = true
	case kwInsert:
		s.inserts = true
	}
	if s.over == 0 {
		f := s.top()
		if k == kwGo && s.dialect == SQLServer && s.newline {
			s.leave()
			s.statement()
			s.parted = true
			s.took(tokenNone, k)
			return
		}
		if f.arguments && k.argument() && !s.breaks(f, k) {
			s.hidden(from, to) // a string without quotes
			return
		}
		if s.routine.active {
			s.inRoutine(f, k)
		}
		start := f.start
		f.start = false
		if start && k == kwNone {
			s.starter = newSpan(from, to)
			k = s.verb(f, from, to)
			s.kept = s.kept || k == kwCreate
		}
		if start && k.argument() && (k == kwNone || k == kwObject || s.dialect == SQLServer) {
			s.batch(f)
			f.arguments = f.arguments || s.dialect == Default && s.prev == tokenNone && s.depth == 0 // of what is not known
		}
		if s.newline && s.dialect == SQLServer && k == kwNone && !start && f.want == wantNothing && isBroker(s.src[from:to]) {
			k = kwBatch
		}
		switch {
		case f.want != wantNothing && s.wanted(f, k, from, to):
		case start && f.stmt == kwBegin && s.dialect == Default && isBatch(s.src[from:to]): // Cassandra
			f.start, s.unparted = true, true
		case k != kwNone:
			s.clause(f, k, from, to, start)
		case start && f.stmt == kwBegin && (s.prevWord == kwBlock || s.prevWord == kwNoObject): // BEGIN TRAN name
			f.start = true
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
	s.last = newSpan(from, to)
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
	if s.written && announces(s.src[from:to]) {
		s.announced = true
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
		s.last = newSpan(from, to)
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
	s.last = newSpan(from, to)
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
		if f.want != wantType && f.want != wantMain && f.want != wantBody && s.prevWord != kwTop {
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
	label := c == ':' && s.target
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
		switch {
		case c == '{': // {call name}
		case label && s.dialect == SQLServer && f.stmt == kwExec && f.operation.to == 0: // which was taken for a procedure
			s.sum.drop()
			*f = frame{named: f.named, start: true}
		case c == ':' && s.depth == 0 && s.prev == tokenName && s.last == s.starter: // label: LOOP
			f.start, f.arguments = true, false
		case c == ':' && s.depth == 0 && s.prev == tokenName && s.dialect == SQLServer && s.at(s.pos) != ':': // in a batch
			*f = frame{named: f.named, start: true}
		case c == '<' && f.start && s.at(s.pos) == '<': // <<label>>
			f.label = true
		case f.label:
			f.label = c != '>' || s.at(s.pos) == '>'
			f.start = !f.label
		default:
			f.start = false
		}
	}
	t := tokenOp
	if c == ']' || c == '}' {
		t = tokenClose
	}
	password := s.password || s.keyed
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
		case f.want == wantPrivileges: // FOR ROLE a, b
		default:
			f.want = f.item
		}
		f.start = false
	}
	s.endSetting()
	if s.written && s.over == 0 && s.depth == s.rows.depth && s.prev == tokenClose && !s.rows.elided {
		s.flush(s.pos - 1)
		s.rows.comma = len(s.out)
	}
	s.took(tokenComma, kwNone)
}

// takeSemicolon takes the end of a statement.
func (s *scanner) takeSemicolon() {
	s.endTarget()
	s.list.active = false
	stdin := s.frames[0].stdin
	ends := s.routine.active && !s.goesOn()
	s.statement()
	if ends {
		s.leave()
	}
	s.took(tokenNone, kwNone)
	s.ended = true
	if stdin {
		s.dropSecret()
	}
}

// statement begins a statement.
func (s *scanner) statement() {
	s.depth, s.over, s.named = 0, 0, 0
	s.announced, s.rows = false, rows{}
	s.setting, s.attach = setting{}, attachNone
	s.frames[0] = frame{start: true}
	s.sum.separated = true
}

// takeOpen takes an opening parenthesis, which was read.
func (s *scanner) takeOpen() {
	s.endTarget()
	s.list.active = false
	if s.prevWord == kwIn && !s.written {
		s.flush(s.pos)
		s.list = inList{active: true, mark: len(s.out)}
	}
	if s.over > 0 || s.depth+1 == maxDepth {
		s.over++
		s.took(tokenOpen, kwNone)
		return
	}
	f := s.top()
	if f.values && f.stmt == kwInsert && s.prev == tokenComma {
		s.batched = true
	}
	if s.written {
		s.beginRow(f)
	}
	inner := frame{named: s.named}
	if s.prev == tokenName {
		inner.call = s.last
	}
	want := f.want
	if want == wantFunction { // the word before is no name
		s.sum.drop()
		want, f.function = wantTable, true
	}
	if (want == wantInto || want == wantFrom) && (s.prevWord == kwUpdate || s.prevWord == kwDelete) {
		want = wantTable // not the options of VACUUM (FULL) or TOP (1)
	}
	switch want {
	case wantTable, wantAfterInto, wantSelected: // a joined table or a subquery
		inner.stmt, inner.want, inner.item, inner.start, inner.from = f.stmt, wantTable, wantTable, true, true
		if f.function {
			inner.item, f.function = wantNothing, false
		}
		if f.stmt == kwFrom {
			inner.stmt = kwSelect
		}
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
	if s.rows.active {
		s.endRow()
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
	s.simple = newSpan(from, to)
	if (s.dialect == PostgreSQL || s.dialect == SQLite) && len(s.sum.buf) == f.mark {
		switch f.stmt {
		case kwInsert, kwUpdate, kwDelete, kwMerge: // no common table expression can be changed there
			s.simple = span{}
		}
	}
	s.sum.begin(s.src[from:to])
	s.target, s.dots = true, 0
	if !s.sum.muted {
		s.targets++
	}
}

// endTarget ends the target, if one was begun, and removes it if it is the name
// of a common table expression.
func (s *scanner) endTarget() {
	if s.target {
		s.closeTarget()
	}
}

func (s *scanner) closeTarget() {
	s.target = false
	if s.simple.to > 0 && s.isNamed(unquoted(s.src[s.simple.from:s.simple.to])) {
		s.sum.drop()
	}
	if s.routine.target {
		s.routine.target = false
		s.sum.muted = true
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
