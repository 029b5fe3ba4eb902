package main

// SQL that both databases take: SQLite knows PostgreSQL's placeholders. The
// tables have names of their own, since the database of -dsn may hold others.
const (
	createPackages = `CREATE TABLE IF NOT EXISTS quickstart_packages (
	id INTEGER PRIMARY KEY,
	path TEXT NOT NULL UNIQUE,
	module TEXT,
	standard BOOLEAN NOT NULL
)`
	createImports = `CREATE TABLE IF NOT EXISTS quickstart_imports (
	importer INTEGER NOT NULL REFERENCES quickstart_packages (id),
	path TEXT NOT NULL,
	PRIMARY KEY (importer, path)
)`

	deleteImports  = `DELETE FROM quickstart_imports`
	deletePackages = `DELETE FROM quickstart_packages`
	insertPackage  = `INSERT INTO quickstart_packages (id, path, module, standard) VALUES ($1, $2, $3, $4)`
	insertImport   = `INSERT INTO quickstart_imports (importer, path) VALUES ($1, $2)`

	selectImports = `SELECT path FROM quickstart_imports ORDER BY importer, path`
	selectPackage = `SELECT id FROM quickstart_packages WHERE path = $1`
	selectJoined  = `SELECT count(*) FROM quickstart_imports i JOIN quickstart_packages p ON p.path = i.path`

	selectMostImported = `SELECT p.path, count(*) AS importers
FROM quickstart_imports i JOIN quickstart_packages p ON p.path = i.path
GROUP BY p.path ORDER BY importers DESC, p.path LIMIT $1`
)
