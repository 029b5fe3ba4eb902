package sqltext

import "strings"

// wantedType takes the type of the object that is created, altered or dropped.
func (s *scanner) wantedType(f *frame, k keyword, from, to int) bool {
	word := s.src[from:to]
	if f.stmt == kwStart && k != kwNoObject { // of a replica, perhaps
		f.want = wantNothing
		return true
	}
	switch k {
	case kwTable, kwView, kwIndex:
		f.want = wantRelation
	case kwObject, kwPolicy, kwRule:
		f.want = wantObject
	case kwTrigger:
		f.want = wantObject
		f.routine = f.stmt == kwCreate || f.stmt == kwAlter
	case kwRoutine:
		f.want = wantObject
		f.routine = (f.stmt == kwCreate || f.stmt == kwAlter) && !s.lastIs("partition") // PARTITION FUNCTION
	case kwNoObject:
		f.want = wantNothing
	case kwGroup:
		k, f.want = kwObject, wantObject
	case kwPrivilege: // ALTER DEFAULT PRIVILEGES GRANT
		f.stmt, f.want = k, wantNothing
		return true
	case kwOn, kwFor, kwFrom, kwAs, kwTo, kwWith, kwSet, kwIn, kwUsing, kwBy:
		switch f.stmt {
		case kwCreate, kwAlter, kwDrop:
			f.want = wantNothing // the type is not known
			return false
		}
		return true
	default:
		switch {
		case k == kwFormat && s.lastIs("file"):
		case k != kwNone:
			return true // a modifier
		case f.stmt == kwDrop && strings.EqualFold(word, "owned"): // by a role
			s.sum.begin(word)
			f.want = wantNothing
			return true
		case f.stmt == kwAlter && s.prevWord == kwDefault && strings.EqualFold(word, "privileges"):
			s.sum.begin(s.src[s.last.from:s.last.to])
			s.sum.begin(word)
			f.want = wantPrivileges
			return true
		case f.stmt == kwAlter && strings.EqualFold(word, "authorization"):
			s.sum.begin(word)
			f.want = wantNothing
			return true
		case strings.EqualFold(word, "key"):
			if !s.lastIs("symmetric") && !s.lastIs("asymmetric") { // MASTER KEY has no name
				return true
			}
		case !isObject(word):
			return true
		}
		k, f.want = kwObject, wantObject
	}
	s.sum.begin(word)
	f.object, f.typed = k, newSpan(from, to)
	if f.stmt == kwDrop {
		f.item = f.want
	}
	return true
}

// lastIs reports whether the token before is a word.
func (s *scanner) lastIs(word string) bool {
	return s.prev == tokenName && strings.EqualFold(s.src[s.last.from:s.last.to], word)
}

// wantedObject takes the name of the object that is created, altered or dropped.
func (s *scanner) wantedObject(f *frame, k keyword, from, to int) bool {
	word := s.src[from:to]
	if f.stmt == kwComment && owns(s.src[f.typed.from:f.typed.to]) { // COMMENT ON ROLE name
		f.want = wantNothing
		return true
	}
	switch k {
	case kwIf, kwExists, kwNot, kwConcurrently, kwOnly:
		return true
	case kwAll: // DISABLE TRIGGER ALL, ALTER TABLE ALL IN TABLESPACE
		if f.object == kwTrigger || f.stmt == kwAlter {
			f.want = wantNothing
			return true
		}
	case kwBody:
		if f.want == wantObject && s.last == f.typed {
			f.routine = f.stmt == kwCreate || f.stmt == kwAlter // of a package or a type
			return true
		}
	case kwOn:
		return false
	case kwFor:
		if s.last == f.typed {
			f.want = wantNothing
			return false
		}
	}
	if s.last == f.typed && s.prev == tokenName {
		switch first := s.src[f.typed.from:f.typed.to]; {
		case strings.EqualFold(word, "authorization") && strings.EqualFold(first, "schema"):
			f.want = wantNothing // CREATE SCHEMA AUTHORIZATION user
			return true
		case strings.EqualFold(word, "mapping") && strings.EqualFold(first, "user"):
			s.sum.begin(word)
			f.want, f.item = wantNothing, wantNothing
			return true
		case strings.EqualFold(first, "database") && (strings.EqualFold(word, "scoped") || strings.EqualFold(word, "encryption")):
			if s.dialect == SQLServer || s.dialect == Default { // SCOPED CREDENTIAL, ENCRYPTION KEY
				s.sum.drop()
				f.want, f.item = wantType, wantNothing
				return true
			}
		case strings.EqualFold(first, "source") && strings.EqualFold(word, "named"): // CREATE JAVA SOURCE NAMED
			f.typed = newSpan(from, to)
			return true
		case s.compound(first, word):
			s.addTarget(f, from, to)
			f.want, f.compound = wantRevised, true
			if strings.EqualFold(word, "log") {
				f.object = kwIndex // a table follows ON
			}
			f.routine = f.routine && (k == kwTrigger || k == kwRoutine)
			return true
		}
	}
	s.addTarget(f, from, to)
	f.want = wantNothing
	s.enters(f)
	return true
}

// compounds are types of two words, of which the first is a type as well.
var compounds = [...]struct{ first, second string }{
	{"aggregate", "function"}, {"database", "audit"}, {"database", "link"}, {"database", "role"}, {"event", "notification"},
	{"event", "session"}, {"event", "trigger"}, {"operator", "class"}, {"operator", "family"}, {"schema", "collection"},
	{"server", "audit"}, {"server", "role"}, {"view", "log"}, {"workload", "classifier"}, {"workload", "group"},
}

// compound reports whether two words may be one type.
func (s *scanner) compound(first, second string) bool {
	if s.dialect == MySQL && !strings.EqualFold(first, "aggregate") {
		return false
	}
	for _, c := range compounds {
		if strings.EqualFold(first, c.first) && strings.EqualFold(second, c.second) {
			return true
		}
	}
	return false
}

// wantedPrivileges takes what follows ALTER DEFAULT PRIVILEGES, up to GRANT or REVOKE:
// the roles are no targets, the schemas are.
func (s *scanner) wantedPrivileges(f *frame, k keyword) bool {
	switch k {
	case kwPrivilege:
		f.stmt, f.want, f.item = k, wantNothing, wantNothing
	case kwObject:
		if s.prevWord == kwIn {
			f.want, f.item = wantObject, wantObject
		}
	}
	return true
}

// wantedDefined takes the word after DROP or ALTER, which begins a statement if the
// word is an object's type, and is a clause of an ALTER otherwise, like DROP COLUMN.
func (s *scanner) wantedDefined(f *frame, k keyword, from, to int) bool {
	f.want = wantNothing
	word := s.src[from:to]
	switch k {
	case kwTable, kwView, kwTrigger:
	case kwObject, kwRoutine:
		if strings.EqualFold(word, "column") || strings.EqualFold(word, "event") {
			return false
		}
	default:
		return false
	}
	begin := f.waiting
	s.command(f, keywordOf(s.src[begin.from:begin.to]), int(begin.from), int(begin.to))
	return s.wantedType(f, k, from, to)
}
