package otdb

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/sqltext"
)

// maxCachedText is the length in bytes of the longest text that is cached.
const maxCachedText = 16 << 10

// statement is what is known of one SQL text. It never changes.
type statement struct {
	query     string
	text      ledger.Text
	commentAt int // where a comment goes in the text, -1 if there must be none

	*operationKind
	sanitized     []trace.SpanStartOption // for calls without arguments
	withArguments []trace.SpanStartOption // for the others: as written, if there is a placeholder
	prepareSpan   []trace.SpanStartOption // for PREPARE
}

// statement returns what is known of query, from the cache if possible.
func (db *database) statement(query string) *statement {
	if len(query) > maxCachedText {
		return db.scan(query)
	}
	slot := db.statements.slot(query)
	if st := slot.find(query); st != nil {
		return st
	}
	// The text may be a small part of a large string: the cache must not hold that.
	st := db.scan(strings.Clone(query))
	slot.add(st)
	return st
}

// scan makes the statement of a text.
func (db *database) scan(query string) *statement {
	r := sqltext.Parse(db.dialect, query)
	st := &statement{
		query:         query,
		text:          db.text(r),
		commentAt:     -1,
		operationKind: db.bySummary(r.Summary),
	}
	if db.comment.mode != 0 {
		st.commentAt = r.CommentAt
	}
	var prepareStart []attribute.KeyValue
	if p := db.prepare; p != nil {
		prepareStart = p.start[:len(p.start):len(p.start)]
	}
	if r.Summary != "" {
		prepareStart = append(prepareStart, semconv.DBQuerySummary(r.Summary))
	}
	if db.cfg.queryText == QueryTextOff || r.Text == "" {
		st.sanitized = startOptions(st.start)
		st.withArguments = st.sanitized
		st.prepareSpan = startOptions(prepareStart)
		return st
	}
	base := st.start[:len(st.start):len(st.start)]
	text := semconv.DBQueryText(r.Text)
	st.sanitized = startOptions(append(base, text))
	st.withArguments = st.sanitized
	if r.Placeholder && db.cfg.queryText == QueryTextDefault {
		text = semconv.DBQueryText(sqltext.Truncate(query))
		st.withArguments = startOptions(append(base, text))
	}
	if !db.preparesAsWritten(r) {
		text = semconv.DBQueryText(r.Text)
	}
	st.prepareSpan = startOptions(append(prepareStart, text))
	return st
}

// text returns what the ledger knows of a text.
func (db *database) text(r sqltext.Result) ledger.Text {
	t := ledger.Text{
		Summary:   r.Summary,
		SQL:       r.Text,
		Hash:      r.Hash,
		Statement: true,
		Batch:     r.Batch,
	}
	if db.cfg.queryText == QueryTextOff {
		t.SQL = ""
	}
	return t
}

// preparesAsWritten reports whether a placeholder alone, without arguments, shows
// that a text is parameterised. Where variables look like placeholders it does not,
// nor in a script, in which another statement may hold the values.
func (db *database) preparesAsWritten(r sqltext.Result) bool {
	switch db.dialect {
	case sqltext.PostgreSQL, sqltext.MySQL, sqltext.SQLite:
		return !r.Script
	default:
		return false
	}
}

// statementCache holds statements by their text. It is set-associative: a
// text's hash names a slot of a few ways, and a text that finds its slot full
// takes the place of another. So its size is fixed, and neither a hit nor a
// miss takes a lock or writes to anything that other goroutines' hits read.
type statementCache struct {
	slots [cacheSlots]cacheSlot
}

const (
	cacheSlots = 256
	cacheWays  = 4
)

type cacheSlot struct {
	ways [cacheWays]atomic.Pointer[statement]
	next atomic.Uint32 // the way that is replaced next
}

var cacheSeed = maphash.MakeSeed()

func (c *statementCache) slot(query string) *cacheSlot {
	return &c.slots[maphash.String(cacheSeed, query)%cacheSlots]
}

func (s *cacheSlot) find(query string) *statement {
	for i := range s.ways {
		if st := s.ways[i].Load(); st != nil && st.query == query {
			return st
		}
	}
	return nil
}

func (s *cacheSlot) add(st *statement) {
	s.ways[s.next.Add(1)%cacheWays].Store(st)
}
