package otpgx

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/taskspan/taskspan/otdb"
)

// session is what a tracer knows of a connection. Like that it is used by one goroutine at
// a time.
type session struct {
	server    string
	port      int
	namespace string

	prepared  map[string]string // texts by their names
	preparing string            // the name of what is being prepared

	waited time.Duration     // for the connection, by a caller who has done nothing with it yet
	inTx   bool              // a transaction is open
	ended  pgconn.CommandTag // of the last statement of a batch that ended a transaction
}

// maxPrepared is how many names of statements a session knows: pgx does not report that one
// is deallocated.
const maxPrepared = 1000

var keys atomic.Int64

// newKey returns a key that no other tracer has.
func newKey() string { return "otpgx#" + strconv.FormatInt(keys.Add(1), 10) }

// session returns what the tracer knows of a connection.
func (t *Tracer) session(conn *pgx.Conn) *session {
	if conn == nil || conn.PgConn() == nil {
		return new(session)
	}
	data := conn.PgConn().CustomData()
	if s, ok := data[t.key].(*session); ok {
		return s
	}
	s := new(session)
	s.server, s.port, s.namespace = serverOf(conn.Config())
	if data != nil {
		data[t.key] = s
	}
	return s
}

// serverOf returns where a connection leads to. There is no server if there are several
// hosts to choose from.
func serverOf(cfg *pgx.ConnConfig) (server string, port int, namespace string) {
	for _, f := range cfg.Fallbacks {
		if f.Host != cfg.Host || f.Port != cfg.Port {
			return "", 0, cfg.Database
		}
	}
	return cfg.Host, int(cfg.Port), cfg.Database
}

// call returns the call of a statement.
func (s *session) call(query string) otdb.Call {
	query = s.text(query)
	c := otdb.Call{
		Query: query, Operation: operationOf(query), Server: s.server, Port: s.port, Namespace: s.namespace,
		Session: s, Waited: s.waited,
	}
	s.waited = 0
	return c
}

// text returns the text of a statement, which may be given by the name that it was prepared
// by.
func (s *session) text(query string) string {
	if text, ok := s.prepared[query]; ok {
		return text
	}
	return query
}

// prepare notes the name of a prepared statement.
func (s *session) prepare(name, query string) {
	if name == "" || name == query {
		return
	}
	if s.prepared == nil || len(s.prepared) >= maxPrepared {
		s.prepared = make(map[string]string)
	}
	s.prepared[name] = query
}

// Command tags of statements that end a transaction.
const (
	committed  = "COMMIT"
	rolledBack = "ROLLBACK"
)

// note notes the end of a transaction in a batch.
func (s *session) note(tag pgconn.CommandTag) {
	if text := tag.String(); text == committed || text == rolledBack {
		s.ended = tag
	}
}

// follow follows the connection's transaction, by its status behind an operation with that
// tag. One that began or ended with a BEGIN or COMMIT that is an operation is known already.
func (t *Tracer) follow(ctx context.Context, conn *pgx.Conn, s *session, tag pgconn.CommandTag) {
	s.ended = pgconn.CommandTag{}
	open := inTransaction(conn)
	if open == s.inTx {
		return
	}
	s.inTx = open
	state := otdb.TxNone
	switch {
	case open:
		state = otdb.TxOpen
	case tag.String() == committed:
		state = otdb.TxCommitted
	case tag.String() == rolledBack:
		state = otdb.TxRolledBack
	}
	t.tracer.Transaction(ctx, s, state)
}

// inTransaction reports whether the connection is in a transaction.
func inTransaction(conn *pgx.Conn) bool {
	return conn != nil && conn.PgConn() != nil && !conn.IsClosed() && conn.PgConn().TxStatus() != 'I'
}

// operationOf returns what a statement is that begins or ends a transaction, as pgx.Tx does.
func operationOf(query string) otdb.Operation {
	if query == "" {
		return 0
	}
	switch query[0] | 0x20 {
	case 'b':
		if strings.EqualFold(query, "begin") || len(query) > 6 && strings.EqualFold(query[:6], "begin ") && !strings.Contains(query, ";") {
			return otdb.OperationBegin
		}
	case 'c':
		if strings.EqualFold(query, "commit") {
			return otdb.OperationCommit
		}
	case 'r':
		if strings.EqualFold(query, "rollback") {
			return otdb.OperationRollback
		}
	}
	return 0
}

// returnedRows returns how many rows a statement has returned, -1 if it does not return any.
// A tag counts the rows that were changed as well; they were returned if the text shows it.
func returnedRows(query string, tag pgconn.CommandTag) int64 {
	switch {
	case tag.Select(), strings.HasPrefix(tag.String(), "FETCH"):
		return tag.RowsAffected()
	case tag.Insert(), tag.Update(), tag.Delete(), strings.HasPrefix(tag.String(), "MERGE"):
		if containsFold(query, "returning") {
			return tag.RowsAffected()
		}
	}
	return -1
}

// containsFold reports whether s contains a word of lower-case letters in any case.
func containsFold(s, word string) bool {
	for i := 0; i+len(word) <= len(s); i++ {
		if s[i]|0x20 == word[0] && strings.EqualFold(s[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// copyText returns the text of a COPY.
func copyText(table pgx.Identifier, columns []string) string {
	var b strings.Builder
	b.WriteString("COPY ")
	for i, part := range table {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(quoted(part))
	}
	b.WriteString(" (")
	for i, column := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoted(column))
	}
	b.WriteString(") FROM STDIN BINARY")
	return b.String()
}

// quoted returns a name as an identifier, in quotes where it needs them.
func quoted(name string) string {
	plain := name != "" && (name[0] < '0' || name[0] > '9')
	for _, c := range name {
		plain = plain && (c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9')
	}
	if plain {
		return name
	}
	return pgx.Identifier{name}.Sanitize()
}
