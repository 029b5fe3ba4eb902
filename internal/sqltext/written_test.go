package sqltext_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/taskspan/taskspan/internal/sqltext"
)

func TestWritten(t *testing.T) {
	for _, c := range []struct{ dialects, query, text string }{
		// As it is written.
		{"PLD", "SELECT a FROM t WHERE b = $1 AND c = 'active' AND d > 42 -- live ones\n", ""},
		{"PMLSOD", "SELECT a /* c */ FROM t WHERE b IN (1, 2, 3) AND c = 'not found yet' LIMIT 1000", ""},
		{"PMLSOD", "SELECT to_char(a, 'YYYY-MM-DD HH24:MI:SS'), 'utf8mb4', 'application/json' FROM t", ""},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'a sentence of more than twenty characters, in words'", ""},
		// No static text by its look.
		{"PMLSOD", "SELECT a FROM t WHERE b = 'abcdefghijklmnopqrstu'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'Bearer abcdefghijklmnopqrstu'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'qk3v9x1m8z2w7ab'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'deadbeef'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'aGVsbG8x'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'c2VjcmV0Cg=='", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 'a@b.example'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = '4111 1111 1111 1111'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 's3://b/k'", "SELECT a FROM t WHERE b = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE b = 4111111111111111", "SELECT a FROM t WHERE b = ?"},
		{"MSD", "SELECT a FROM t WHERE b = 0xDEADBEEFCAFE", "SELECT a FROM t WHERE b = ?"},
		// By its place.
		{"PMLSOD", "SELECT pgp_sym_encrypt(a, 'key') FROM t", "SELECT pgp_sym_encrypt(a, ?) FROM t"},
		{"PMLSOD", "SELECT pgp_sym_decrypt(f(a), concat('k', 'e')) FROM t", "SELECT pgp_sym_decrypt(f(a), concat(?, ?)) FROM t"},
		{"PMLSOD", "SELECT AES_ENCRYPT(a, 'key'), hmac(b, 'key', 'sha256') FROM t", "SELECT AES_ENCRYPT(a, ?), hmac(b, ?, ?) FROM t"},
		{"PMLSOD", "SELECT a FROM t WHERE password = 'x' AND api_token = 'y' AND key = 'version'",
			"SELECT a FROM t WHERE password = ? AND api_token = ? AND key = ?"},
		{"PMLSOD", "SELECT a FROM t WHERE key = 'version'", ""},
		{"P", "CREATE ROLE r PASSWORD 'x'", "CREATE ROLE r PASSWORD ?"},
		{"P", "CREATE SUBSCRIPTION s CONNECTION 'a b'", "CREATE SUBSCRIPTION s CONNECTION ?"},
		{"PD", "CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', password 'x')", "CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', password ?)"},
		{"L", "ATTACH ? AS a KEY 'x'", "ATTACH ? AS a KEY ?"},
		{"MO", "CREATE USER u IDENTIFIED BY 'x'", "CREATE USER u IDENTIFIED BY ?"},
		{"D", "COPY INTO t FROM @s CREDENTIALS = (AWS_KEY_ID = 'a' AWS_SECRET_KEY = 'b')",
			"COPY INTO t FROM @s CREDENTIALS = (AWS_KEY_ID = ? AWS_SECRET_KEY = ?)"},
		// Rows of placeholders.
		{"PD", "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4), ($5, $6) RETURNING a", "INSERT INTO t (a, b) VALUES ($1, $2), … RETURNING a"},
		{"MLD", "INSERT INTO t VALUES (?, ?),(?, ?)\n, (?, ?)", "INSERT INTO t VALUES (?, ?), …"},
		{"MLD", "REPLACE INTO t VALUES (?, now()), (?, now())", "REPLACE INTO t VALUES (?, now()), …"},
		{"PMLD", "INSERT INTO t VALUES (1, 2), (3, 4)", ""},
		{"MLD", "INSERT INTO t VALUES (?, 1), (?, 2), (?, ?), (?, 3)", "INSERT INTO t VALUES (?, 1), (?, 2), …, (?, 3)"},
		{"PMLD", "INSERT INTO t SELECT a FROM u WHERE (b, c) IN ((1, 2), (3, 4))", ""},
		// What is in doubt.
		{"MD", `SELECT a FROM t WHERE b = ? AND c = 'it\'s' AND d = 'x'`, "SELECT a FROM t WHERE b = ? AND c = ?"},
	} {
		for _, letter := range c.dialects {
			d := letters[letter]
			want := c.text
			if want == "" {
				want = c.query
			}
			if got := sqltext.Written(d, c.query); got != want {
				t.Errorf("%v: %q\n got %q\nwant %q", d, c.query, got, want)
			}
		}
	}
}

// A batch of any size fits.
func TestWrittenBatch(t *testing.T) {
	query := "INSERT INTO t VALUES (?, ?)" + strings.Repeat(", (?, ?)", 5000) + " ON DUPLICATE KEY UPDATE a = 1"
	if got := sqltext.Written(sqltext.MySQL, query); got != "INSERT INTO t VALUES (?, ?), … ON DUPLICATE KEY UPDATE a = 1" {
		t.Errorf("%.200q", got)
	}
}

// Names that are addresses are dropped in every dialect.
func TestAddressesAreNoNames(t *testing.T) {
	for _, name := range []string{"s3://b/k?sig=cAnArY", "https://h/cAnArY", "u:cAnArY@h", "a=cAnArY", "x?cAnArY"} {
		for _, d := range dialects {
			for _, quotes := range []string{`""`, "``"} {
				query := "SELECT a FROM " + quotes[:1] + name + quotes[1:] + " WHERE b = 1"
				if quotes == "``" && d != sqltext.MySQL && d != sqltext.SQLite && d != sqltext.Default {
					continue
				}
				if leaked(d, query) || d != sqltext.MySQL && strings.Contains(sqltext.Written(d, query), canary) {
					t.Errorf("%v: %q: %q", d, query, sqltext.Parse(d, query).Text)
				}
			}
		}
		for _, d := range []sqltext.Dialect{sqltext.SQLite, sqltext.SQLServer} {
			if query := "SELECT a FROM [" + name + "]"; leaked(d, query) {
				t.Errorf("%v: %q: %q", d, query, sqltext.Parse(d, query).Text)
			}
		}
	}
}

// FuzzWritten plants a secret in a parameterised text.
func FuzzWritten(f *testing.F) {
	for _, s := range statements {
		f.Add(uint8(s.dialect), s.query)
	}
	f.Fuzz(func(t *testing.T, dialect uint8, query string) {
		d := dialects[int(dialect)%len(dialects)]
		text := sqltext.Written(d, query)
		if !utf8.ValidString(text) || len(text) > sqltext.MaxText {
			t.Fatalf("%v: %q: %q", d, query, text)
		}
		if !strings.ContainsAny(query, "'\"") && len(query) < 1000 {
			secret := "SELECT pgp_sym_encrypt($1, 'zqzq'), '" + strings.Repeat("zq", 11) + "' FROM t; " + query
			if !strings.Contains(query, "zq") && strings.Contains(sqltext.Written(d, secret), "zq") {
				t.Fatalf("%v: %q: %q", d, secret, sqltext.Written(d, secret))
			}
		}
	})
}

// Secrets are known by the words around them.
func TestWrittenKeepsNoSecret(t *testing.T) {
	for _, c := range []struct{ dialect, query string }{
		{"P", "SELECT pgp_sym_encrypt($1, 'canary one')"},
		{"P", "SELECT pgp_sym_decrypt_bytea(a, 'canary one', 'cipher-algo=aes256') FROM t WHERE b = $1"},
		{"P", "SELECT pgp_pub_decrypt($1, dearmor('canary one'))"},
		{"P", "SELECT crypt($1, 'canary')"},
		{"P", "SELECT digest($1 || 'canary', 'sha256')"},
		{"P", "SELECT * FROM dblink('host=h password=canary', 'SELECT 1') WHERE a = $1"},
		{"P", "SELECT dblink_connect('canary') , $1"},
		{"P", "SELECT set_config('app.key', 'canary', $1)"},
		{"P", "SELECT sign($1, 'canary')"},
		{"P", "SELECT jwt_sign($1, 'canary')"},
		{"P", "COPY t FROM PROGRAM 'curl -u canary'; SELECT $1"},
		{"P", "ALTER SYSTEM SET primary_conninfo = 'canary'; SELECT $1"},
		{"M", "SELECT KEYRING_KEY_STORE(?, 'AES', 'canary')"},
		{"O", "BEGIN UTL_HTTP.SET_AUTHENTICATION(r, :1, 'canary'); END;"},
		{"P", "SELECT verify($1, 'canary') FROM t"},
		{"P", "SELECT encrypt_iv($1, 'canary', 'x', 'aes')"},
		{"P", "ALTER USER MAPPING FOR u SERVER s OPTIONS (SET password 'canary'); SELECT $1"},
		{"P", "ALTER SUBSCRIPTION s CONNECTION 'host=h password=canary'; SELECT $1"},
		{"P", "ALTER ROLE r WITH ENCRYPTED PASSWORD 'canary'; SELECT $1"},
		{"P", "COPY t FROM 's3://b' CREDENTIALS 'canary'; SELECT $1"},
		{"P", "COPY t FROM 's3://b' ACCESS_KEY_ID 'canary' SECRET_ACCESS_KEY 'canary' SESSION_TOKEN 'canary'; SELECT $1"},
		{"P", "UPDATE u SET passwd = 'canary', api_key = 'canary' WHERE id = $1"},
		{"P", "INSERT INTO u (id, password) VALUES ($1, 'canary')"},
		{"P", "UPDATE u SET (id, password) = ($1, 'canary')"},
		{"P", "SELECT a FROM u WHERE id = $1 AND password IN ('canary')"},
		{"P", "SELECT a FROM u WHERE id = $1 AND password LIKE 'canary'"},
		{"P", "SELECT a FROM u WHERE id = $1 AND password <> 'canary'"},
		{"P", "SELECT a FROM u WHERE id = $1 AND u.\"password\" = 'canary'"},
		{"P", "SELECT a FROM u WHERE id = $1 AND password = ANY(ARRAY['canary'])"},
		{"P", "SELECT a FROM u WHERE id = $1 AND password::text = 'canary'"},
		{"P", "SELECT a FROM u WHERE id = $1 AND lower(password) = 'canary'"},
		{"P", "SELECT a FROM u WHERE id = $1 AND password = lower('canary')"},
		{"P", "SELECT a FROM u WHERE id = $1 AND password = E'canary'"},
		{"P", "SELECT a FROM u WHERE id = $1 AND password IS DISTINCT FROM 'canary'"},
		{"P", "SELECT json_build_object('password', 'canary', 'id', $1)"},
		{"P", "SELECT '{\"password\":\"canary\"}'::jsonb, $1"},
		{"P", "SELECT a FROM t WHERE doc @> '{\"token\": \"canary\"}' AND id = $1"},
		{"M", "SELECT AES_DECRYPT(a, 'canary') FROM t WHERE b = ?"},
		{"M", "SELECT AES_ENCRYPT(?, SHA2('canary', 512))"},
		{"M", "SELECT PASSWORD('canary'), ?"},
		{"M", "SET PASSWORD = 'canary'; SELECT ?"},
		{"M", "ALTER USER u IDENTIFIED WITH x AS 'canary'; SELECT ?"},
		{"M", "CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD='canary', SOURCE_HOST=?"},
		{"M", "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (PASSWORD 'canary', USER ?)"},
		{"M", "SELECT MASTER_POS_WAIT(?, 1), ENCODE('a','canary')"},
		{"L", "ATTACH 'file:canary?key=canary' AS a KEY 'canary'; SELECT ?"},
		{"L", "PRAGMA key = 'canary'; SELECT ?"},
		{"L", "SELECT sqlcipher_export(?, 'canary')"},
		{"L", "PRAGMA rekey('canary'); SELECT ?"},
		{"S", "OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = 'canary'; SELECT @p1"},
		{"S", "SELECT EncryptByPassPhrase('canary', @p1)"},
		{"S", "SELECT * FROM OPENROWSET('SQLNCLI', 'Server=s;Uid=u;Pwd=canary', 'x') WHERE a = @p1"},
		{"S", "CREATE LOGIN l WITH PASSWORD = N'canary'; SELECT @p1"},
		{"S", "CREATE CREDENTIAL c WITH IDENTITY = 'x', SECRET = 'canary'; SELECT @p1"},
		{"S", "SELECT PWDENCRYPT('canary'), PWDCOMPARE('canary', @p1)"},
		{"S", "EXEC sp_addlogin 'u', 'canary', @p1"},
		{"S", "EXEC sp_setapprole @rolename = @p1, @password = 'canary'"},
		{"S", "SELECT HASHBYTES('SHA2_256', 'canary' + @p1)"},
		{"S", "BACKUP DATABASE d TO URL = 'https://x' WITH CREDENTIAL = 'canary'; SELECT @p1"},
		{"S", "EXECUTE AS LOGIN = 'canary' WITH COOKIE INTO @p1"},
		{"O", "SELECT DBMS_CRYPTO.ENCRYPT(:a, 5, UTL_RAW.CAST_TO_RAW('canary')) FROM dual"},
		{"O", "ALTER USER u IDENTIFIED BY canary REPLACE canary"},
		{"O", "CREATE DATABASE LINK l CONNECT TO u IDENTIFIED BY canary USING 'x'"},
		{"O", "SET ROLE r IDENTIFIED BY canary"},
		{"O", "BEGIN DBMS_CRYPTO_TOOLKIT.x(key => 'canary', a => :a); END;"},
		{"D", "SELECT encrypt('aes', a, 'canary') FROM t WHERE b = ?"},
		{"D", "SELECT * FROM s3('https://b', 'AKIA', 'canary', 'CSV') WHERE a = ?"},
		{"D", "CREATE SECRET s (TYPE S3, KEY_ID 'canary', SECRET 'canary'); SELECT ?"},
		{"D", "CREATE STAGE s URL='s3://b' CREDENTIALS=(AWS_KEY_ID='canary' AWS_SECRET_KEY='canary'); SELECT ?"},
		{"D", "COPY INTO t FROM 's3://b' STORAGE_INTEGRATION = i ENCRYPTION = (MASTER_KEY = 'canary'); SELECT ?"},
		{"D", "CREATE USER u PASSWORD = 'canary'; SELECT ?"},
		{"D", "COPY INTO t FROM @s AZURE_SAS_TOKEN = 'canary'; SELECT ?"},
		{"D", "ATTACH 'canary' AS pg (TYPE postgres); SELECT ?"},
		{"D", "CREATE NAMED COLLECTION c AS access_key_id = 'canary', secret_access_key = 'canary', x = ?"},
		{"D", "GRANT ROLE r TO u IDENTIFIED BY 'canary'; SELECT ?"},
	} {
		d := letters[rune(c.dialect[0])]
		if text := sqltext.Written(d, c.query); strings.Contains(text, "canary") {
			t.Errorf("%v: %q\n got %q", d, c.query, text)
		}
	}
}

// Data are known by their look.
func TestWrittenKeepsNoData(t *testing.T) {
	for _, data := range []string{
		"'ord_8x2kq01'", "'3fa85f64-5717-4562-b3fc-2c963f66afa6'", `'\xDEADBEEF'`, "'AKIAIOSFODNN7EXAMPLE'", "'eyJhbGciOi'",
		"'+49 170 123456'", "'192.168.10.77'", "'078-05-1120'", "$$deadbeefcafe$$", "$tag$0123456789$tag$", "'aGVsbG8='",
		"'id=deadbeef'", "'deadbeef,cafebabe'", "X'DEADBEEF'", "0xDEADBEEF", "123_456_789", `'{"token": "x"}'`, "'pwd=x'",
	} {
		if got := sqltext.Written(sqltext.PostgreSQL, "SELECT a FROM t WHERE b = $1 AND c = "+data); got != "SELECT a FROM t WHERE b = $1 AND c = ?" {
			t.Errorf("%s: %q", data, got)
		}
	}
}

// Rows that differ in a word are kept.
func TestWrittenRows(t *testing.T) {
	for _, query := range []string{
		"INSERT INTO t VALUES ($1, 'x'), ($2, 'y'), ($3, 'x')",
		"INSERT INTO t VALUES ($1, upper($2)), ($3, lower($4))",
		"INSERT INTO t VALUES ($1, $2), ($3, (SELECT a FROM u WHERE b = $4))",
		"INSERT INTO t VALUES ($1, a), ($2, b)",
		"INSERT INTO t VALUES ($1, NULL), ($2, DEFAULT), (TRUE, $3)",
	} {
		if got := sqltext.Written(sqltext.PostgreSQL, query); got != query {
			t.Errorf("%q\n got %q", query, got)
		}
	}
}

// What remains by design, as docs/sensitive-data.md says: a short literal that looks like a
// word, and one before the word that would tell what it is.
func TestWrittenKeepsByDesign(t *testing.T) {
	for _, query := range []string{
		"SELECT a FROM t WHERE b = $1 AND c = 'Alice Smith'",
		"SELECT a FROM t WHERE b = $1 AND c = 'sk_live_abc'",
		"SELECT a FROM t WHERE b = $1 AND c = 12345",
		"SELECT a FROM t WHERE b = $1 AND 'hunter' = password",
	} {
		if got := sqltext.Written(sqltext.PostgreSQL, query); got != query {
			t.Errorf("%q\n got %q", query, got)
		}
	}
}
