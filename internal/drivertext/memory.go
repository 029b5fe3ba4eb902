package drivertext

import (
	"container/list"
	"reflect"
	"sync"
)

// Bounds of one memory. The texts that were said last are known, fewer of them to the
// process: all tasks look through those.
const (
	maxTexts   = 1024
	maxBytes   = 256 << 10
	maxProcess = 256
)

// Memory holds what drivers said to one task. The zero value is ready for use, and
// so is a nil *Memory, which stands for the memory of the process. All methods but
// Init may be called concurrently.
type Memory struct {
	parent *Memory

	mu    sync.Mutex
	texts list.List // of *said, the one said last at the back
	byRaw map[string]*list.Element
	bytes int
}

// said is one text, and the error that it is the text of. The process keeps no
// errors: they may hold a connection.
type said struct {
	text *Text
	err  error
}

var process Memory

// Init makes m the memory of a task within that of parent. What m remembers, the
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
	if m == &process {
		limit = maxProcess
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byRaw == nil {
		m.byRaw = make(map[string]*list.Element)
	}
	for _, t := range texts {
		if e, ok := m.byRaw[t.raw]; ok {
			e.Value.(*said).err = err
			m.texts.MoveToBack(e)
			continue
		}
		m.byRaw[t.raw] = m.texts.PushBack(&said{t, err})
		m.bytes += len(t.raw)
		for m.texts.Len() > limit || m.bytes > maxBytes {
			old := m.texts.Remove(m.texts.Front()).(*said).text
			delete(m.byRaw, old.raw)
			m.bytes -= len(old.raw)
		}
	}
}

// Said reports whether a driver returned err, or an error with just this text.
func (m *Memory) Said(err error, text string) bool {
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
	if _, ok := m.byRaw[shorten(text)]; ok {
		return true
	}
	if err == nil || reflect.TypeOf(err).Kind() != reflect.Pointer {
		return false
	}
	for e := m.texts.Back(); e != nil; e = e.Prev() {
		if e.Value.(*said).err == err { //nolint:errorlint // the error itself, of a type that can be compared
			return true
		}
	}
	return false
}

// Known returns what m and the memories around it remember, and what only the
// process does, those that were said last first.
func (m *Memory) Known() (task, others []*Text) {
	for ; m != nil; m = m.parent {
		task = m.appendTo(task)
	}
	return task, process.appendTo(nil)
}

func (m *Memory) appendTo(texts []*Text) []*Text {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := m.texts.Back(); e != nil; e = e.Prev() {
		texts = append(texts, e.Value.(*said).text)
	}
	return texts
}
