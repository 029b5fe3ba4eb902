package otelsql

func Register(name string) (string, error) { return name, nil }
