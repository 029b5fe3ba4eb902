package drivers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// backend is an in-process server that speaks as much of PostgreSQL's protocol
// as the tests need. It knows a few statements and remembers the texts that it
// was sent.
type backend struct {
	t        *testing.T
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	texts  []string // "query: …" for the simple protocol, "parse: …" for the extended one
	emails map[string]bool
	refuse *pgproto3.ErrorResponse // what a start-up is answered with
}

// newBackend starts a server that stops with the test.
func newBackend(t *testing.T) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{t: t, listener: l, conns: make(map[net.Conn]bool), emails: make(map[string]bool)}
	b.wg.Go(b.accept)
	t.Cleanup(func() {
		_ = l.Close()
		b.mu.Lock()
		for c := range b.conns {
			_ = c.Close()
		}
		b.mu.Unlock()
		b.wg.Wait()
	})
	return b
}

func (b *backend) port() int { return b.listener.Addr().(*net.TCPAddr).Port }

// dsn returns a URL of the server.
func (b *backend) dsn(params string) string {
	return "postgres://worker:canary-password@127.0.0.1:" + strconv.Itoa(b.port()) + "/shop?sslmode=disable" + params
}

// takeTexts returns the texts that the server was sent, and forgets them.
func (b *backend) takeTexts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	texts := b.texts
	b.texts = nil
	return texts
}

func (b *backend) accept() {
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return // closed
		}
		b.mu.Lock()
		b.conns[c] = true
		b.mu.Unlock()
		b.wg.Go(func() {
			defer func() {
				b.mu.Lock()
				delete(b.conns, c)
				b.mu.Unlock()
				_ = c.Close()
			}()
			s := &session{backend: b, wire: pgproto3.NewBackend(c, c), prepared: make(map[string]reply)}
			if err := s.serve(); err != nil && !errors.Is(err, net.ErrClosed) {
				return // the client went away, as clients do
			}
		})
	}
}

// session is one connection of a client.
type session struct {
	*backend
	wire     *pgproto3.Backend
	status   byte // of the transaction
	prepared map[string]reply
	portal   struct {
		reply
		formats []int16
		args    []string
	}
	failed bool // until the next Sync
}

// reply is what a statement is answered with.
type reply struct {
	params []uint32
	fields []field
	rows   [][]any
	tag    string
	err    *pgproto3.ErrorResponse // after the rows
	run    func(s *session, args []string) *pgproto3.ErrorResponse
}

type field struct {
	name string
	oid  uint32
}

const (
	oidInt4 = 23
	oidText = 25
)

// answer returns what a text, without its comment, is answered with.
func (b *backend) answer(text string) reply {
	before, comment, commented := strings.Cut(text, " /*")
	if text = before; commented {
		_, rest, _ := strings.Cut(comment, "*/")
		text += rest
	}
	users := []field{{"id", oidInt4}, {"email", oidText}}
	switch strings.TrimSuffix(text, ";") {
	case "begin":
		return reply{tag: "BEGIN", run: inState('T')}
	case "commit":
		return reply{tag: "COMMIT", run: inState('I')}
	case "rollback":
		return reply{tag: "ROLLBACK", run: inState('I')}
	case "-- ping":
		return reply{}
	case pgInsert:
		return reply{params: []uint32{oidInt4, oidText}, tag: "INSERT 0 1", run: insert}
	case pgUpdate:
		return reply{tag: "UPDATE 2"}
	case pgSelect:
		return reply{params: []uint32{oidInt4}, fields: users, tag: "SELECT 2", rows: [][]any{{1, "canary-1@example.com"}, {2, "canary-2@example.com"}}}
	case `select "id", "email" from "otdb_users"`: // which CopyFrom learns the types by
		return reply{fields: users, tag: "SELECT 0"}
	case pgCount:
		return reply{fields: []field{{"count", oidInt4}}, tag: "SELECT 1", rows: [][]any{{2}}}
	case pgNone:
		return reply{params: []uint32{oidInt4}, fields: users[1:], tag: "SELECT 0"}
	case pgMidway:
		return reply{fields: []field{{"n", oidInt4}}, rows: [][]any{{5}, {10}},
			err: &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "22012", Message: "division by zero"}}
	default:
		return reply{err: &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42601",
			Message: `syntax error at or near "` + text + `"`, Position: 1}}
	}
}

func inState(status byte) func(*session, []string) *pgproto3.ErrorResponse {
	return func(s *session, _ []string) *pgproto3.ErrorResponse {
		s.status = status
		return nil
	}
}

// insert refuses an address that is there, and quotes it as the real server does.
func insert(s *session, args []string) *pgproto3.ErrorResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	if email := args[1]; s.emails[email] {
		return &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "23505",
			Message: `duplicate key value violates unique constraint "otdb_users_email_key"`,
			Detail:  "Key (email)=(" + email + ") already exists.", SchemaName: "public", TableName: "otdb_users",
			ConstraintName: "otdb_users_email_key"}
	}
	s.emails[args[1]] = true
	return nil
}

func (s *session) serve() error {
	for started := false; !started; {
		m, err := s.wire.ReceiveStartupMessage()
		if err != nil {
			return err
		}
		if _, started = m.(*pgproto3.StartupMessage); !started {
			return fmt.Errorf("start-up with %T", m)
		}
	}
	s.mu.Lock()
	refuse := s.refuse
	s.mu.Unlock()
	if refuse != nil {
		s.wire.Send(refuse)
		return s.wire.Flush()
	}
	s.status = 'I'
	s.wire.Send(&pgproto3.AuthenticationOk{})
	s.wire.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	s.wire.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	s.wire.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	if err := s.ready(); err != nil {
		return err
	}
	for {
		m, err := s.wire.Receive()
		if err != nil {
			return err
		}
		if _, sync := m.(*pgproto3.Sync); s.failed && !sync {
			continue
		}
		switch m := m.(type) {
		case *pgproto3.Terminate:
			return nil
		case *pgproto3.Query:
			s.note("query: " + m.String)
			if strings.HasPrefix(m.String, "copy ") {
				err = s.copyIn()
				break
			}
			s.simple(s.answer(m.String))
			err = s.ready()
		case *pgproto3.Parse:
			s.note("parse: " + m.Query)
			r := s.answer(m.Query)
			if r.tag == "" && r.fields == nil {
				s.fail(r.err)
				break
			}
			s.prepared[m.Name] = r
			s.wire.Send(&pgproto3.ParseComplete{})
		case *pgproto3.Describe:
			if m.ObjectType == 'S' {
				s.wire.Send(&pgproto3.ParameterDescription{ParameterOIDs: s.prepared[m.Name].params})
				s.describe(s.prepared[m.Name].fields, nil)
			} else {
				s.describe(s.portal.fields, s.portal.formats)
			}
		case *pgproto3.Bind:
			s.bind(m)
		case *pgproto3.Execute:
			s.execute(s.portal.reply, s.portal.formats, s.portal.args)
		case *pgproto3.Close:
			delete(s.prepared, m.Name)
			s.wire.Send(&pgproto3.CloseComplete{})
		case *pgproto3.Sync:
			s.failed = false
			err = s.ready()
		default:
			return fmt.Errorf("unexpected %T", m)
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) note(text string) {
	if text == "query: -- ping" {
		return // which pgx asks after a second without work
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, text)
}

func (s *session) ready() error {
	s.wire.Send(&pgproto3.ReadyForQuery{TxStatus: s.status})
	return s.wire.Flush()
}

func (s *session) fail(err *pgproto3.ErrorResponse) {
	s.failed = true
	if s.status == 'T' {
		s.status = 'E'
	}
	s.wire.Send(err)
}

// simple answers a statement of the simple protocol.
func (s *session) simple(r reply) {
	if r.tag == "" && r.err == nil && r.fields == nil {
		s.wire.Send(&pgproto3.EmptyQueryResponse{})
		return
	}
	if r.fields != nil {
		s.describe(r.fields, nil)
	}
	s.execute(r, nil, nil)
	s.failed = false
}

// copyIn answers COPY FROM STDIN.
func (s *session) copyIn() error {
	s.wire.Send(&pgproto3.CopyInResponse{OverallFormat: 1, ColumnFormatCodes: []uint16{1, 1}})
	if err := s.wire.Flush(); err != nil {
		return err
	}
	for {
		m, err := s.wire.Receive()
		if err != nil {
			return err
		}
		if _, done := m.(*pgproto3.CopyDone); done {
			s.wire.Send(&pgproto3.CommandComplete{CommandTag: []byte("COPY 2")})
			return s.ready()
		}
	}
}

func (s *session) bind(m *pgproto3.Bind) {
	r := s.prepared[m.PreparedStatement]
	s.portal.reply, s.portal.args = r, nil
	s.portal.formats = append([]int16(nil), m.ResultFormatCodes...)
	for i, p := range m.Parameters {
		format := int16(0)
		switch {
		case len(m.ParameterFormatCodes) == 1:
			format = m.ParameterFormatCodes[0]
		case i < len(m.ParameterFormatCodes):
			format = m.ParameterFormatCodes[i]
		}
		if format == 1 && i < len(r.params) && r.params[i] == oidInt4 {
			s.portal.args = append(s.portal.args, strconv.Itoa(int(int32(binary.BigEndian.Uint32(p)))))
			continue
		}
		s.portal.args = append(s.portal.args, string(p))
	}
	s.wire.Send(&pgproto3.BindComplete{})
}

func (s *session) describe(fields []field, formats []int16) {
	if fields == nil {
		s.wire.Send(&pgproto3.NoData{})
		return
	}
	d := &pgproto3.RowDescription{}
	for i, f := range fields {
		size := int16(-1)
		if f.oid == oidInt4 {
			size = 4
		}
		d.Fields = append(d.Fields, pgproto3.FieldDescription{
			Name: []byte(f.name), DataTypeOID: f.oid, DataTypeSize: size, TypeModifier: -1, Format: formatOf(formats, i),
		})
	}
	s.wire.Send(d)
}

func formatOf(formats []int16, i int) int16 {
	switch {
	case len(formats) == 1:
		return formats[0]
	case i < len(formats):
		return formats[i]
	}
	return 0
}

func (s *session) execute(r reply, formats []int16, args []string) {
	if r.run != nil {
		if err := r.run(s, args); err != nil {
			s.fail(err)
			return
		}
	}
	for _, row := range r.rows {
		var values [][]byte
		for i, v := range row {
			n, isInt := v.(int)
			if isInt && formatOf(formats, i) == 1 {
				values = append(values, binary.BigEndian.AppendUint32(nil, uint32(n)))
				continue
			}
			values = append(values, fmt.Append(nil, v))
		}
		s.wire.Send(&pgproto3.DataRow{Values: values})
	}
	if r.err != nil {
		s.fail(r.err)
		return
	}
	s.wire.Send(&pgproto3.CommandComplete{CommandTag: []byte(r.tag)})
}

// refusal is what a server answers that does not know a user's password.
func refusal(user string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "28P01",
		Message: `password authentication failed for user "` + user + `"`}
}
