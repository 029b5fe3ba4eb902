package gorm

type Dialector interface{ Name() string }
type ConnPool interface{ ConnPool() }
type DB struct{}
type Config struct{}

func Open(d Dialector, opts ...any) (*DB, error) { return nil, nil }
