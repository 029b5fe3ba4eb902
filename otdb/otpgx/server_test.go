package otpgx_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// canary is what no telemetry may have: it is in arguments, rows, and errors.
	canary   = "canary-hunter2"
	password = "canary-Pa55word"
)

// server speaks the protocol of PostgreSQL as far as these tests need it. What a statement
// does is in its text: "limit 3" has that many rows, "fail" fails, "hang up" closes the
// connection.
type server struct {
	all sync.WaitGroup
}

// newServer returns a server that has ended when the test has.
func newServer(t *testing.T) *server {
	s := new(server)
	t.Cleanup(s.all.Wait)
	return s
}

// config returns the configuration of a pool that leads to the server, with that tracer.
func (s *server) config(t *testing.T, tracer pgx.QueryTracer) *pgxpool.Config {
	t.Helper()
	cfg, err := pgxpool.ParseConfig("postgres://worker:" + password + "@db.example.com:6432/shop?sslmode=disable&pool_max_conns=2")
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"192.0.2.1"}, nil }
	cfg.ConnConfig.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		client, backend := net.Pipe()
		s.all.Go(func() {
			defer backend.Close()
			(&session{Backend: pgproto3.NewBackend(backend, backend), status: 'I', texts: make(map[string]string)}).serve()
		})
		return client, nil
	}
	cfg.ConnConfig.Tracer = tracer
	return cfg
}

// pool returns a pool of the server's connections.
func (s *server) pool(t *testing.T, tracer pgx.QueryTracer) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), s.config(t, tracer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// session is the server's end of a connection.
type session struct {
	*pgproto3.Backend
	status  byte
	texts   map[string]string // of prepared statements
	bound   string            // the text of the portal
	failed  bool              // until the next Sync
	closing bool
}

func (s *session) serve() {
	if _, err := s.ReceiveStartupMessage(); err != nil {
		return
	}
	s.Send(&pgproto3.AuthenticationOk{})
	s.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	s.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	s.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	s.ready()
	for !s.closing && s.Flush() == nil {
		m, err := s.Receive()
		if err != nil {
			return
		}
		s.handle(m)
	}
}

func (s *session) ready() { s.Send(&pgproto3.ReadyForQuery{TxStatus: s.status}) }

func (s *session) handle(m pgproto3.FrontendMessage) {
	switch m.(type) {
	case *pgproto3.Sync:
		s.failed = false
		s.ready()
		return
	case *pgproto3.Terminate:
		s.closing = true
		return
	}
	if s.failed {
		return
	}
	switch m := m.(type) {
	case *pgproto3.Query:
		for text := range strings.SplitSeq(m.String, ";") {
			if text = strings.TrimSpace(text); text != "" && !s.execute(text, true) {
				break
			}
		}
		if s.failed = false; !s.closing {
			s.ready()
		}
	case *pgproto3.Parse:
		if strings.Contains(m.Query, "unknown") {
			s.fail("42P01", "relation \""+canary+"\" does not exist")
			return
		}
		s.texts[m.Name] = strings.Clone(m.Query)
		s.Send(&pgproto3.ParseComplete{})
	case *pgproto3.Describe:
		text := s.texts[m.Name]
		if m.ObjectType == 'P' {
			text = s.bound
		} else {
			oids := make([]uint32, strings.Count(text, "$"))
			for i := range oids {
				oids[i] = pgtype.TextOID
			}
			s.Send(&pgproto3.ParameterDescription{ParameterOIDs: oids})
		}
		if rows(text) < 0 {
			s.Send(&pgproto3.NoData{})
		} else {
			s.describe()
		}
	case *pgproto3.Bind:
		s.bound = s.texts[m.PreparedStatement]
		s.Send(&pgproto3.BindComplete{})
	case *pgproto3.Execute:
		s.execute(s.bound, false)
	case *pgproto3.Close:
		s.Send(&pgproto3.CloseComplete{})
	}
}

func (s *session) describe() {
	s.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{
		Name: []byte("a"), DataTypeOID: pgtype.TextOID, DataTypeSize: -1, TypeModifier: -1, Format: 0,
	}}})
}

func (s *session) fail(code, message string) {
	if s.status == 'T' {
		s.status = 'E'
	}
	s.failed = true
	s.Send(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: message})
}

// rows returns how many rows a statement has, negative for one that has none.
func rows(text string) int {
	lower := strings.ToLower(text)
	if !strings.HasPrefix(lower, "select") && !strings.Contains(lower, "returning") {
		return -1
	}
	n := 1
	if _, after, ok := strings.Cut(lower, "limit "); ok {
		_, _ = fmt.Sscan(after, &n)
	}
	return n
}

// execute reports whether the statement has succeeded.
func (s *session) execute(text string, simple bool) bool {
	verb, _, _ := strings.Cut(strings.ToUpper(text), " ")
	tag := verb
	switch {
	case strings.Contains(text, "hang up"):
		s.closing = true
		return false
	case strings.Contains(text, "fail"), s.status == 'E' && verb != "COMMIT" && verb != "ROLLBACK":
		s.fail("23505", `duplicate key: Key (email)=(`+canary+`) already exists.`)
		return false
	case verb == "BEGIN":
		s.status = 'T'
	case verb == "COMMIT":
		if s.status == 'E' {
			tag = "ROLLBACK"
		}
		s.status = 'I'
	case verb == "ROLLBACK":
		s.status = 'I'
	case verb == "COPY":
		tag = s.copyIn()
	default:
		n := rows(text)
		if n >= 0 && simple {
			s.describe()
		}
		for range n {
			s.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(canary)}})
		}
		switch verb {
		case "SELECT", "UPDATE", "DELETE":
			tag = fmt.Sprint(verb, " ", max(n, 0))
		case "INSERT":
			tag = fmt.Sprint(verb, " 0 ", max(n, 0))
		}
	}
	s.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
	return true
}

// copyIn reads what is copied, and returns the tag.
func (s *session) copyIn() string {
	s.Send(&pgproto3.CopyInResponse{OverallFormat: 1, ColumnFormatCodes: []uint16{1}})
	if s.Flush() != nil {
		return ""
	}
	for {
		m, err := s.Receive()
		if err != nil {
			return ""
		}
		switch m.(type) {
		case *pgproto3.CopyDone, *pgproto3.CopyFail:
			return "COPY 2"
		}
	}
}
