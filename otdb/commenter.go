package otdb

import (
	"context"
	"database/sql/driver"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/sqltext"
)

// taskTag is the key of the worker task's name in comments.
const taskTag = "task"

// commenter adds SQL comments in the format of sqlcommenter:
//
//	SELECT 1 /*application='shop',task='orders.ship'*/
type commenter struct {
	mode       Comment // 0 for none
	tags       map[string]string
	static     string // the comment of a call outside of any task
	propagator propagation.TextMapPropagator
}

func newCommenter(cfg *config) commenter {
	c := commenter{mode: cfg.comment, tags: make(map[string]string), propagator: cfg.propagator}
	for _, t := range cfg.commentTags {
		c.tags[string(t.Key)] = t.Value.String()
	}
	c.static = c.format(c.tags)
	return c
}

// prepared returns query with the comment of a statement that is prepared. It
// holds nothing that changes from call to call.
func (c *commenter) prepared(ctx context.Context, st *statement, query string) string {
	if c.mode == 0 || st.commentAt < 0 {
		return query
	}
	task := ledger.FromContext(ctx).Task()
	if task == "" {
		return st.commented(query, c.static)
	}
	return st.commented(query, c.format(c.with(task, nil)))
}

// direct returns query with the comment of a statement that is executed as it
// is. With cached, the driver prepares and caches it by its text all the same.
func (c *commenter) direct(spanCtx, ctx context.Context, st *statement, query string, cached bool) string {
	if c.mode != CommentFull || cached || st.commentAt < 0 {
		return c.prepared(ctx, st, query)
	}
	return st.commented(query, c.format(c.with(ledger.FromContext(ctx).Task(), c.inject(spanCtx))))
}

// inject returns the trace context as fields, and no baggage: that holds the
// application's values, which stay out of the server's logs.
func (c *commenter) inject(ctx context.Context) (fields propagation.MapCarrier) {
	defer scope.Guard("the propagator")
	carrier := propagation.MapCarrier{}
	c.propagator.Inject(baggage.ContextWithoutBaggage(ctx), carrier)
	return carrier
}

// with returns the tags, the task and the carrier's fields.
func (c *commenter) with(task string, carrier map[string]string) map[string]string {
	all := make(map[string]string, len(c.tags)+len(carrier)+1)
	for k, v := range carrier {
		all[k] = v
	}
	if task != "" {
		all[taskTag] = task
	}
	for k, v := range c.tags {
		all[k] = v
	}
	return all
}

// format writes a comment with its keys sorted, and "" if there are no tags.
func (c *commenter) format(tags map[string]string) string {
	if len(tags) == 0 {
		return ""
	}
	pairs := make([]string, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		pairs = append(pairs, encode(k)+"='"+encode(tags[k])+"'")
	}
	return "/*" + strings.Join(pairs, ",") + "*/"
}

// encode percent-encodes s, so that neither a quote nor the end of a comment is
// left in it. A bind placeholder is not either: some drivers look for ? in comments.
func encode(s string) string { return escapeMore.Replace(url.QueryEscape(s)) }

var escapeMore = strings.NewReplacer("+", "%20", "*", "%2A") // made once: it is costly

// commentAt returns where in query a comment goes, or -1 if it must have none,
// as a comment must change nothing of what the text does or returns.
//
// On SQLite it goes before the text: an SQLite column without an alias is called
// by its expression and all that follows, comments as well, and drivers take
// what is behind the last semicolon for one more statement, whose rows are then
// those of the text. Everywhere else it goes behind the last statement and before
// its semicolon, unless it would not be read as a comment there.
func commentAt(d sqltext.Dialect, query string, r sqltext.Result) int {
	switch {
	case !takesComment(d, query, r):
		return -1
	case d == sqltext.SQLite:
		return 0
	case r.OpenComment:
		return -1
	}
	end := len(strings.TrimRightFunc(query, blank))
	semicolon := strings.IndexByte(query[end:], ';')
	if semicolon < 0 {
		return len(query)
	}
	// The semicolon may be a line comment's. And behind it, what is white space to
	// blank may be none to the database, which so hides a comment in front of it.
	if before := sqltext.Parse(d, query[:end+semicolon]); before.OpenComment || before.Commented {
		return -1
	}
	return end + semicolon
}

// takesComment reports whether query may have a comment at all. It must have
// none if there is no statement in it, if it has one already, if it was not read
// to its end, and if its text is more than a statement to be executed:
//
//   - The database keeps the text of a definition (CREATE, ALTER).
//   - Data follows COPY, and in databases that are not known INSERT: ClickHouse
//     reads what is behind FORMAT and VALUES as data.
//   - go-mssqldb takes a text that is only a name for the procedure to call, and
//     INSERTBULK for a bulk copy. There, and in databases that are not known, only
//     a text that begins with a known operation has a comment.
//   - MySQL executes what is in a comment like /*! this */.
func takesComment(d sqltext.Dialect, query string, r sqltext.Result) bool {
	if strings.TrimFunc(r.Text, blank) == "" || hasComment(query, r) || len(query) > sqltext.MaxScan {
		return false
	}
	text := r.Text // without literals and comments
	if len(query) > sqltext.MaxText {
		text = query // of which r.Text may be the beginning
	}
	if hasWord(text, "CREATE", "ALTER", "COPY") {
		return false
	}
	switch d {
	case sqltext.MySQL:
		return !hasCode(query)
	case sqltext.SQLServer:
		return beginsWith(r.Text, operations)
	case sqltext.Default:
		return !hasCode(query) && !hasWord(text, "INSERT") && beginsWith(r.Text, operations)
	default:
		return true
	}
}

// operations are the first words of the statements that have comments where not
// every text is a statement.
var operations = []string{
	"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "EXEC", "EXECUTE", "CALL", "BEGIN", "DECLARE", "SET", "IF", "WHILE",
	"DROP", "TRUNCATE", "EXPLAIN", "SHOW",
}

// blank reports whether r is nothing to execute: white space, the end of a
// statement, or a byte order mark.
func blank(r rune) bool { return r == ';' || r == '\ufeff' || unicode.IsSpace(r) }

// hasComment reports whether query has a comment of sqlcommenter's form already,
// wherever that stands. What only looks like one, in a literal, costs the comment.
func hasComment(query string, r sqltext.Result) bool {
	for rest := query; ; {
		_, comment, ok := strings.Cut(rest, "/*")
		if !ok {
			return r.Commented
		}
		comment, rest, _ = strings.Cut(comment, "*/")
		if strings.Contains(comment, "='") {
			return true
		}
	}
}

// hasCode reports whether a comment in query may be code to MySQL or MariaDB.
func hasCode(query string) bool {
	return strings.Contains(query, "/*!") || strings.Contains(query, "/*M!")
}

// hasWord reports whether one of words is a word of text, in any case.
func hasWord(text string, words ...string) bool {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, word) }) {
			return true
		}
	}
	return false
}

// beginsWith reports whether text begins with one of words and white space.
func beginsWith(text string, words []string) bool {
	text = strings.TrimLeftFunc(text, blank)
	end := strings.IndexFunc(text, unicode.IsSpace)
	return end > 0 && slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, text[:end]) })
}

// commented returns query, which is the statement's text, with a comment.
func (st *statement) commented(query, comment string) string {
	switch {
	case comment == "":
		return query
	case st.commentAt == 0:
		return comment + " " + query
	default:
		return query[:st.commentAt] + " " + comment + query[st.commentAt:]
	}
}

// cachesByText reports whether a connection's driver prepares and caches, by
// its text, every query and every exec with arguments. pgx sends only execs
// without arguments as they are.
func cachesByText(raw driver.Conn) bool {
	t := reflect.TypeOf(raw)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t != nil && strings.HasPrefix(t.PkgPath(), "github.com/jackc/pgx/")
}
