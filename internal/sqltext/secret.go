package sqltext

import "strings"

// Some values need no quotes, and are words like any other: those of settings, of
// passwords, and what SQLite attaches. They are known by the clause alone.

// setting is the value that a SET gives, while it is read. Whatever it is made of,
// it becomes one question mark.
type setting struct {
	active  bool
	begun   bool // it has a token
	depth   int  // the parentheses around it
	mark    int  // length of out before it
	tokens  int  // how many tokens were read since
	earlier int  // and how many before the current one
}

// attach is the place in an ATTACH.
type attach uint8

const (
	attachNone   attach = iota
	attachBegun         // after ATTACH
	attachSource        // what is attached
	attachName          // after AS
	attachRest          // after the name
)

// takeSecret takes the word src[from:to] if it stands where a value may need no
// quotes.
func (s *scanner) takeSecret(from, to int) bool {
	word := s.src[from:to]
	end := to
	if s.password {
		for end < len(s.src) && !isSpace(s.src[end]) && !strings.ContainsRune(",;()", rune(s.src[end])) {
			end++
		}
	}
	switch {
	case s.password && !s.leadsToPassword(from, to, end):
		if keywordOf(word) == kwConstant {
			s.password = false
			return false
		}
		if doubtful(s.src[to:end]) {
			s.dropRest(from)
		} else {
			s.hidden(from, end)
		}
		return true
	case s.attach != attachNone:
		s.takeAttached(from, to)
		return true
	case s.setting.active:
		if s.dialect == MySQL && strings.EqualFold(word, "for") { // SET STATEMENT … FOR
			s.endSetting()
			return s.setting.active && s.hide(from, to)
		}
		if !s.setting.begun && isSwitch(word) {
			s.took(tokenValue, kwNone)
			return true
		}
		return s.hide(from, to)
	}
	return false
}

// leadsToPassword reports whether the word src[from:to], after PASSWORD or the
// like, is not the password itself, but stands before it: SET password TO word,
// IDENTIFIED WITH caching_sha2_password BY word, IN ROLE password PASSWORD word. A
// password would go on to end; what touches the word may be a value that was
// replaced before.
func (s *scanner) leadsToPassword(from, to, end int) bool {
	if s.prev == tokenOp || end > to && s.src[to:end] != "?" {
		return false
	}
	word := s.src[from:to]
	switch keywordOf(word) {
	case kwTo, kwBy, kwAs, kwIs, kwUsing:
		return true
	case kwFor: // SET PASSWORD FOR name
		return s.dialect == Default && s.top().stmt == kwSet
	}
	return strings.EqualFold(word, "password")
}

// takeSecretName is takeSecret for a quoted name.
func (s *scanner) takeSecretName(from, to int) bool {
	if s.attach == attachName {
		s.took(tokenName, kwNone)
		return true
	}
	return (s.password || s.attach != attachNone || s.setting.active) && s.hide(from, to)
}

// hide takes src[from:to] as a literal.
func (s *scanner) hide(from, to int) bool {
	s.hidden(from, to)
	return true
}

// isSwitch reports whether a word in place of a value is no secret.
func isSwitch(word string) bool {
	switch keywordOf(word) {
	case kwConstant, kwDefault, kwOn:
		return true
	}
	return strings.EqualFold(word, "off") || strings.EqualFold(word, "local")
}

// takeAttached takes a word of an ATTACH. AS and KEY are kept, and the name of the
// schema.
func (s *scanner) takeAttached(from, to int) {
	word := s.src[from:to]
	switch place := s.attach; {
	case place == attachName,
		place == attachBegun && strings.EqualFold(word, "database"),
		place == attachRest && strings.EqualFold(word, "key"):
		s.took(tokenName, kwNone)
	case place <= attachSource && keywordOf(word) == kwAs:
		s.took(tokenName, kwNone)
		s.attach = attachName
	default:
		s.hidden(from, to)
	}
}

// beginsSecret reports whether all that follows the word src[from:to], which was
// taken, is secret.
func (s *scanner) beginsSecret(k, prevWord keyword, from, to int) bool {
	f := s.top()
	switch k {
	case kwBy:
		return prevWord == kwIdentified
	case kwUsing:
		return prevWord == kwEncrypt && (f.stmt == kwCreate || f.stmt == kwAlter)
	case kwAdminister: // KEY MANAGEMENT
		return f.stmt == kwAdminister
	}
	if prevWord == kwFormat { // what follows the name are the data
		return s.dialect == Default && s.over == 0 && f.inserted && (k == kwNone || k == kwOperator || k == kwConstant)
	}
	// The pragma that sets a key needs no quotes.
	return f.stmt == kwPragma && s.over == 0 && to-from >= 3 && equalLower(s.src[to-3:to], "key")
}

// dropSecret drops the rest of the text, in which a secret stands without quotes.
func (s *scanner) dropSecret() {
	i := s.pos
	for i < len(s.src) && isSpace(s.src[i]) {
		i++
	}
	if i < len(s.src) {
		s.dropRest(i)
	}
}

// quotedPragma drops the rest of the text if the quoted token at from is the name
// of a pragma. Nobody quotes it, and so it need not be read.
func (s *scanner) quotedPragma(from int) bool {
	if s.prevWord != kwPragma && s.prev != tokenDot || s.over > 0 || s.top().stmt != kwPragma {
		return false
	}
	s.dropRest(from)
	return true
}

// expectSecret looks whether a secret follows the word src[from:to], which was
// taken.
func (s *scanner) expectSecret(k keyword, from, to int) {
	if s.over > 0 {
		return
	}
	switch f := s.top(); k {
	case kwAttach:
		if f.stmt == kwAttach {
			s.attach = attachBegun
		}
	case kwSet:
		if f.stmt == kwSet || f.stmt == kwAlter ||
			f.stmt == kwCreate && (f.object == kwObject || f.object == kwRoutine) && s.dialect == PostgreSQL { // CREATE FUNCTION … SET
			f.setting = s.dialect != SQLite && s.dialect != SQLServer
		}
	case kwTo:
		s.expectValue()
	case kwNone, kwIdentified:
		if !s.target && endsInPassword(s.src[from:to]) {
			s.password = s.passwordClause(f)
		}
		if s.dialect == Default && !s.target && !s.password && s.utility(f) && tellsOfSecret(s.src[from:to]) {
			s.keyed = true
			s.password = f.want == wantNothing && s.direct()
		}
		if s.written && announces(s.src[from:to]) {
			s.announced = true
		}
	}
}

// endsInPassword reports whether word is PASSWORD, OLD_PASSWORD or the like.
func endsInPassword(word string) bool {
	n := len(word) - len("password")
	return n >= 0 && equalLower(word[n:], "password")
}

// passwordClause reports whether PASSWORD begins a clause, and is not the name of
// a column.
func (s *scanner) passwordClause(f *frame) bool {
	switch f.stmt {
	case kwNone:
		return s.depth == 0
	case kwCommand, kwReserved, kwBackup, kwPrivilege, kwStart:
		return true
	case kwCreate, kwAlter:
		return f.object == kwObject || f.object == kwRoutine || f.object == kwNoObject || f.object == kwNone && f.want == wantType
	}
	return false
}

// utility reports whether the words in a frame may be values of options: not those of a
// query, a change, or a call.
func (s *scanner) utility(f *frame) bool {
	k := f.stmt
	if k == kwNone {
		k = s.frames[0].stmt
	}
	switch k {
	case kwCommand, kwReserved, kwBatch, kwBackup, kwPrivilege, kwStart, kwCreate, kwAlter, kwCopy, kwLoad, kwRelationCommand, kwSet:
		return true
	}
	return false
}

// direct reports whether a value may follow its name without a sign between them: not
// where the name of a column or an argument and its type may stand.
func (s *scanner) direct() bool {
	switch f := &s.frames[0]; f.stmt {
	case kwCreate, kwAlter:
		return f.object != kwTable && f.object != kwView && f.object != kwIndex && f.object != kwRoutine && f.object != kwTrigger &&
			!strings.EqualFold(s.src[f.typed.from:f.typed.to], "type")
	}
	return true
}

// tellsOfSecret reports whether a word names a value that may be secret.
func tellsOfSecret(word string) bool {
	return announces(word) || containsAny(word, "_key", "key_id", "accesskey", "secretkey") || strings.EqualFold(word, "auth")
}

// expectValue begins the value of a setting, after = or TO.
func (s *scanner) expectValue() {
	if s.over == 0 && !s.setting.active && s.top().setting {
		s.setting = setting{active: true, depth: s.depth}
	}
}

// endSetting ends the value at what only in MySQL separates it from the next one.
func (s *scanner) endSetting() {
	if s.dialect == MySQL && s.over == 0 && s.depth <= s.setting.depth {
		s.setting.active = false
	}
}

// beginValue remembers where a token of the value begins.
func (s *scanner) beginValue() {
	v := &s.setting
	if !v.begun {
		s.flush(s.pos)
		v.mark = len(s.out)
	}
	v.earlier = v.tokens
}

// endValue makes one question mark of the tokens that were read up to now.
func (s *scanner) endValue() {
	v := &s.setting
	switch {
	case !v.active || v.tokens == v.earlier:
	case !v.begun && v.tokens == v.earlier+1:
		v.begun = true
	default:
		v.begun = true // perhaps only now, with a token and the rest that is dropped behind it
		s.flush(s.pos)
		s.out = s.out[:v.mark]
		s.write("?")
	}
}
