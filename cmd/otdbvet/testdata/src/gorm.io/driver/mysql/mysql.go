package mysql

import "gorm.io/gorm"

type Config struct {
	DriverName, DSN string
	Conn            any
	Simple          bool
}
type Dialector struct{ *Config }

func (Dialector) Name() string       { return "" }
func Open(dsn string) gorm.Dialector { return &Dialector{&Config{DSN: dsn}} }
func New(c Config) gorm.Dialector    { return &Dialector{&c} }
