package otdb

import (
	"cmp"
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

// statement is what is known of one SQL text by one name. It never changes, except for
// renamed.
type statement struct {
	query     string
	result    sqltext.Result
	text      ledger.Text
	batch     []*ledger.Text // of the statements, if this is the text of a batch
	commentAt int            // where a comment goes in the text, -1 if there must be none

	*operationKind
	sanitized     []trace.SpanStartOption // for calls without arguments
	withArguments []trace.SpanStartOption // for the others: as written, if there is a placeholder
	prepareSpan   []trace.SpanStartOption // for PREPARE

	renamed atomic.Pointer[statement] // by the last name of NameQuery
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
	db.statements.add(slot, st)
	return st
}

// scan makes the statement of a text.
func (db *database) scan(query string) *statement {
	r := sqltext.Parse(db.dialect, query)
	return db.newStatement(query, r, cmp.Or(r.Name, r.Summary))
}

// newStatement makes the statement of a text that was parsed, by a name.
func (db *database) newStatement(query string, r sqltext.Result, name string) *statement {
	st := &statement{
		query:         query,
		result:        r,
		text:          db.text(r, name),
		commentAt:     -1,
		operationKind: db.kindOf(name, r),
	}
	if db.comment.mode != 0 {
		st.commentAt = r.CommentAt
	}
	var prepareStart []attribute.KeyValue
	if p := db.prepare; p != nil {
		prepareStart = p.start[:len(p.start):len(p.start)]
	}
	if name != "" {
		prepareStart = append(prepareStart, semconv.DBQuerySummary(name))
	}
	start := st.start[:len(st.start):len(st.start)]
	if r.Procedure != "" {
		start = append(start, semconv.DBStoredProcedureName(r.Procedure))
	}
	asWritten := r.Placeholder && db.cfg.queryText == QueryTextDefault
	st.sanitized = db.textOptions(start, r.Text)
	st.withArguments = st.sanitized
	prepared := r.Text
	if asWritten {
		written := sqltext.Written(db.dialect, query)
		st.withArguments = db.textOptions(start, written)
		if db.preparesAsWritten(r) {
			prepared = written
		}
	}
	st.prepareSpan = db.textOptions(prepareStart, prepared)
	return st
}

// textOptions returns the options of a span with that text, if it has one.
func (db *database) textOptions(kv []attribute.KeyValue, text string) []trace.SpanStartOption {
	if text != "" && db.cfg.queryText != QueryTextOff {
		kv = append(kv[:len(kv):len(kv)], semconv.DBQueryText(text))
	}
	return startOptions(kv)
}

// text returns what the ledger knows of a text.
func (db *database) text(r sqltext.Result, name string) ledger.Text {
	t := ledger.Text{
		Summary:   name,
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
// takes the place of another. Its statements hold at most maxCachedBytes: beyond
// that, a hand goes round and removes what it comes to. Neither a hit nor a miss takes
// a lock or writes to anything that other goroutines' hits read.
type statementCache struct {
	slots [cacheSlots]cacheSlot
	size  atomic.Int64  // the sum of what the statements hold
	hand  atomic.Uint32 // the way that makes room next
}

const (
	cacheSlots     = 256
	cacheWays      = 4
	maxCachedBytes = 4 << 20 // in a database handle
)

// bytes returns about how much memory the statement holds: its texts, and what the
// options of its spans take.
func (st *statement) bytes() int64 {
	const options = 1 << 10
	texts := len(st.query) + len(st.text.SQL) + len(st.text.Summary) + min(len(st.query), sqltext.MaxText)
	return int64(texts+texts/16) + options // allocations are rounded up
}

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

func (c *statementCache) add(slot *cacheSlot, st *statement) {
	c.put(&slot.ways[slot.next.Add(1)%cacheWays], st)
	for range cacheSlots * cacheWays {
		if c.size.Load() <= maxCachedBytes {
			return
		}
		i := c.hand.Add(1)
		c.put(&c.slots[i/cacheWays%cacheSlots].ways[i%cacheWays], nil)
	}
}

// put replaces the statement in a way, and corrects the size. Each statement is added
// and subtracted once, whoever does it.
func (c *statementCache) put(way *atomic.Pointer[statement], st *statement) {
	var change int64
	if st != nil {
		change = st.bytes()
	}
	if old := way.Swap(st); old != nil {
		change -= old.bytes()
	}
	c.size.Add(change)
}
