package drivers

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskspan/taskspan/integration/internal/oteltest"
	"github.com/taskspan/taskspan/otdb"
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
			ctx, task := r.Start("task")
			if err := db.PingContext(ctx); err != nil {
				t.Fatal(err)
			}
			task.End()
			r.wantSpans(span{name: "CONNECT", parent: "task", start: conn.With(attrs{"db.operation.name": "CONNECT"})})
			r.wantDurations()
			r.WantNothingOf("canary")
		})
	}
}

func TestSpanOfExec(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		ctx, task := r.Start("task")
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
		insert := conn.With(attrs{"db.query.summary": "INSERT otdb_users", "db.query.text": s.insert})
		r.wantSpans(
			span{name: "INSERT otdb_users", parent: "task", start: insert},
			span{name: "UPDATE otdb_users", parent: "task", start: conn.With(attrs{
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
		selected := span{name: "SELECT otdb_users", start: conn.With(attrs{"db.query.summary": "SELECT otdb_users", "db.query.text": s.query})}
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
		r.wantSpans(span{name: "SELECT otdb_users", start: conn.With(attrs{
			"db.query.summary": "SELECT otdb_users", "db.query.text": s.none,
		})})
		r.wantDurations()
	})
}

func TestSpanOfPreparedStatements(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		ctx, task := r.Start("task")
		defer task.End()
		st, err := db.PrepareContext(ctx, s.query)
		if err != nil {
			t.Fatal(err)
		}
		start := conn.With(attrs{"db.query.summary": "SELECT otdb_users", "db.query.text": s.query})
		r.wantSpans(span{name: "PREPARE", parent: "task", start: start.With(attrs{"db.operation.name": "PREPARE"})})
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
		r.TakeSpans()
		if _, err := st.ExecContext(ctx, 3, "canary-3@example.com"); err != nil {
			t.Fatal(err)
		}
		_, err = st.ExecContext(ctx, 4, "canary-3@example.com")
		start = conn.With(attrs{"db.query.summary": "INSERT otdb_users", "db.query.text": s.insert})
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
		r.wantSpans(span{name: "PREPARE", parent: "task", start: conn.With(attrs{
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
			start: conn.With(attrs{"db.query.summary": s.midwaySummary, "db.query.text": s.midwayText}),
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
		got := r.TakeSpans()
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
		ctx, task := r.Start("task")
		defer task.End()
		lifecycle := func(name string) span {
			return span{name: name, parent: "task", start: conn.With(attrs{"db.operation.name": name})}
		}
		insert := span{name: "INSERT otdb_users", parent: "task", start: conn.With(attrs{
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
		ctx, task := r.Start("task")
		defer task.End()
		if err := db.PingContext(ctx); err != nil {
			t.Fatal(err)
		}
		lifecycle := func(name string) span {
			return span{name: name, parent: "task", start: conn.With(attrs{"db.operation.name": name})}
		}
		want := []span{lifecycle("PING")}
		if s.resets {
			want = []span{lifecycle("RESET_SESSION"), lifecycle("PING")}
		}
		r.wantSpans(want...)
		r.wantDurations()
	}, otdb.WithOperations(otdb.OperationPing|otdb.OperationResetSession|otdb.OperationConnect))
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
			got := r.Spans()
			if len(got) != 1 || got[0].Name() != "CONNECT" {
				t.Fatalf("spans %v", got)
			}
			if test.end != nil {
				r.wantSpans(span{name: "CONNECT", start: test.conn.With(attrs{"db.operation.name": "CONNECT"}), end: test.end, err: err})
			}
			r.wantDurations()
			secrets := []string{secret, "canary-user"}
			if test.end == nil {
				secrets = append(secrets, "54x2", "sslmode")
			}
			if test.conn != nil && test.end == nil {
				secrets = append(secrets, "canary")
			}
			r.WantNothingOf(secrets...)
		})
	}
}

func TestSamplerSeesStartAttributesAndDrops(t *testing.T) {
	onSystems(t, func(t *testing.T, s system, r *rig, db *sql.DB, conn attrs) {
		ctx, task := r.Start("task")
		defer task.End()
		want := conn.With(attrs{"db.query.summary": "SELECT otdb_users", "db.query.text": s.query})
		seen := 0
		r.Sample(func(p sdktrace.SamplingParameters) sdktrace.SamplingDecision {
			seen++
			if p.Name != "SELECT otdb_users" || p.Kind.String() != "client" {
				t.Errorf("sampler saw %q, %v", p.Name, p.Kind)
			}
			oteltest.Diff(t, "attributes", oteltest.Lines(p.Attributes), oteltest.Lines(want.Slice()))
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
