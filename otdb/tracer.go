package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskspan/taskspan/internal/instrument"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/target"
)

// Tracer traces the operations of a client that does not pass through database/sql. It is
// for those who write the tracer of such a client. It exports what [Open] would:
// the same spans and metrics, the same account of the worker task, the same findings.
//
// A Tracer cannot change what is sent, so [WithCommenter] has no effect. It is safe for
// concurrent use.
type Tracer struct {
	cfg  *config
	base *servedDatabase // of calls that name no server

	latest atomic.Pointer[servedDatabase] // of the last call that named one
	mu     sync.RWMutex
	served map[server]*servedDatabase

	sessions sessions
}

// server is what a call knows of its connection.
type server struct {
	address   string
	port      int
	namespace string
}

// servedDatabase is the database on a server.
type servedDatabase struct {
	*database
	server server
	pool   string // the name of its pool
}

// maxServers is how many servers a tracer knows. Calls to others name none.
const maxServers = 100

// NewTracer returns a tracer for databases of that system, a value of db.system.name such
// as "cassandra". [WithSystem] replaces it. The error has the mistakes in the options.
func NewTracer(system string, opts ...Option) (*Tracer, error) {
	cfg, err := newConfig(opts)
	if err == nil && system == "" && cfg.target.System == "" {
		err = errors.New("otdb: NewTracer: the system is empty")
	}
	if err != nil {
		return nil, err
	}
	t := &Tracer{cfg: cfg, served: make(map[server]*servedDatabase)}
	cfg.target.System = target.Target{System: cfg.target.System}.Or(target.Target{System: system}).System
	t.base = t.newDatabase(server{})
	return t, nil
}

func (t *Tracer) newDatabase(s server) *servedDatabase {
	db, err := newDatabase(t.cfg, target.Target{Address: s.address, Port: s.port, Namespace: s.namespace})
	instrument.Handle(err)
	return &servedDatabase{db, s, db.poolName(t.cfg)}
}

// database returns the database on a server.
func (t *Tracer) database(s server) *servedDatabase {
	latest := t.latest.Load()
	switch {
	case s == server{}:
		return t.base
	case latest != nil && latest.server == s:
		return latest
	}
	t.mu.RLock()
	db := t.served[s]
	t.mu.RUnlock()
	if db == nil {
		db = t.serve(s)
	}
	t.latest.Store(db)
	return db
}

// serve adds the database on a server.
func (t *Tracer) serve(s server) *servedDatabase {
	t.mu.Lock()
	defer t.mu.Unlock()
	if db := t.served[s]; db != nil {
		return db
	}
	if len(t.served) >= maxServers {
		return t.base
	}
	db := t.newDatabase(s)
	t.served[s] = db
	return db
}

// lastDatabase returns that of the last call.
func (t *Tracer) lastDatabase() *servedDatabase {
	if db := t.latest.Load(); db != nil {
		return db
	}
	return t.base
}

// Call describes an operation to [Tracer.Start].
type Call struct {
	// Operation is what it does: zero for a statement or a batch, one lifecycle operation
	// otherwise.
	Operation Operation
	// Query is the text of the statement, or of the one that is prepared.
	Query string
	// Args are the arguments of the statement. If it has some, its text is
	// parameterised; their values are recorded if [WithQueryParameters] allows it.
	Args []any
	// Batch has the texts of the statements of a batch of two and more, which is one
	// operation. One statement is no batch: it is the Query.
	Batch []string

	// The target of the connection. Options come first.
	Server    string
	Port      int
	Namespace string

	// Session is the connection as a key for its transaction, such as a pointer. It does one
	// thing at a time: its operations do not overlap. Nil is for operations that are in no
	// transaction.
	Session any
	// Waited is how long the caller waited for the connection, for the span. For the account
	// of the task there is [Tracer.Waited].
	Waited time.Duration
}

// Span is an operation that has begun.
type Span struct {
	op      operation
	place   ledger.Place
	out     outcome
	began   time.Time // of a BEGIN that is no operation
	ended   atomic.Bool
	what    Operation
	tracer  *Tracer
	db      *database
	ctx     context.Context // of the caller
	session any
	tx      *transaction // that is open in the session
}

var _ ledger.Leaker = (*Span)(nil)

// Start begins an operation, and returns the context for it and its span, which has to be
// ended.
//
// A successful [OperationBegin] begins the transaction of its session; [OperationCommit]
// and [OperationRollback] end it. A statement that has not ended when its task and all
// those around it have is a finding, as open rows are: the task ends its span.
func (t *Tracer) Start(ctx context.Context, c Call) (context.Context, *Span) {
	db := t.database(server{c.Server, c.Port, c.Namespace}).database
	s := &Span{what: c.Operation, tracer: t, db: db, ctx: ctx, session: c.Session}
	if c.Session != nil {
		s.tx = t.sessions.get(c.Session)
	}
	s.op = operation{ctx: ctx, account: account{place: &s.place, tx: s.tx.tracked(), wait: wait{took: c.Waited}}}
	if len(c.Batch) == 1 {
		c.Query = c.Batch[0]
	}
	switch {
	case c.Operation != 0:
		ctx = s.startLifecycle(ctx, c)
	case len(c.Batch) > 1:
		s.op.st = db.batch(ctx, c.Batch)
		ctx = s.op.begin(ctx, s.op.st.operationKind, nil)
	default:
		ctx = s.op.execute(ctx, db.statement(c.Query), db.arguments(c.Args))
	}
	if c.Operation == 0 && s.op.ledger != nil {
		s.place.MayHold(s)
	}
	return ctx, s
}

// startLifecycle begins a lifecycle operation, if such are traced.
func (s *Span) startLifecycle(ctx context.Context, c Call) context.Context {
	k := s.db.lifecycleOf(c.Operation)
	if k == nil {
		s.began = s.db.time()
		return ctx
	}
	if c.Operation == OperationPrepare {
		s.op.st = s.db.statement(c.Query).named(ctx)
	}
	return s.op.begin(ctx, k, nil)
}

// End ends the operation, with the number of rows that it has returned, or a negative
// number if it is none that returns rows. The error is remembered, so that what the
// database's text in it does not leave the process in the errors of tasks.
//
// The second call does nothing, nor does one after the task has ended the operation. It
// may be called on a nil Span.
func (s *Span) End(rows int64, err error) {
	if s == nil {
		return
	}
	if s.ended.Swap(true) {
		_ = remember(s.op.ledger, err)
		return
	}
	s.out.err = err
	if rows >= 0 {
		s.out.hasRows, s.out.rows = true, rows
	}
	s.op.end(&s.out)
	switch s.what {
	case OperationBegin:
		if err == nil && s.session != nil && s.tx == nil {
			tx := &transaction{db: s.db, ctx: s.ctx}
			if s.tracer.sessions.open(s.session, tx) {
				tx.begin(&s.op, &s.out, s.began)
			}
		}
	case OperationCommit:
		s.endTransaction(txCommit)
	case OperationRollback:
		s.endTransaction(txRollback)
	}
}

// endTransaction ends the transaction of the session, if it has one.
func (s *Span) endTransaction(success txOutcome) {
	if s.tx == nil {
		return
	}
	s.tracer.sessions.close(s.session)
	if !s.tx.ending.Swap(true) {
		s.tx.endedBy(&s.op, &s.out, success)
	}
}

// EndLeaked implements ledger.Leaker. As with the rows of database/sql, a context that is
// done ends the operation.
func (s *Span) EndLeaked() (rows int64, leaked bool) {
	if isDone(s.ctx.Done()) || s.ended.Swap(true) {
		return 0, false
	}
	s.out.leaked = true
	s.op.end(&s.out)
	return 0, true
}

// Waited enters into the account of the task in ctx how long it waited for a free
// connection. The pool's name is that of [WithPoolName], or that of the server which the
// last call named.
func (t *Tracer) Waited(ctx context.Context, d time.Duration) {
	if l := ledger.FromContext(ctx); l != nil && d > 0 {
		l.Waited(t.lastDatabase().pool, d)
	}
}

// TxState is what a session reports of its transaction.
type TxState uint8

const (
	// TxNone is that of a session without a transaction. How the one ended that it had is
	// not known: it is lost.
	TxNone TxState = iota
	// TxOpen is that of a session in a transaction.
	TxOpen
	// TxCommitted is that of a session whose transaction was committed.
	TxCommitted
	// TxRolledBack is that of a session whose transaction was rolled back.
	TxRolledBack
)

// Transaction records whether the session is in a transaction now. It is for clients that
// know that of each session; for those that know of BEGIN and COMMIT only, their
// operations show enough. A state that is known already changes nothing.
func (t *Tracer) Transaction(ctx context.Context, session any, state TxState) {
	if session == nil {
		return
	}
	o := txLost
	switch state {
	case TxCommitted:
		o = txCommit
	case TxRolledBack:
		o = txRollback
	}
	tx := t.sessions.get(session)
	switch {
	case state == TxOpen && tx == nil:
		db := t.lastDatabase().database
		tx = &transaction{db: db, ctx: ctx}
		if t.sessions.open(session, tx) {
			tx.begin(&operation{}, nil, db.time())
		}
	case state != TxOpen && tx != nil:
		t.sessions.close(session)
		tx.endNow(o)
	}
}

// ObservePool registers the metrics of a pool of connections by the names that those of
// [Open] have. stats is called when they are collected; from it come the numbers of
// connections, waits, and connections that were closed. The pool's server is that of the
// options. The returned function unregisters the metrics; it is never nil and may be called
// more than once.
func (t *Tracer) ObservePool(stats func() sql.DBStats) (stop func(), err error) {
	if stats == nil {
		return func() {}, errors.New("otdb: ObservePool: the function is nil")
	}
	_, unregister, err := t.base.observeStats(t.cfg, func() (s sql.DBStats) {
		defer scope.Guard("the function given to Tracer.ObservePool")
		return stats()
	})
	return func() { instrument.Handle(unregister()) }, err
}

// sessions are those that have a transaction, of which a client need not report the end.
type sessions struct {
	n   atomic.Int64
	set sync.Map // any → *transaction
}

// maxSessions bounds what clients leave behind that close connections in a transaction.
const maxSessions = 10_000

func (ss *sessions) get(session any) *transaction {
	if ss.n.Load() == 0 {
		return nil
	}
	defer scope.Guard("the session of a call")
	tx, _ := ss.set.Load(session)
	t, _ := tx.(*transaction)
	return t
}

// open reports whether the transaction is that of the session from now on.
func (ss *sessions) open(session any, t *transaction) bool {
	defer scope.Guard("the session of a call") // it need not be comparable
	if ss.n.Add(1) > maxSessions {
		ss.n.Add(-1)
		return false
	}
	opened := false
	defer func() {
		if !opened {
			ss.n.Add(-1)
		}
	}()
	_, known := ss.set.LoadOrStore(session, t)
	opened = !known
	return opened
}

func (ss *sessions) close(session any) {
	if _, ok := ss.set.LoadAndDelete(session); ok {
		ss.n.Add(-1)
	}
}

// parameterised stands for arguments of which only the number counts.
var parameterised = make([]driver.NamedValue, 1)

// arguments returns the arguments of a call as database/sql has them, as far as they are
// looked at, without pgx's options in front of them.
func (db *database) arguments(args []any) []driver.NamedValue {
	for len(args) > 0 && isCallOption(args[0]) {
		args = args[1:]
	}
	switch {
	case len(args) == 0:
		return nil
	case db.cfg.parameters == nil:
		return parameterised
	}
	named := make([]driver.NamedValue, len(args))
	for i, v := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return named
}
