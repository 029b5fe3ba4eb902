package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestDSN(t *testing.T) {
	for text, want := range map[string]dsn{
		"":                                   {},
		"index.db":                           {driver: "sqlite3", source: "file:index.db?_busy_timeout=5000&_foreign_keys=on", name: "the SQLite file of -dsn"},
		"/tmp/a?b#c%.db":                     {driver: "sqlite3", source: "file:/tmp/a%3fb%23c%25.db?_busy_timeout=5000&_foreign_keys=on", name: "the SQLite file of -dsn"},
		"file::memory:":                      {driver: "sqlite3", source: "file::memory:", name: "the SQLite file of -dsn"},
		"postgres://u:p@db.example/d":        {driver: "pgx", source: "postgres://u:p@db.example/d", name: "PostgreSQL at db.example:5432"},
		"postgresql://[::1]:5433/d":          {driver: "pgx", source: "postgresql://[::1]:5433/d", name: "PostgreSQL at [::1]:5433"},
		"postgres://u:1234/word@db.example/": {driver: "pgx", source: "postgres://u:1234/word@db.example/", name: "the PostgreSQL database"},
		"postgres://u:1234#word@db.example/": {driver: "pgx", source: "postgres://u:1234#word@db.example/", name: "the PostgreSQL database"},
	} {
		if got, err := parseDSN(text); err != nil || got != want {
			t.Errorf("parseDSN(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                         "0 s",
		42:                        "42 ns",
		1500:                      "1.50 µs",
		31_400 * time.Nanosecond:  "31.4 µs",
		314 * time.Microsecond:    "314 µs",
		1810 * time.Microsecond:   "1.81 ms",
		1234 * time.Millisecond:   "1.23 s",
		3*time.Minute + 1_000_000: "180 s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestShare(t *testing.T) {
	if got := share(time.Second, 4*time.Second); got != 0.25 {
		t.Errorf("share = %v", got)
	}
	if got := share(time.Second, 0); got != 0 {
		t.Errorf("share of nothing = %v", got)
	}
}

func TestFirstLine(t *testing.T) {
	for text, want := range map[string]string{
		"# example.com/a\n\n  a.go:1: wrong  \nmore\n":                                      "a.go:1: wrong",
		"go: downloading example.com/a v1.2.3\ngo: finding example.com/b\ngo: no network\n": "go: no network",
		"go: downloading example.com/a v1.2.3\n":                                            "no reason given",
		"":                                                                                  "no reason given",
		"\n":                                                                                "no reason given",
	} {
		if got := firstLine(text); got != want {
			t.Errorf("firstLine(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestUnknownFlag(t *testing.T) {
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.String("dsn", "", "")
	set.String("serve", "", "")
	for given, want := range map[string]string{
		"dsnpostgres://u:" + canary + "@h/db": "-dsn…",
		"dsn" + canary:                        "-dsn…",
		"database":                            "-datab…",
		"v":                                   "-v",
		"no-op":                               "-no-op",
		"7" + canary:                          "-…",
		"ünïcödé":                             "-…",
	} {
		if got := unknownFlag(set, given); got != want {
			t.Errorf("unknownFlag(%q) = %q, want %q", given, got, want)
		}
	}
}

func TestModuleRoot(t *testing.T) {
	dir := smallModule(t)
	t.Chdir(filepath.Join(dir, "in"))
	got, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if got, err = filepath.EvalSymlinks(got); err != nil {
		t.Fatal(err)
	}
	want, err := filepath.EvalSymlinks(dir)
	if err != nil || got != want {
		t.Errorf("moduleRoot = %q, want %q, %v", got, want, err)
	}
	t.Chdir(t.TempDir())
	if got, err := moduleRoot(); err == nil {
		t.Errorf("moduleRoot = %q outside of any module", got)
	}
}

func TestProgress(t *testing.T) {
	var terminal bytes.Buffer
	p := &progress{w: &terminal}
	p.step("listing", 0, 0)
	p.next = time.Now().Add(time.Hour)
	p.step("loading", 2, 3) // too soon after the one before
	p.step("loading", 3, 3) // the end is always shown
	p.clear()
	const line = "\r\x1b[K"
	if got, want := terminal.String(), line+"listing"+line+"loading: 3 of 3"+line; got != want {
		t.Errorf("progress = %q, want %q", got, want)
	}

	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a device, as terminals are
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	for term, want := range map[string]bool{"xterm": true, "dumb": false} {
		t.Setenv("TERM", term)
		if got := newProgress(device).w != nil; got != want {
			t.Errorf("progress with TERM=%s: %t, want %t", term, got, want)
		}
	}

	var file bytes.Buffer
	p = newProgress(&file)
	p.step("listing", 0, 0)
	p.clear()
	if file.Len() > 0 {
		t.Errorf("progress that is not for a terminal = %q", &file)
	}
}
