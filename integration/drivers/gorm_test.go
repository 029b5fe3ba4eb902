package drivers

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"
	gormlogger "gorm.io/gorm/logger"

	"github.com/taskspan/taskspan/otdb"
)

// gorm's driver for PostgreSQL is given a database of ours, as docs/migrating.md says.
func TestGormOnPostgres(t *testing.T) {
	for _, dsn := range servers() {
		testGormOnPostgres(t, dsn)
	}
}

func testGormOnPostgres(t *testing.T, dsn string) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	db := otdb.OpenDB(stdlib.GetConnector(*config), r.options()...)
	t.Cleanup(func() { _ = db.Close() })
	g, err := gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: db}), &gorm.Config{Logger: gormlogger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	type Parcel struct {
		ID   int64
		Name string
	}
	if err := g.AutoMigrate(&Parcel{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Migrator().DropTable(&Parcel{}); err != nil {
			t.Error(err)
		}
	})
	r.TakeSpans()
	if err := g.WithContext(t.Context()).Create(&Parcel{Name: "canary"}).Error; err != nil {
		t.Fatal(err)
	}
	var found Parcel
	if err := g.WithContext(t.Context()).First(&found, "name = ?", "canary").Error; err != nil || found.Name != "canary" {
		t.Errorf("found %+v, %v", found, err)
	}
	var names []string
	for _, s := range r.TakeSpans() {
		names = append(names, s.Name())
	}
	wantTexts(t, names, "BEGIN", `INSERT "parcels"`, "COMMIT", `SELECT "parcels"`)
	r.WantNothingOf("canary")
}
