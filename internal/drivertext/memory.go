package drivertext

import (
	"container/list"
	"reflect"
	"sync"
)

// Bounds of one memory. The latest texts are known, fewer of them to the
// process: all tasks look through those.
const (
	maxTexts   = 1024
	maxBytes   = 256 << 10
	maxProcess = 256
)

// Memory holds the texts of drivers to one task. The zero value is ready for use, and
// so is a nil *Memory, which stands for the memory of the process. All methods but
// Init may be called concurrently.
type Memory struct {
	parent *Memory

	mu    sync.Mutex
	texts list.List // of *said, the latest at the back
	byRaw map[string]*list.Element
	byErr map[error]int // how many of texts are of an error that is a pointer
	bytes int
	index index // of texts; what is new in them is added when somebody looks
}

// said is one text, and the error that it is the text of. The process keeps no
// errors: they may hold a connection.
type said struct {
	text    *Text
	err     error // nil if it is no pointer
	indexed bool
	fresh   bool // newer than the index
}

var process = Memory{index: index{loose: true}}

// Init makes m the memory of a task within that of parent. The texts that m remembers, the
// memories around it remember too, and m knows what they know.
func (m *Memory) Init(parent *Memory) { m.parent = parent }

// Remember remembers that a driver returned err with these texts, in m, in the
// memories around it, and in that of the process.
func (m *Memory) Remember(err error, texts ...*Text) {
	for ; m != nil; m = m.parent {
		m.add(err, texts)
	}
	process.add(nil, texts)
}

func (m *Memory) add(err error, texts []*Text) {
	limit := maxTexts
	if m.index.loose {
		limit = maxProcess
	}
	if err != nil && reflect.TypeOf(err).Kind() != reflect.Pointer {
		err = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byRaw == nil {
		m.byRaw, m.byErr = make(map[string]*list.Element), make(map[error]int)
	}
	for _, t := range texts {
		e, ok := m.byRaw[t.raw]
		if !ok {
			e = m.texts.PushBack(&said{text: t})
			m.byRaw[t.raw] = e
			m.bytes += len(t.raw)
		}
		m.texts.MoveToBack(e)
		s := e.Value.(*said)
		s.fresh = true
		m.forget(s)
		if s.err = err; err != nil {
			m.byErr[err]++
		}
		for m.texts.Len() > limit || m.bytes > maxBytes {
			m.drop(m.texts.Remove(m.texts.Front()).(*said))
		}
	}
}

// drop forgets a text that has left the list.
func (m *Memory) drop(s *said) {
	m.forget(s)
	delete(m.byRaw, s.text.raw)
	m.bytes -= len(s.text.raw)
	if s.indexed {
		m.index.remove(s.text)
	}
}

// forget forgets whose text s is.
func (m *Memory) forget(s *said) {
	if s.err == nil {
		return
	}
	if m.byErr[s.err]--; m.byErr[s.err] == 0 {
		delete(m.byErr, s.err)
	}
}

// Said reports whether a driver returned err, or an error with just this text.
func (m *Memory) Said(err error, text string) bool {
	text = shorten(text)
	if err != nil && reflect.TypeOf(err).Kind() != reflect.Pointer {
		err = nil
	}
	for ; m != nil; m = m.parent {
		if m.has(err, text) {
			return true
		}
	}
	return process.has(nil, text)
}

func (m *Memory) has(err error, text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.byRaw[text]
	return ok || err != nil && m.byErr[err] > 0
}

// each calls f for the index of m, for those of the memories around it, and for that
// of the process.
func (m *Memory) each(f func(*index)) {
	for ; m != nil; m = m.parent {
		m.use(f)
	}
	process.use(f)
}

func (m *Memory) use(f func(*index)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.texts.Back()
	for e != nil && e.Value.(*said).fresh && e.Prev() != nil && e.Prev().Value.(*said).fresh {
		e = e.Prev()
	}
	for ; e != nil; e = e.Next() { // the latest at last
		if s := e.Value.(*said); s.fresh {
			m.index.add(s.text)
			s.indexed, s.fresh = true, false
		}
	}
	f(&m.index)
}
