package errs_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/taskspan/taskspan/errs"
)

// What stays of an application's text, and what goes.
func TestTemplate(t *testing.T) {
	for rule, cases := range map[string]map[string]string{
		"words stay": {
			"import stopped": "import stopped", "can't find the user's order": "can't find the user's order", "l'ordre n’existe pas": "l'ordre n’existe pas",
			"заказ не найден": "заказ не найден", "注文が見つかりません": "注文が見つかりません", "re-try order_import later": "re-try order_import later", "done — really…": "done — really…",
		},
		"quoted strings": {
			`user "bob ross" is gone`: "user ? is gone", "user 'bob ross' is gone": "user ? is gone", "user `bob ross` is gone": "user ? is gone",
			"user “bob ross” is gone": "user “?” is gone", "user «bob ross»": "user «?»", `say \"bob ross\" twice`: "say ? twice", `x "it's \"bob\" ross" y`: "x ? y",
			"x 'it's bob ross' y": "x ? y", "x N'bob ross' y": "x N? y", "x _utf8'bob ross'": "x ?", "user 'bob ross": "user ?", `user "bob ross`: "user ?",
			"'a''bob ross' b": "? b",
		},
		"quotes of other languages": {
			"user ”mr bob ross” is gone": "user ”?” is gone", "user »mr bob ross« is gone": "user »?« is gone", "user »mr bob ross» is gone": "user »?» is gone",
			"user ‚mr bob ross‘ is gone": "user ‚?‘ is gone", "user „mr bob ross” is gone": "user „?” is gone", "user ‛mr bob ross’ is gone": "user ‛?’ is gone",
			"user ’mr bob ross’ is gone": "user ’?’ is gone", "user ›mr bob ross‹ is gone": "user ›?‹ is gone", "user ＂mr bob ross＂ is gone": "user ＂?＂ is gone",
			"user 〝mr bob ross〟 is gone": "user 〝?〟 is gone", "user ❝mr bob ross❞ is gone": "user ❝?❞ is gone", "user ´mr bob ross´ is gone": "user ´?´ is gone",
			"user 〈mr bob ross〉 is gone": "user 〈?〉 is gone", "user ［mr bob ross］ is gone": "user ［?］ is gone", "user ｛mr bob ross｝ is gone": "user ｛?｝ is gone",
			"user ｢mr bob ross｣ is gone": "user ｢?｣ is gone", "user ⟨mr bob ross⟩ is gone": "user ⟨?⟩ is gone", "user 〔mr bob ross": "user 〔?",
			"l’homme n’a pas d’âge": "l’homme n’a pas d’âge", "the users’ names’ end": "the users’ names’ end", "x » y": "x » y", "done” he said": "done” he said",
		},
		"what follows =": {
			"id=bob": "id=?", "id = bob ross": "id =?", "id=bob ross, later": "id=?, later", "id=bob ross: later": "id=?: later", "id='bob' later": "id=? later",
			"host=bob user=ross failed": "host=? user=?", "a==bob": "a==?", "x => bob": "x =>?", "id=(bob) later": "id=(?) later", "server=bob;pwd=ross": "server=?;pwd=?",
		},
		"brackets": {
			"user (bob ross) left": "user (?) left", "user [bob (and) ross] left": "user [?] left", "user {bob} left": "user {?} left", "<bob> left": "<?> left",
			"user (bob ross": "user (?", "user [bob": "user [?", "a < b and c": "a < b and c", "f(bob)ross": "f(?)?", "() empty": "() empty", "（bob）後": "（?）?",
		},
		"numbers": {
			"user 7 left": "user ? left", "3.14 and -5": "? and ?", "ids 1, 2, 3 are gone": "ids ? are gone", "50% done": "? done", "7th": "?", "1,234": "?", "٣ left": "? left",
		},
		"addresses, paths, URLs": {
			"at 10.0.0.1:80 now": "at ? now", "see https://bob.example/x now": "see ? now", "in /home/bob now": "in ? now", `in C:\bob now`: "in C:? now", "at db.internal now": "at ? now",
			"to bob@example.com now": "to ? now", "@bob": "?", "bob:ross": "?", "[::1]:80": "[?]?", "ftp://bob": "?", "a/b": "?", "~bob/x": "?",
		},
		"words that are none": {
			"c4nary": "?", "order-7": "?", "tr4ns": "?", "dXNlcjpib2I=": "?=", "0x2a": "?", "a+b": "?", "$bob": "?", "💣 boom": "? boom", "bad\xffword": "?", "a&b": "?",
			strings.Repeat("x", 40): "*errors.errorString", strings.Repeat("x", 39): strings.Repeat("x", 39), "p " + strings.Repeat("é", 40): "p ?", "!@#$%^&*": "*errors.errorString",
		},
		"codes": {
			"exit status 1": "exit status 1", "status code: 503": "status code: 503", "HTTP 404 Not Found": "HTTP 404 Not Found", "status=200 ok": "status=200 ok", "errno 13": "errno 13",
			"status 1234": "status ?", "code 7a": "code ?", "errno = 5": "errno =5", "status, 5": "status, ?", "room 404": "room ?", "HTTP/1.1 500": "HTTP/1.1 500",
		},
		"technical words": {
			"x509: bad": "x509: bad", "HTTP2 and SHA256 in S3 as UTF-8": "HTTP2 and SHA256 in S3 as UTF-8", "int64 overflow": "int64 overflow", "i/o timeout": "i/o timeout",
			"strconv.Atoi failed": "strconv.Atoi failed", "sql.ErrNoRows": "sql.ErrNoRows", "strconv.bob": "?", "bob.Ross": "?", "net/http: bad": "net/http: bad",
		},
		"values in a row": {"1 2 3": "*errors.errorString", "a 1 'b' (c) 2": "a ? (?) ?", "a 1, b 2": "a ?, b ?", "64 75 70 end": "? end"},
	} {
		for text, want := range cases {
			if want == "?" { // of which nothing is left
				want = "*errors.errorString"
			}
			got := errs.Message(errors.New(text))
			if got != want {
				t.Errorf("%s: %q becomes %q, want %q", rule, text, got, want)
			}
			if again := errs.Message(errors.New(got)); again != got && got != "*errors.errorString" {
				t.Errorf("%s: %q becomes %q, and then %q", rule, text, got, again)
			}
		}
	}
}

// What database/sql and the standard library say with a value of plain words.
func TestTemplateWordings(t *testing.T) {
	for text, want := range map[string]string{
		"sql: Scan error on column index 2, name \"bob\": converting driver.Value type string (\"bob ross\") to a int: invalid syntax": "sql: Scan error on column index 2: converting driver.Value type string to a int",
		"sql: Scan error on column index 0, name \"b\": sql/driver: couldn't convert \"bob\" into type bool":                           "sql: Scan error on column index 0: sql/driver: couldn't convert a value into type bool",
		"sql: Scan error on column index 0, name \"b\": unsupported Scan, storing driver.Value type <nil> into type *bool":             "sql: Scan error on column index 0: unsupported Scan, storing driver.Value type <nil> into type *bool",
		"sql/driver: couldn't convert bob ross into type bool":                                                                         "sql/driver: couldn't convert ? into type bool",
		"sql/driver: value bob overflows int32":                                                                                        "sql/driver: value ? overflows int32",
		"sql: unknown driver bob ross (forgotten import?)":                                                                             "sql: unknown driver ? (?)",
		"sql: converting argument $1 type: bob ross":                                                                                   "sql: converting argument $1",
		"template: bob ross:3: function \"x\" not defined":                                                                             "template: ?: function ? not defined",
		"template: bob ross: executing \"x\" at <.Bob>: nil data":                                                                      "template: ?",
		"template: bob ross":                                                     "template: ?",
		"flag provided but not defined: -bob":                                    "flag provided but not defined: ?",
		"flag needs an argument: -bob":                                           "flag needs an argument: ?",
		"invalid value \"bob\" for flag -n: bad":                                 "invalid value ? for flag -n: bad",
		"bad flag syntax: --=bob":                                                "bad flag syntax: ?",
		"mail: missing word in phrase: bob ross":                                 "mail: missing word in phrase: ?",
		"mail: expected single address, got \"bob\"":                             "mail: expected single address, got ?",
		"malformed MIME header line: bob ross":                                   "malformed MIME header line: ?",
		"malformed MIME header initial line: bob":                                "malformed MIME header initial line: ?",
		"ParseAddr(\"bob\"): unable to parse IP":                                 "ParseAddr(?): unable to parse IP",
		"netip.ParsePrefix(\"bob\"): no '/'":                                     "netip.ParsePrefix(?): no ?",
		"lookup bob ross: no such host":                                          "lookup ?: no such host",
		"dial tcp: lookup bob: i/o timeout":                                      "dial tcp: lookup ?: i/o timeout",
		"lookup of the order failed":                                             "lookup of the order failed",
		"address bob: missing port in address":                                   "address ?: missing port in address",
		"dial tcp: address tcp/bob: unknown port":                                "dial tcp: address ?: unknown port",
		"unknown network bob ross":                                               "unknown network ?",
		"invalid IP address: bob":                                                "invalid IP address: ?",
		"dial unix bob ross: connection refused":                                 "dial unix ?: connection refused",
		"dial tcp bob:http: connect: no route to host":                           "dial tcp ?: connect: no route to host",
		"XML syntax error on line 3: element <bob> in space ross closed by </x>": "XML syntax error on line ?: element <?> in space ? closed by <?>",
		"xml: invalid XML name: bob ross":                                        "xml: invalid XML name: ?",
		"expected element type <bob> but have <ross>":                            "expected element type <?> but have <?>",
		"exec: \"bob\": executable file not found in $PATH":                      "exec: ?: executable file not found in ?",
		"fork/exec bob ross: permission denied":                                  "fork/exec ?: permission denied",
		"open bob ross: no such file or directory":                               "open ?: no such file or directory",
		"rename bob ross: file exists":                                           "rename ?: file exists",
		"mkdir bob: not a directory; remove ross: permission denied":             "mkdir ?: permission denied",
		"open the shop at noon":                                                  "open the shop at noon",
		"x509: certificate is valid for bob, ross, not jo":                       "x509: certificate is valid for ?",
		"x509: certificate is not valid for any names, but wanted to match bob":  "x509: certificate is not valid for any names?",
		"tls: first record does not look like a TLS handshake":                   "tls: first record does not look like a TLS handshake",
		"json: unknown field \"bob\"":                                            "json: unknown field ?",
		"invalid character 'b' looking for beginning of value":                   "invalid character ? looking for beginning of value",
		"json: cannot unmarshal string into Go value of type int":                "json: cannot unmarshal string into Go value of type int",
		"strconv.ParseBool: parsing \"bob\": invalid syntax":                     "strconv.ParseBool: parsing ?: invalid syntax",
		"parse \"http://bob\": net/url: invalid userinfo":                        "parse ?: net/url: invalid userinfo",
		"unknown time zone bob ross":                                             "unknown time zone ?",
		"time: unknown unit bob in duration \"1bob\"":                            "time: unknown unit ? in duration ?",
		"time: invalid duration \"bob\"":                                         "time: invalid duration ?",
		"user: unknown user bob ross":                                            "user: unknown user ?",
		"error parsing regexp: missing closing ): `bob (ross`":                   "error parsing regexp: ?",
		"panic: bob ross":                                                        "panic",
	} {
		for _, around := range []string{"%s", "load: %s", "load order_import: %s"} {
			text, want := fmt.Sprintf(around, text), fmt.Sprintf(around, want)
			if got := errs.Message(errors.New(text)); got != want {
				t.Errorf("%q\n  becomes %q\n  want    %q", text, got, want)
			}
		}
	}
}

// places are where a value stands in an application's text.
var places = []string{
	`"%s"`, "'%s'", "`%s`", "“%s”", "”mr %s x”", "»mr %s x«", "‚mr %s x‘", "〈mr %s x〉", "［mr %s x］", "(%s)", "[%s]", "{%s}", "<%s>", "=%s", "= %s", "=%s, and so on", "='%s'", "(a, (%s), b)", "%s@example.com", "/%s/", "https://%s", "%s7", "7%s", "%s.internal", "host:%s", `\"%s\"`,
	"template: %s", "unknown time zone %s", "lookup %s: no such host", "open %s: permission denied", "unknown network %s", "flag provided but not defined: -%s", "panic: %s",
	"malformed MIME header line: %s", "certificate is valid for %s", "dial unix %s: connection refused", "sql/driver: couldn't convert %s into type bool",
}

// FuzzTemplate plants a value of plain letters in each place of a text.
func FuzzTemplate(f *testing.F) {
	for i := range places {
		f.Add("load the order", " of today", byte(i))
		f.Add("a 1, b: c? ", "'s x=y (", byte(i))
		f.Add("b: c=", "'s x=y (", byte(i))
		f.Add("c=d e", "", byte(i))
		f.Add("c=\n\n ;v\xff", "e=\n", byte(i))
		f.Add("c=> ,d7", "e=~ ;", byte(i))
		f.Add("A", "2…:::: 4!?!?", byte(i))
		f.Add("0", "M…., 3::", byte(i))
		f.Add("0", " s\x02=''\x00=''(", byte(i))
		f.Add("0", "r:\\!a", byte(i))
		f.Add("1,...", "2…., 3:::: 4!?!?", byte(i))
		f.Add("c=\n", "\xbb\x830\x9d\xb7", byte(i))
		f.Add("c=\r\n\n d", "e=\n", byte(i))
	}
	f.Fuzz(func(t *testing.T, before, after string, place byte) {
		const value = "zanzibar"
		// A text of more than 8 KiB is cut, perhaps between a wording and what ends its value.
		const most = 1 << 10 // in bytes, of which a bad one becomes three
		before, after = without(before[:min(len(before), most)], "z"), without(after[:min(len(after), most)], "z")
		// A quote or bracket in front may take that of the value for its own end.
		before = strings.Map(func(r rune) rune {
			if strings.ContainsRune("\"'`\\<>＂＇´❝❞❛❜", r) || unicode.In(r, unicode.Ps, unicode.Pe, unicode.Pi, unicode.Pf) {
				return ' '
			}
			return r
		}, before)
		text := before + " " + fmt.Sprintf(places[int(place)%len(places)], value) + " " + after
		got := errs.Message(errors.New(text))
		if strings.Contains(got, value) {
			t.Errorf("the value got out of %q as %q", text, got)
		}
		checkText(t, got)
		// Read again, it says nothing else. It may say less, where a row of punctuation has
		// lost what stood in it.
		again := errs.Message(errors.New(got))
		for _, word := range words(again) {
			if !slices.Contains(words(got), word) && len(got) < errs.MaxMessage-8 && again != "*errors.errorString" {
				t.Errorf("%q becomes %q, and then %q", text, got, again)
				break
			}
		}
	})
}

// without returns text without a letter of the value that is planted in it, so that the
// value is nowhere else.
func without(text, letter string) string {
	return strings.NewReplacer(letter, "", strings.ToUpper(letter), "").Replace(text)
}

// words returns those of a text without holes.
func words(text string) (list []string) {
	for word := range strings.FieldsSeq(text) {
		if !strings.ContainsAny(word, "?=") {
			list = append(list, word)
		}
	}
	return list
}

// checkText checks what holds for every safe text.
func checkText(t *testing.T, got string) {
	t.Helper()
	if got == "" || !utf8.ValidString(got) || len(got) > errs.MaxMessage || strings.ContainsAny(got, "\n\r\x00\u2028") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

// The time is linear in the length of a text, whatever it repeats: a megabyte takes tens
// of milliseconds, where a quadratic walk takes minutes.
func TestTemplateIsLinear(t *testing.T) {
	for _, part := range []string{"'", "\"", "(", "<", "”", " ”x", " »x", "‚", "<a ", "=", "a=b ", "\\", "open a", "lookup a: no such host ", "? ", "1 ", "a'b ", "“", "((a)", "template: "} {
		text := strings.Repeat(part, 1<<20/len(part))
		if took := fastest(2*time.Second, func() { errs.Message(errors.New(text)) }); took > 2*time.Second {
			t.Errorf("%q: took %v", part, took)
		}
	}
}
