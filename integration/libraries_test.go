package integration

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/golang-migrate/migrate/v4"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"go.opentelemetry.io/otel/trace"
	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"
	gormlogger "gorm.io/gorm/logger"

	"github.com/taskspan/taskspan/integration/internal/observe"
	"github.com/taskspan/taskspan/otdb"
)

// library runs a program of a library that takes a *sql.DB, and fails the test
// if a span lacks what the library's statements have.
func library(t *testing.T, e engine, name string, p program) {
	t.Helper()
	e.verifies(t, name+" runs unchanged")
	rec := alike(t, e, p)
	rec.CheckEnded(t)
	statements := 0
	for _, s := range rec.Describe(t) {
		if strings.Contains(s, "db.query.text=") {
			statements++
		}
	}
	if statements == 0 {
		t.Error("no statement was observed")
	}
	t.Logf("%s: %d statements", name, statements)
}

type author struct {
	ID    int64  `db:"id" bun:"id,pk,autoincrement"`
	Name  string `db:"name" bun:"name,unique" gorm:"unique"`
	Books []book `db:"-" bun:"rel:has-many,join:id=author_id"`
}

type book struct {
	ID       int64  `db:"id" bun:"id,pk,autoincrement"`
	AuthorID int64  `db:"author_id" bun:"author_id"`
	Title    string `db:"title" bun:"title"`
}

func TestSqlxRunsUnchanged(t *testing.T) {
	library(t, pgx, "sqlx", func(t *testing.T, db *sql.DB, j *journal) {
		ctx := t.Context()
		x := sqlx.NewDb(db, "pgx")
		x.MustExecContext(ctx, "CREATE TABLE authors (id SERIAL PRIMARY KEY, name TEXT UNIQUE)")
		res, err := x.NamedExecContext(ctx, "INSERT INTO authors (name) VALUES (:name)", []author{{Name: "Ada"}, {Name: "Grace"}})
		j.note("%v", err)
		if err == nil {
			n, err := res.RowsAffected()
			j.note("%d %v", n, err)
		}
		var all []author
		j.note("%v", x.SelectContext(ctx, &all, "SELECT * FROM authors ORDER BY id"))
		j.note("%+v", all)
		var one author
		j.failure("get", x.GetContext(ctx, &one, "SELECT * FROM authors WHERE name = $1", "nobody"))
		query, args, err := sqlx.In("SELECT * FROM authors WHERE name IN (?)", []string{"Ada", "Grace"})
		j.note("%s %v", query, err)
		j.note("%v %+v", x.SelectContext(ctx, &all, x.Rebind(query), args...), all)
		tx := x.MustBeginTx(ctx, nil)
		_, err = tx.NamedExecContext(ctx, "INSERT INTO authors (name) VALUES (:name)", author{Name: "Ada"})
		j.failure("duplicate", err)
		j.failure("rollback", tx.Rollback())
		stmt, err := x.PrepareNamedContext(ctx, "SELECT id FROM authors WHERE name = :name")
		j.note("%v", err)
		var id int64
		j.note("%v %d", stmt.GetContext(ctx, &id, author{Name: "Grace"}), id)
		j.failure("close", stmt.Close())
	})
}

// A library that opens databases by the name of a driver is given a registered one.
func TestSqlxWithARegisteredDriver(t *testing.T) {
	pgx.verifies(t, "sqlx runs unchanged")
	rec := observe.New()
	name := must[string](t)(otdb.Register("pgx", rec.Options()...))
	sqlx.BindDriver(name, sqlx.DOLLAR)
	dsn, address, namespace := pgx.open(t)
	db := must[*sqlx.DB](t)(sqlx.ConnectContext(t.Context(), name, dsn))
	defer db.Close()
	stop := must[func()](t)(otdb.ObservePool(db.DB, rec.Options()...))
	defer stop()
	var n int
	if err := db.GetContext(t.Context(), &n, db.Rebind("SELECT CAST(? AS INT)"), 42); err != nil || n != 42 {
		t.Error(n, err)
	}
	diff(t, "spans", []string{"CONNECT", `SELECT | db.query.text="SELECT CAST($1 AS INT)"`}, rec.Describe(t, pgx.target(address, namespace)...))
	if _, ok := rec.Collect(t)["db.client.connection.count"]; !ok {
		t.Error("the pool has no metrics")
	}
}

func TestGormRunsUnchanged(t *testing.T) {
	library(t, pgx, "GORM", func(t *testing.T, db *sql.DB, j *journal) {
		g := must[*gorm.DB](t)(gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: db}),
			&gorm.Config{TranslateError: true, Logger: gormlogger.Discard}))
		g = g.WithContext(t.Context())
		j.note("%v", g.AutoMigrate(&author{}, &book{}))
		j.note("%v", g.AutoMigrate(&author{}, &book{})) // finds everything there
		j.note("%v", g.Create(&author{Name: "Ada", Books: []book{{Title: "Notes"}, {Title: "Letters"}}}).Error)
		var found []author
		j.note("%v %+v", g.Preload("Books").Find(&found, "name = ?", "Ada").Error, found)
		err := g.Create(&author{Name: "Ada"}).Error
		j.note("translated: %t", errors.Is(err, gorm.ErrDuplicatedKey))
		j.failure("duplicate", err)
		j.note("not found: %t", errors.Is(g.First(&author{}, 99).Error, gorm.ErrRecordNotFound))
		j.note("%v", g.Transaction(func(tx *gorm.DB) error {
			if err := tx.Model(&book{}).Where("author_id = ?", found[0].ID).Update("title", "Lost").Error; err != nil {
				return err
			}
			return errFailed
		}))
		var titles []string
		j.note("%v %v", g.Model(&book{}).Order("id").Pluck("title", &titles).Error, titles)
	})
}

func TestBunRunsUnchanged(t *testing.T) {
	library(t, pgx, "bun", func(t *testing.T, db *sql.DB, j *journal) {
		ctx := t.Context()
		b := bun.NewDB(db, pgdialect.New())
		for _, model := range []any{(*author)(nil), (*book)(nil)} {
			_, err := b.NewCreateTable().Model(model).Exec(ctx)
			j.note("%v", err)
		}
		ada := &author{Name: "Ada"}
		_, err := b.NewInsert().Model(ada).Exec(ctx)
		j.note("%d %v", ada.ID, err)
		_, err = b.NewInsert().Model(&[]book{{AuthorID: ada.ID, Title: "Notes"}, {AuthorID: ada.ID, Title: "Letters"}}).Exec(ctx)
		j.note("%v", err)
		var found []author
		j.note("%v %+v", b.NewSelect().Model(&found).Relation("Books").Where("name = ?", "Ada").Scan(ctx), found)
		_, err = b.NewInsert().Model(&author{Name: "Ada"}).Exec(ctx)
		j.failure("duplicate", err)
		j.note("%v", b.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.NewDelete().Model((*book)(nil)).Where("author_id = ?", ada.ID).Exec(ctx)
			j.note("%v", err)
			return errFailed
		}))
		n, err := b.NewSelect().Model((*book)(nil)).Count(ctx)
		j.note("%d %v", n, err)
	})
}

func TestGooseRunsUnchanged(t *testing.T) {
	library(t, pgx, "goose", func(t *testing.T, db *sql.DB, j *journal) {
		ctx := t.Context()
		p := must[*goose.Provider](t)(goose.NewProvider(goose.DialectPostgres, db, fstest.MapFS{
			"1_authors.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE authors (id INT);\nINSERT INTO authors VALUES (1);\n-- +goose Down\nDROP TABLE authors;\n")},
			"2_function.sql": {Data: []byte("-- +goose Up\n-- +goose StatementBegin\nDO $$ BEGIN PERFORM 1; END $$;\n-- +goose StatementEnd\n-- +goose Down\nSELECT 1;\n")},
			"3_broken.sql":   {Data: []byte("-- +goose Up\nCREATE TABLE authors (id INT);\n-- +goose Down\nSELECT 1;\n")},
		}))
		for range 2 {
			results, err := p.UpTo(ctx, 2)
			j.note("%d up: %v", len(results), err)
		}
		_, err := p.Up(ctx)
		var partial *goose.PartialError
		if errors.As(err, &partial) {
			err = partial.Err
		}
		j.note("broken: %s", sqlState(err))
		version, err := p.GetDBVersion(ctx)
		j.note("%d %v", version, err)
		_, err = p.DownTo(ctx, 0)
		j.note("%v", err)
		j.query(ctx, db, "SELECT COUNT(*) AS tables FROM information_schema.tables WHERE table_name = 'authors'")
	})
}

func TestGolangMigrateRunsUnchanged(t *testing.T) {
	library(t, pgx, "golang-migrate", func(t *testing.T, db *sql.DB, j *journal) {
		d, err := migratepgx.WithInstance(db, &migratepgx.Config{})
		if err != nil {
			t.Fatal(err)
		}
		source, err := iofs.New(fstest.MapFS{
			"m/1_authors.up.sql":   {Data: []byte("CREATE TABLE authors (id INT); INSERT INTO authors VALUES (1);")},
			"m/1_authors.down.sql": {Data: []byte("DROP TABLE authors;")},
			"m/2_broken.up.sql":    {Data: []byte("CREATE TABLE authors (id INT);")},
		}, "m")
		if err != nil {
			t.Fatal(err)
		}
		m := must[*migrate.Migrate](t)(migrate.NewWithInstance("iofs", source, "pgx5", d))
		j.note("%v", m.Migrate(1))
		j.failure("broken", m.Up())
		version, dirty, err := m.Version()
		j.note("%d %t %v", version, dirty, err)
		j.note("%v", m.Force(1))
		j.note("%v", m.Down())
		sourceErr, databaseErr := m.Close()
		j.note("%v %v", sourceErr, databaseErr)
	})
}

// riverSQLite is SQLite with the settings that River recommends.
func riverSQLite() engine {
	e := mattn
	e.open = func(tb testing.TB) (string, string, string) {
		dsn, address, namespace := mattn.open(tb)
		return dsn + "?_busy_timeout=10000&_journal_mode=WAL&_txlock=immediate", address, namespace
	}
	return e
}

type riverJob struct {
	Name string `json:"name"`
}

func (riverJob) Kind() string { return "greeting" }

// riverAtOnce retries at once.
type riverAtOnce struct{}

func (riverAtOnce) NextRetry(*rivertype.JobRow) time.Time { return time.Now() }

// riverWorks has River work two jobs on its pool, of which the second fails once:
// three attempts, each of which runs f. It returns when River has stopped.
func riverWorks(t *testing.T, db *sql.DB, j *journal, f func(context.Context, riverJob) error) {
	t.Helper()
	ctx := t.Context()
	db.SetMaxOpenConns(1)
	driver := riversqlite.New(db)
	silent := slog.New(slog.DiscardHandler)
	migrator := must[*rivermigrate.Migrator[*sql.Tx]](t)(rivermigrate.New(driver, &rivermigrate.Config{Logger: silent}))
	for range 2 {
		migrated, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range migrated.Versions {
			j.note("migrated to %d: %s", v.Version, v.Name)
		}
	}
	mustExec(t, db, "CREATE TABLE greetings (name TEXT)")
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[riverJob]) error {
		if err := f(ctx, job.Args); err != nil {
			return err
		}
		if job.Args.Name == "Grace" && job.Attempt == 1 {
			return errFailed
		}
		return nil
	}))
	client := must[*river.Client[*sql.Tx]](t)(river.NewClient(driver, &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2}},
		Workers:           workers,
		FetchCooldown:     5 * time.Millisecond,
		FetchPollInterval: 10 * time.Millisecond,
		RetryPolicy:       riverAtOnce{},
		Logger:            silent,
		TestOnly:          true,
	}))
	events, unsubscribe := client.Subscribe(river.EventKindJobCompleted, river.EventKindJobFailed)
	defer unsubscribe()
	if err := client.Start(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := client.Insert(ctx, riverJob{"Ada"}, nil)
	j.note("insert: %v", err)
	tx := must[*sql.Tx](t)(db.BeginTx(ctx, nil))
	_, err = client.InsertTx(ctx, tx, riverJob{"Grace"}, nil)
	j.note("insert in a transaction: %v, %v", err, tx.Commit())

	timeout := time.After(time.Minute)
	completed, failed := 0, 0
	for completed < 2 {
		select {
		case e := <-events:
			if e.Kind == river.EventKindJobFailed {
				failed++
			} else {
				completed++
			}
		case <-timeout:
			t.Errorf("%d jobs completed, %d failed", completed, failed)
			completed = 2 // stop it all the same
		}
	}
	j.note("%d failed", failed)
	j.note("stop: %v", client.Stop(ctx))
	for _, id := range []int64{1, 2} {
		job, err := client.JobGet(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		j.note("%d: %s %s after %d attempts", job.ID, job.EncodedArgs, job.State, job.Attempt)
		for _, e := range job.Errors {
			j.note("\tattempt %d: %s", e.Attempt, e.Error)
		}
	}
}

func TestRiverRunsUnchanged(t *testing.T) {
	library(t, riverSQLite(), "River", func(t *testing.T, db *sql.DB, j *journal) {
		riverWorks(t, db, j, func(ctx context.Context, job riverJob) error {
			_, err := db.ExecContext(ctx, "INSERT INTO greetings (name) VALUES (?)", job.Name)
			return err
		})
		j.query(t.Context(), db, "SELECT name, COUNT(*) AS attempts FROM greetings GROUP BY name ORDER BY name")
	})
}

// River asks its database for jobs all the time. Where a span has to have a
// parent, these statements make no traces: what the jobs do is all there is.
func TestRiverPollsWithoutTraces(t *testing.T) {
	e := riverSQLite()
	e.verifies(t, "River polls without traces of its own (WithRequireParent)")
	rec := observe.New()
	runner := rec.Runner(t)
	dsn, address, namespace := e.open(t)
	db := must[*sql.DB](t)(otdb.Open(e.driverName, dsn, rec.Options(otdb.WithRequireParent())...))
	riverWorks(t, db, &journal{engine: e, forget: strings.NewReplacer()}, func(ctx context.Context, job riverJob) error {
		return runner.Run(ctx, "greeting", func(ctx context.Context) error {
			_, err := db.ExecContext(ctx, "INSERT INTO greetings (name) VALUES (?)", job.Name)
			return err
		})
	})
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	insert := `INSERT greetings | db.query.text="INSERT INTO greetings (name) VALUES (?)"`
	diff(t, "spans", []string{insert, insert, insert}, rec.Describe(t, e.target(address, namespace)...))
	tasks := make(map[trace.SpanID]bool)
	for _, s := range rec.Spans(observe.ScopeWorker) {
		tasks[s.SpanContext().SpanID()] = true
	}
	for _, s := range rec.Spans(observe.ScopeDatabase) {
		if !tasks[s.Parent().SpanID()] {
			t.Errorf("the span %q is not one of a task", s.Name())
		}
	}
	if len(tasks) != 3 {
		t.Errorf("%d tasks, want 3", len(tasks))
	}
	rec.CheckEnded(t)
	// The metrics have River's own statements all the same.
	points := uint64(0)
	for _, p := range rec.DurationPoints(t) {
		points += p.Count
	}
	if points < 20 {
		t.Errorf("%d operations in the metrics", points)
	}
}
