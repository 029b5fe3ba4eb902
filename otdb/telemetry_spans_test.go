package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/errs"
)

// user is what the tests read.
type user struct {
	id    int
	email string
}

func readUsers(t *testing.T, rows *sql.Rows) (users []user) {
	t.Helper()
	defer rows.Close()
	for rows.Next() {
		var u user
		if err := rows.Scan(&u.id, &u.email); err != nil {
			t.Fatal(err)
		}
		users = append(users, u)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return users
}

func TestSpanOfConnect(t *testing.T) {
	for _, s := range []system{sqlite, postgres, realPostgres} {
		t.Run(s.name, func(t *testing.T) {
			driverName, dsn, conn := s.prepare(t)
			r := newRig(t)
			db := r.open(driverName, dsn)
			ctx, task := r.start("task")
			if err := db.PingContext(ctx); err != nil {
				t.Fatal(err)
			}
			task.End()
			r.wantSpans(span{name: "CONNECT", parent: "task", start: conn.with(attrs{"db.operation.name": "CONNECT"})})
			r.wantDurations()
			r.wantNothingOf("canary")
		})
	}
}

func TestSpanOfExec(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		ctx, task := r.start("task")
		defer task.End()
		if _, err := db.ExecContext(ctx, s.insert, 3, "canary-3@example.com"); err != nil {
			t.Fatal(err)
		}
		res, err := db.ExecContext(ctx, s.update)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := res.RowsAffected(); n != 2 || err != nil {
			t.Errorf("%d rows affected, %v", n, err)
		}
		_, err = db.ExecContext(ctx, s.insert, 4, "canary-3@example.com")
		if err == nil || !strings.Contains(err.Error(), "otdb_users") {
			t.Fatalf("err = %v", err)
		}
		insert := conn.with(attrs{"db.query.summary": "INSERT otdb_users", "db.query.text": s.insert})
		r.wantSpans(
			span{name: "INSERT otdb_users", parent: "task", start: insert},
			span{name: "UPDATE otdb_users", parent: "task", start: conn.with(attrs{
				"db.query.summary": "UPDATE otdb_users", "db.query.text": s.updateText,
			})},
			span{name: "INSERT otdb_users", parent: "task", start: insert, err: err, end: attrs{
				"error.type": s.duplicate, "db.response.status_code": s.duplicate,
			}},
		)
		r.wantDurations()
	})
}

func TestSpanOfQuery(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		rows, err := db.QueryContext(context.Background(), s.query, 3)
		if err != nil {
			t.Fatal(err)
		}
		r.wantSpans() // until the end of the rows
		want := []user{{1, "canary-1@example.com"}, {2, "canary-2@example.com"}}
		if users := readUsers(t, rows); len(users) != 2 || users[0] != want[0] || users[1] != want[1] {
			t.Errorf("read %v", users)
		}
		selected := span{name: "SELECT otdb_users", start: conn.with(attrs{"db.query.summary": "SELECT otdb_users", "db.query.text": s.query})}
		r.wantSpans(selected)

		// Rows that are closed early.
		if rows, err = db.QueryContext(context.Background(), s.query, 3); err != nil {
			t.Fatal(err)
		}
		rows.Next()
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		r.wantSpans(selected)
		if err := rows.Close(); err != nil { // again
			t.Fatal(err)
		}
		r.wantSpans()
		r.wantDurations()
	})
}

func TestSpanOfQueryRowWithoutRows(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		var email string
		if err := db.QueryRowContext(context.Background(), s.none, 404).Scan(&email); err != sql.ErrNoRows {
			t.Errorf("err = %v", err)
		}
		r.wantSpans(span{name: "SELECT otdb_users", start: conn.with(attrs{
			"db.query.summary": "SELECT otdb_users", "db.query.text": s.none,
		})})
		r.wantDurations()
	})
}

func TestSpanOfPreparedStatements(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		ctx, task := r.start("task")
		defer task.End()
		st, err := db.PrepareContext(ctx, s.query)
		if err != nil {
			t.Fatal(err)
		}
		start := conn.with(attrs{"db.query.summary": "SELECT otdb_users", "db.query.text": s.query})
		r.wantSpans(span{name: "PREPARE", parent: "task", start: start.with(attrs{"db.operation.name": "PREPARE"})})
		for range 2 {
			rows, err := st.QueryContext(ctx, 3)
			if err != nil {
				t.Fatal(err)
			}
			if users := readUsers(t, rows); len(users) != 2 {
				t.Errorf("read %v", users)
			}
			r.wantSpans(span{name: "SELECT otdb_users", parent: "task", start: start})
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}

		if st, err = db.PrepareContext(ctx, s.insert); err != nil {
			t.Fatal(err)
		}
		r.takeSpans()
		if _, err := st.ExecContext(ctx, 3, "canary-3@example.com"); err != nil {
			t.Fatal(err)
		}
		_, err = st.ExecContext(ctx, 4, "canary-3@example.com")
		start = conn.with(attrs{"db.query.summary": "INSERT otdb_users", "db.query.text": s.insert})
		r.wantSpans(
			span{name: "INSERT otdb_users", parent: "task", start: start},
			span{name: "INSERT otdb_users", parent: "task", start: start, err: err, end: attrs{
				"error.type": s.duplicate, "db.response.status_code": s.duplicate,
			}},
		)
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}

		// Text without a placeholder is sanitised, as it is everywhere.
		if st, err = db.PrepareContext(ctx, s.update); err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		r.wantSpans(span{name: "PREPARE", parent: "task", start: conn.with(attrs{
			"db.operation.name": "PREPARE", "db.query.summary": "UPDATE otdb_users", "db.query.text": s.updateText,
		})})
		r.wantDurations()
	})
}

func TestSpanOfErrorInTheMiddleOfRows(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		rows, err := db.QueryContext(context.Background(), s.midway)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		read := 0
		for rows.Next() {
			read++
		}
		if rows.Err() == nil || read != 2 {
			t.Fatalf("read %d rows, %v", read, rows.Err())
		}
		r.wantSpans(span{
			name:  s.midwaySummary,
			start: conn.with(attrs{"db.query.summary": s.midwaySummary, "db.query.text": s.midwayText}),
			end:   attrs{"error.type": s.midwayCode, "db.response.status_code": s.midwayCode},
			err:   rows.Err(),
		})
		r.wantDurations()
	})
}

func TestSpanOfMistakenStatement(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		_, err := db.QueryContext(context.Background(), "SELEC 'canary'")
		if err == nil {
			t.Fatal("no error")
		}
		got := r.takeSpans()
		if len(got) != 1 {
			t.Fatalf("%d spans", len(got))
		}
		end := make(map[string]string)
		for _, kv := range got[0].Attributes() {
			end[string(kv.Key)] = kv.Value.String()
		}
		if end["error.type"] != s.syntax || end["db.response.status_code"] != s.syntax {
			t.Errorf("attributes %v", end)
		}
		r.wantDurations()
	})
}

func TestSpansOfTransactions(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		ctx, task := r.start("task")
		defer task.End()
		lifecycle := func(name string) span {
			return span{name: name, parent: "task", start: conn.with(attrs{"db.operation.name": name})}
		}
		insert := span{name: "INSERT otdb_users", parent: "task", start: conn.with(attrs{
			"db.query.summary": "INSERT otdb_users", "db.query.text": s.insert,
		})}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(ctx, s.insert, 3, "canary-3@example.com"); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		r.wantSpans(lifecycle("BEGIN"), insert, lifecycle("COMMIT"))

		if tx, err = db.BeginTx(ctx, nil); err != nil {
			t.Fatal(err)
		}
		_, err = tx.ExecContext(ctx, s.insert, 4, "canary-3@example.com")
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		insert.err, insert.end = err, attrs{"error.type": s.duplicate, "db.response.status_code": s.duplicate}
		r.wantSpans(lifecycle("BEGIN"), insert, lifecycle("ROLLBACK"))

		if err := tx.Rollback(); err != sql.ErrTxDone { // does not reach the driver
			t.Errorf("err = %v", err)
		}
		r.wantSpans()
		r.wantDurations()
	})
}

func TestSpansOfAllOperations(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		ctx, task := r.start("task")
		defer task.End()
		if err := db.PingContext(ctx); err != nil {
			t.Fatal(err)
		}
		lifecycle := func(name string) span {
			return span{name: name, parent: "task", start: conn.with(attrs{"db.operation.name": name})}
		}
		want := []span{lifecycle("PING")}
		if s.resets {
			want = []span{lifecycle("RESET_SESSION"), lifecycle("PING")}
		}
		r.wantSpans(want...)
		r.wantDurations()
	}, WithOperations(OperationPing|OperationResetSession|OperationConnect))
}

// A span is not longer than what its consumer did: here the rows are closed by
// database/sql, some time after the context is done.
func TestSpanOfRowsThatAContextEnds(t *testing.T) {
	for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
		t.Run(want.Error(), func(t *testing.T) {
			r := newRig(t)
			db, err := Open("sqlite3", sqliteFile(t), WithTracerProvider(r.tp), WithMeterProvider(r.mp))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			base, cancel := context.WithCancel(context.Background())
			defer cancel()
			rows, err := db.QueryContext(doneContext{base, want}, "SELECT id FROM otdb_users")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			rows.Next()
			read := time.Now()
			cancel()
			ended := r.waitSpans(2)[1] // the first is that of CONNECT
			if end := ended.EndTime(); end.After(read) {
				t.Errorf("the span ends %v after the last row was read", end.Sub(read))
			}
			_ = rows.Close()
			if err := rows.Err(); err != want {
				t.Errorf("err = %v", err)
			}
			if ended.Status().Description != errs.Message(want) {
				t.Errorf("status %v", ended.Status())
			}
			diff(t, "attributes", lines(without(ended.Attributes(), driverDurationKey)), lines(attrs{
				"db.system.name": "sqlite", "db.namespace": "shop.db", "db.query.summary": "SELECT otdb_users",
				"db.query.text": "SELECT id FROM otdb_users", "error.type": errs.Classify(want).Type,
			}.slice()))
			r.wantDurations()
		})
	}
}

// doneContext is a context with an error of its choice.
type doneContext struct {
	context.Context
	err error
}

func (c doneContext) Err() error {
	if c.Context.Err() == nil {
		return nil
	}
	return c.err
}

func TestConnectThatFails(t *testing.T) {
	const secret = "canary-pass"
	refusing := newBackend(t)
	refusing.refuse = refusal("canary-user")
	gone := newBackend(t)
	_ = gone.listener.Close()
	for _, test := range []struct {
		name, dsn string
		conn      attrs
		end       attrs
	}{
		{
			"refused by the server",
			strings.Replace(refusing.dsn(""), "worker:canary-password", "canary-user:"+secret, 1),
			refusing.attrs(),
			attrs{"error.type": "28P01", "db.response.status_code": "28P01"},
		},
		{
			"no server",
			strings.Replace(gone.dsn(""), "worker:canary-password", "canary-user:"+secret, 1),
			gone.attrs(),
			attrs{"error.type": "*net.OpError"},
		},
		{
			"bad port", "postgres://canary-user:" + secret + "@canary-host:54x2/canary-db?sslmode=disable",
			attrs{"db.system.name": "postgresql"}, nil,
		},
		{
			"bad parameter", "host=canary-host user=canary-user password=" + secret + " dbname=canary-db sslmode=canary",
			nil, nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			bare, err := sql.Open("pgx", test.dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer bare.Close()
			want := bare.PingContext(context.Background())

			r := newRig(t)
			db := r.open("pgx", test.dsn)
			err = db.PingContext(context.Background())
			if err == nil || want == nil || err.Error() != want.Error() {
				t.Errorf("err = %v, from the bare driver %v", err, want)
			}
			got := r.spans()
			if len(got) != 1 || got[0].Name() != "CONNECT" {
				t.Fatalf("spans %v", got)
			}
			if test.end != nil {
				r.wantSpans(span{name: "CONNECT", start: test.conn.with(attrs{"db.operation.name": "CONNECT"}), end: test.end, err: err})
			}
			r.wantDurations()
			secrets := []string{secret, "canary-user"}
			if test.end == nil {
				secrets = append(secrets, "54x2", "sslmode")
			}
			if test.conn != nil && test.end == nil {
				secrets = append(secrets, "canary")
			}
			r.wantNothingOf(secrets...)
		})
	}
}

// The error that comes back is the driver's own, and not a copy of it; what is
// exported of it holds neither the host nor the user.
func TestErrorsAreTheDriversOwn(t *testing.T) {
	for _, want := range []error{
		&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "canary-host", Server: "canary-server:53", IsNotFound: true}},
		&pgconn.PgError{Severity: "FATAL", Code: "28000", Message: `no pg_hba.conf entry for host "canary-host", user "canary-user"`},
		driver.ErrBadConn,
		io.ErrUnexpectedEOF,
	} {
		r := newRig(t)
		db := OpenDB(brokenConnector{want}, r.options()...)
		if err := db.PingContext(context.Background()); err != want {
			t.Errorf("err = %v", err)
		}
		class := errs.Classify(want)
		failed := span{
			name: "CONNECT", start: attrs{"db.system.name": "other_sql", "db.operation.name": "CONNECT"},
			end: attrs{"error.type": class.Type}, err: want,
		}
		if class.Code != "" {
			failed.end["db.response.status_code"] = class.Code
		}
		attempts := 1
		if want == driver.ErrBadConn {
			attempts = 3 // which database/sql makes: each is a span
		}
		r.wantSpans(slices.Repeat([]span{failed}, attempts)...)
		r.wantDurations()
		r.wantNothingOf("canary")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

type brokenConnector struct{ err error }

func (c brokenConnector) Connect(context.Context) (driver.Conn, error) { return nil, c.err }
func (c brokenConnector) Driver() driver.Driver                        { return brokenDriver(c) }

type brokenDriver struct{ err error }

func (d brokenDriver) Open(string) (driver.Conn, error) { return nil, d.err }

func TestSamplerSeesStartAttributesAndDrops(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		ctx, task := r.start("task")
		defer task.End()
		want := conn.with(attrs{"db.query.summary": "SELECT otdb_users", "db.query.text": s.query})
		seen := 0
		r.sample(func(p sdktrace.SamplingParameters) sdktrace.SamplingDecision {
			seen++
			if p.Name != "SELECT otdb_users" || p.Kind.String() != "client" {
				t.Errorf("sampler saw %q, %v", p.Name, p.Kind)
			}
			diff(t, "attributes", lines(p.Attributes), lines(want.slice()))
			return sdktrace.Drop
		})
		rows, err := db.QueryContext(ctx, s.query, 3)
		if err != nil {
			t.Fatal(err)
		}
		readUsers(t, rows)
		if seen != 1 {
			t.Errorf("the sampler was asked %d times", seen)
		}
		r.wantSpans()
	})
}
