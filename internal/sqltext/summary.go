package sqltext

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// maxSummaryBytes is the size of a summary's buffer: [MaxSummary] characters,
// and an entry that is too long.
const maxSummaryBytes = 2 * utf8.UTFMax * MaxSummary

// summary is the text of a summary that is being written, entry by entry. An
// entry is an operation, an object's type or a target: it is in the summary as a
// whole or not at all.
type summary struct {
	buf       []byte
	entry     int  // where the last entry begins, with what separates it
	full      bool // no entry fits any more
	separated bool // the next entry belongs to another statement
	muted     bool // nothing is written
}

func (m *summary) reset() {
	*m = summary{buf: m.buf[:0]}
}

// begin begins an entry.
func (m *summary) begin(text string) {
	m.end()
	if m.full || m.muted {
		return
	}
	m.entry = len(m.buf)
	if m.entry > 0 {
		if m.separated {
			m.buf = append(m.buf, ';')
		}
		m.buf = append(m.buf, ' ')
	}
	m.separated = false
	m.extend(text)
}

// extend adds to the last entry.
func (m *summary) extend(text string) {
	if m.full || m.muted {
		return
	}
	if len(m.buf)+len(text) > cap(m.buf) {
		m.drop()
		m.full = true
		return
	}
	m.buf = append(m.buf, text...)
}

// drop removes the last entry.
func (m *summary) drop() {
	if !m.full && !m.muted {
		m.separated = m.separated || m.entry < len(m.buf) && m.buf[m.entry] == ';'
		m.buf = m.buf[:m.entry]
	}
}

// cut removes the entries between two positions.
func (m *summary) cut(from, to int) {
	if from < to && to <= len(m.buf) && !m.muted {
		m.buf = append(m.buf[:from], m.buf[to:]...)
		m.entry = len(m.buf)
		m.full = false
	}
}

// rename writes another word in place of one at a position, if that is there: a summary
// that was full is without it.
func (m *summary) rename(at int, old, word string) {
	if d := len(word) - len(old); !m.muted && at >= 0 && bytes.HasPrefix(m.buf[min(at, len(m.buf)):], []byte(old)) && len(m.buf)+d <= cap(m.buf) {
		m.buf = slices.Replace(m.buf, at, at+len(old), []byte(word)...)
		if m.entry > at {
			m.entry += d
		}
	}
}

// end ends the last entry, and removes it if the summary is too long with it.
func (m *summary) end() {
	if !m.full && len(m.buf) > MaxSummary && utf8.RuneCount(m.buf) > MaxSummary {
		m.drop()
		m.full = true
	}
}

// texts returns the summary and a copy of name, in one allocation.
func (m *summary) texts(name string) (text, clone string) {
	n := len(m.buf)
	both := string(append(m.buf, name...))
	return both[:n], both[n:]
}
