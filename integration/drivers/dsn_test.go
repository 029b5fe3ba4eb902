package drivers

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/otdb"
)

// wholeKind is what stands before the part: a kind and a type.
var wholeKind = regexp.MustCompile(`^(other|data) \(\*\w+\.\w+\)$`)

// The text of an invalid DSN says which part is wrong, as far as the driver does, and
// holds nothing that stands there.
func TestInvalidDSN(t *testing.T) {
	const (
		// c4nary is the user, a part of the password, and the bad value. Spans may have host and database.
		pgURL   = "postgres://c4nary:p-c4nary@h0st:1/shop"
		pgWords = "host=h0st user=c4nary password=p-c4nary dbname=shop "
		mysql   = "c4nary:p-c4nary@tcp(h0st:1)/shop"
	)
	file := filepath.Join(t.TempDir(), "shop.db")
	for _, test := range []struct{ driver, dsn, part string }{
		{"pgx", "postgres://c4nary:p c4nary@h0st:x/shop", "DSN as URL"},
		{"pgx", "postgres://c4nary:c4nary%zz@h0st/shop", "DSN as URL"},
		{"pgx", pgURL + "?sslmode=c4nary", "TLS"},
		{"pgx", pgURL + "?connect_timeout=c4nary", "connect_timeout"},
		{"pgx", pgURL + "?target_session_attrs=c4nary", "target_session_attrs"},
		{"pgx", pgURL + "?channel_binding=c4nary", "channel_binding"},
		{"pgx", pgURL + "?sslcertmode=c4nary", "sslcertmode"},
		{"pgx", pgURL + "?require_auth=c4nary", "require_auth"},
		{"pgx", pgURL + "?min_protocol_version=c4nary", "min_protocol_version"},
		{"pgx", pgURL + "?service=c4nary&servicefile=/c4nary", "service"},
		{"pgx", pgURL + "?statement_cache_capacity=c4nary", "statement_cache_capacity"},
		{"pgx", pgURL + "?description_cache_capacity=c4nary", "description_cache_capacity"},
		{"pgx", pgURL + "?default_query_exec_mode=c4nary", "default_query_exec_mode"},
		{"pgx", pgWords + "port=c4nary", "port"},
		{"pgx", pgWords + "port=1,2,3", "number of ports"},
		{"pgx", pgWords + "c4nary", "DSN as keywords and values"},
		{"pgx", pgWords + "options='c4nary", "DSN as keywords and values"},

		{"postgres", "postgres://c4nary:p c4nary@h0st:x/shop", "DSN as URL"},
		{"postgres", "postgres://c4nary:c4nary%zz@h0st/shop", "DSN as URL"},
		{"postgres", pgURL + "?sslmode=c4nary", "sslmode"},
		{"postgres", pgURL + "?sslnegotiation=c4nary", "sslnegotiation"},
		{"postgres", pgURL + "?sslnegotiation=direct&sslmode=disable", "sslmode"},
		{"postgres", pgURL + "?sslrootcert=system&sslmode=require", "sslmode"},
		{"postgres", pgURL + "?sslinline=c4nary", "sslinline"},
		{"postgres", pgURL + "?connect_timeout=c4nary", "connect_timeout"},
		{"postgres", pgURL + "?hostaddr=c4nary", "hostaddr"},
		{"postgres", pgURL + "?target_session_attrs=c4nary", "target_session_attrs"},
		{"postgres", pgURL + "?load_balance_hosts=c4nary", "load_balance_hosts"},
		{"postgres", pgURL + "?max_protocol_version=c4nary", "max_protocol_version"},
		{"postgres", pgURL + "?min_protocol_version=3.2&max_protocol_version=3.0", "min_protocol_version"},
		{"postgres", pgURL + "?ssl_min_protocol_version=c4nary", "ssl_min_protocol_version"},
		{"postgres", pgURL + "?client_encoding=c4nary", "client_encoding"},
		{"postgres", pgURL + "?datestyle=c4nary", "datestyle"},
		{"postgres", pgURL + "?binary_parameters=c4nary", "binary_parameters"},
		{"postgres", pgURL + "?service=c4nary", "service file"},
		{"postgres", pgWords + "port=c4nary", "port"},
		{"postgres", pgWords + "port=99999", "port"},
		{"postgres", pgWords + "host=a,b port=1,2,3", "number of hosts, addresses and ports"},
		{"postgres", pgWords + "host=a,b hostaddr=127.0.0.1", "number of hosts, addresses and ports"},
		{"postgres", pgWords + "c4nary", "DSN as keywords and values"},
		{"postgres", pgWords + "options='c4nary", "DSN as keywords and values"},
		{"postgres", pgWords + `options=c4nary\`, "DSN as keywords and values"},
		{"postgres", pgWords + "sslmode=pqgo-c4nary", "sslmode"},

		{"mysql", "c4nary:p-c4nary@tcp(h0st:1)", "slash before the database"},
		{"mysql", "c4nary:p-c4nary@tcp(h0st:1/shop", "network address"},
		{"mysql", "c4nary:p-c4nary@tcp(h0st:1)c4nary/shop", "value that is not escaped"},
		{"mysql", "c4nary:p-c4nary@c4nary/shop", "network"},
		{"mysql", "c4nary:p-c4nary@tcp(h0st:1)/shop%zz", "database"},
		{"mysql", mysql + "?tls=c4nary", "tls"},
		{"mysql", mysql + "?tls=c4nary%zz", "tls"},
		{"mysql", mysql + "?serverPubKey=c4nary", "serverPubKey"},
		{"mysql", mysql + "?parseTime=c4nary", "value of true or false"},
		{"mysql", mysql + "?timeTruncate=c4nary", "timeTruncate"},
		{"mysql", mysql + "?connectionAttributes=c4nary%zz", "connectionAttributes"},
		{"mysql", mysql + "?timeout=c4nary", ""},
		{"mysql", mysql + "?loc=c4nary", "time zone"},
		{"mysql", mysql + "?interpolateParams=true&collation=gbk_chinese_ci", "interpolateParams with the collation"},

		{"sqlite3", file + "?_busy_timeout=c4nary", "_busy_timeout"},
		{"sqlite3", file + "?_journal_mode=c4nary", "_journal"},
		{"sqlite3", file + "?_loc=c4nary", "_loc"},
		{"sqlite3", file + "?_txlock=c4nary", "_txlock"},
		{"sqlite3", file + "?_fk=c4nary", "_foreign_keys"},
		{"sqlite3", file + "?_stmt_cache_size=c4nary", "_stmt_cache_size"},

		{"sqlite", file + "?_busy_timeout=c4nary", "_busy_timeout"},
		{"sqlite", file + "?_journal_mode=c4nary", "_journal_mode"},
		{"sqlite", file + "?_fk=c4nary", "_fk"},
		{"sqlite", file + "?_dqs=c4nary", "_dqs"},
		{"sqlite", file + "?_defensive=c4nary", "_defensive"},
		{"sqlite", file + "?_txlock=c4nary", "_txlock"},
		{"sqlite", file + "?_time_format=c4nary", "_time_format"},
		{"sqlite", file + "?_timezone=c4nary", "_timezone"},
		{"sqlite", file + "?_texttotime=c4nary", "_texttotime"},
		{"sqlite", file + "?_defensive=1&_journal_mode=off", "_journal_mode"},
		{"sqlite", file + "?vfs=c4nary&vfs=d", "vfs"},
	} {
		t.Run(test.driver+" "+strings.ReplaceAll(test.dsn, file, "FILE"), func(t *testing.T) {
			r := newRig(t)
			db, err := otdb.Open(test.driver, test.dsn, r.options()...)
			if err == nil {
				err = errors.Join(db.PingContext(t.Context()), db.Close())
			}
			if err == nil {
				t.Fatal("it is valid")
			}
			got := errs.Message(err)
			if kind, part, ok := strings.Cut(got, ": invalid configuration: "); ok != (test.part != "") || part != test.part || !wholeKind.MatchString(kind) {
				t.Errorf("%v\n got %q\nwant %q", err, got, test.part)
			}
			for _, s := range r.Spans() {
				if s.Status().Description != got {
					t.Errorf("span %s: %q, want %q", s.Name(), s.Status().Description, got)
				}
			}
			if strings.Contains(got, "h0st") {
				t.Errorf("the host is in %q", got)
			}
			r.WantNothingOf("c4nary")
		})
	}
}
