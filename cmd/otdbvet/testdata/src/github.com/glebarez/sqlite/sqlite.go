package sqlite

import "gorm.io/gorm"

const DriverName = "sqlite"

type Dialector struct {
	DriverName, DSN string
	Conn            any
}

func (Dialector) Name() string       { return "" }
func Open(dsn string) gorm.Dialector { return &Dialector{DSN: dsn} }
