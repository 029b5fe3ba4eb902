package sqltext

import (
	"hash/maphash"
	"sync"
)

// Result is what one pass over a text finds. It holds no reference to the text
// that was parsed.
type Result struct {
	// Text is the sanitised text: literals are replaced by ?, comments are
	// gone, IN lists are collapsed. It is valid UTF-8 of at most [MaxText] bytes.
	Text string

	// Summary is the value for db.query.summary: the operations and their
	// targets in the order of the text. It has at most [MaxSummary] characters,
	// and is empty if no operation was recognised.
	Summary string

	// Name is the name of the query in a leading comment of the form that sqlc
	// generates, `-- name: GetUser :one`, and else empty.
	Name string

	// Procedure is the name of the stored procedure, as it is written, if the text is
	// one call of it (CALL, EXEC) and nothing else.
	Procedure string

	// Hash identifies Text in this process. Texts that differ only beyond
	// [MaxText] bytes share it.
	Hash uint64

	// CommentAt is where in the text a comment goes, for [AddComment]. It is
	// negative if the text must have none.
	CommentAt int

	// Definition reports that the first operation defines something: CREATE, ALTER,
	// DROP, GRANT and their like, and not TRUNCATE.
	Definition bool

	// Several reports that the text is known to hold several statements, or may do so
	// as with Script.
	Several bool

	// Batch reports that one statement writes or moves many rows by itself: an INSERT
	// with several rows of VALUES, COPY, BULK INSERT, LOAD.
	Batch bool

	// Placeholder reports that the text holds at least one bind placeholder of its
	// dialect outside literals, comments and quoted names. It speaks of the part
	// that was scanned with certainty: a placeholder after [MaxScan] bytes, or
	// after a place at which the rest of the text was dropped, is not seen.
	Placeholder bool

	// Script reports that the text may be more than one statement: something other
	// than comments and white space follows a semicolon, or may do so where the
	// rest of the text was dropped or not scanned.
	Script bool
}

// scanners keeps scanners with their buffers; a scanner in the pool refers to no text.
var scanners = sync.Pool{New: func() any { return newScanner() }}

// seed is that of all hashes.
var seed = maphash.MakeSeed()

// Parse scans query once, at most its first [MaxScan] bytes. It may be called
// concurrently, and never panics, whatever the text.
func Parse(d Dialect, query string) Result {
	s := scanners.Get().(*scanner)
	s.reset(d, query)
	s.scan()
	name := queryName(s.src)
	r := Result{
		Text:        s.text(),
		Hash:        maphash.Bytes(seed, s.out),
		Definition:  s.defines(),
		Several:     s.several || s.script || !s.whole,
		Batch:       s.batched,
		Placeholder: s.placeholder,
		Script:      s.script || !s.whole,
	}
	r.Summary, r.Name = s.sum.texts(name)
	r.Procedure = s.procedure(r.Summary)
	r.CommentAt = s.commentAt(query, r.Text)
	s.src = ""
	scanners.Put(s)
	return r
}
