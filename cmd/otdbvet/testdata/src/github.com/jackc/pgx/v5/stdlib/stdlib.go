package stdlib

import (
	"database/sql"
	"database/sql/driver"
)

type Config struct{}
type Option func()
type Conn struct{}

func GetConnector(c Config, opts ...Option) driver.Connector { return nil }
func OpenDB(c Config, opts ...Option) *sql.DB                { return nil }
func OpenDBFromPool(pool any, opts ...Option) *sql.DB        { return nil }
