package migrate

type Migrate struct{}

func New(sourceURL, databaseURL string) (*Migrate, error) { return nil, nil }
