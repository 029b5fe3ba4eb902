package sqltext

import "unicode/utf8"

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
}

func (m *summary) reset() {
	m.buf, m.entry, m.full, m.separated = m.buf[:0], 0, false, false
}

// begin begins an entry.
func (m *summary) begin(text string) {
	m.end()
	if m.full {
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
	if m.full {
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
	if !m.full {
		m.buf = m.buf[:m.entry]
	}
}

// cut removes the entries after a position.
func (m *summary) cut(n int) {
	if n < len(m.buf) {
		m.buf = m.buf[:n]
		m.entry = n
		m.full = false
	}
}

// end ends the last entry, and removes it if the summary is too long with it.
func (m *summary) end() {
	if !m.full && len(m.buf) > MaxSummary && utf8.RuneCount(m.buf) > MaxSummary {
		m.drop()
		m.full = true
	}
}

func (m *summary) text() string { return string(m.buf) }
