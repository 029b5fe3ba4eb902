package sqltext

// routine is a procedure, function, trigger, event or package whose definition is
// being read. Its body is a part of it: statements in there are not summarised.
type routine struct {
	active   bool
	target   bool // the body begins after the target that is read, or comes next
	declared bool // AS or IS was read: declarations may follow, each with its semicolon
	nested   bool // and routines in there
	begun    bool // the body has a block
	closed   bool // by a semicolon, unless the next word goes on with the body
	blocks   int  // blocks that are open
}

// enters begins the body of a routine, behind the name that was just taken. That of a
// trigger begins behind its table.
func (s *scanner) enters(f *frame) {
	if f.routine && !s.routine.active {
		s.routine = routine{active: true, target: f.object != kwTrigger}
	}
}

// triggered takes the word after ON in the definition of a trigger.
func (s *scanner) triggered(f *frame, k keyword, from, to int) bool {
	switch {
	case k == kwAll: // ALL SERVER
		return true
	case k == kwObject && s.dialect != PostgreSQL && s.dialect != MySQL && s.dialect != SQLite: // DATABASE, SCHEMA
		f.want = wantNothing
		s.sum.muted = s.routine.active
		return true
	}
	s.routine.target = s.routine.active
	return s.wantedTable(f, k, from, to)
}

// inRoutine follows the blocks of a routine with the keyword that comes next.
func (s *scanner) inRoutine(f *frame, k keyword) {
	r := &s.routine
	if r.closed {
		r.closed = false
		if s.dialect == Default && k.begins() && !(k == kwBegin && (!r.begun || r.nested)) {
			s.leave()
			return
		}
	}
	switch k {
	case kwAs, kwIs:
		r.declared = r.declared || s.depth == 0
		s.sum.muted = true
	case kwExec:
		s.sum.muted = true
	case kwBegin:
		s.sum.muted = true
		r.begun = true
		r.blocks++
	case kwCase, kwLoop:
		if s.prevWord != kwEnd && (k == kwCase || f.start || f.control || f.condition) {
			r.blocks++
		}
	case kwIf:
		if s.prevWord != kwEnd && (f.start || f.condition || s.prevWord == kwRows || s.prevWord == kwDo || s.prev == tokenClose) {
			r.blocks++
		}
	case kwDo:
		if f.control {
			r.blocks++
		}
	case kwRoutine:
		r.nested = r.nested || r.declared
	case kwEnd:
		r.blocks = max(0, r.blocks-1)
	}
}

// begins reports whether the keyword begins a statement that is none of a body's
// declarations.
func (k keyword) begins() bool {
	switch k {
	case kwSelect, kwInsert, kwUpdate, kwDelete, kwMerge, kwReplace, kwWith, kwCreate, kwAlter, kwDrop, kwTruncate, kwBegin,
		kwCall, kwExec, kwPrivilege, kwComment, kwCommit, kwRollback, kwStart, kwSet, kwUse, kwCopy, kwRelationCommand, kwAnalyze:
		return true
	}
	return false
}

// goesOn reports whether a semicolon does not end the routine.
func (s *scanner) goesOn() bool {
	r := &s.routine
	switch s.dialect {
	case SQLServer, Oracle: // the routine is the rest of the batch
		return r.active
	case Default:
		r.closed = r.active && r.blocks == 0 && r.declared
		return r.active && (r.blocks > 0 || r.declared)
	default:
		return r.active && r.blocks > 0
	}
}

// leave ends the routine.
func (s *scanner) leave() {
	s.routine = routine{}
	s.sum.muted = false
	s.sum.separated = true
}
