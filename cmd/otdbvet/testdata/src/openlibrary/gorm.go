package openlibrary

import (
	"github.com/glebarez/sqlite"
	mysql "gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

func gormAll(dsn string, pool any) {
	_, _ = gorm.Open(mysql.Open(dsn), &gorm.Config{})           // want `mysql.Open opens a database that is not traced`
	_, _ = gorm.Open(sqlite.Open(dsn), &gorm.Config{})          // want `sqlite.Open opens`
	_, _ = gorm.Open(postgres.Open(dsn))                        // want `postgres.Open opens`
	_, _ = gorm.Open(postgres.Open("host=db"))                  // want `postgres.Open opens`
	_, _ = gorm.Open(postgres.Open("host=db TimeZone=UTC"))     // want `postgres.Open opens`
	_, _ = gorm.Open(postgres.New(postgres.Config{DSN: dsn}))   // want `this postgres.Config opens`
	_, _ = gorm.Open(postgres.New(postgres.Config{Conn: pool})) // it is given a database
	_, _ = gorm.Open(mysql.New(mysql.Config{DriverName: "mysql-otdb", DSN: dsn}))
}
