package otdb

import (
	"context"
	"database/sql/driver"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/sqltext"
)

// taskTag is the key of the worker task's name in comments.
const taskTag = "task"

// commenter appends SQL comments in the format of sqlcommenter:
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
	carrier := propagation.MapCarrier{}
	c.inject(spanCtx, carrier)
	return st.commented(query, c.format(c.with(ledger.FromContext(ctx).Task(), carrier)))
}

// inject writes the trace context into carrier, and no baggage: that holds the
// application's values, which stay out of the server's logs.
func (c *commenter) inject(ctx context.Context, carrier propagation.MapCarrier) {
	defer reportPanic("the propagator", func() { clear(carrier) })
	c.propagator.Inject(baggage.ContextWithoutBaggage(ctx), carrier)
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
	return " /*" + strings.Join(pairs, ",") + "*/"
}

// encode percent-encodes s, so that neither a quote nor the end of a comment is
// left in it. A bind placeholder is not either: some drivers look for ? in comments.
func encode(s string) string {
	s = url.QueryEscape(s)
	return strings.NewReplacer("+", "%20", "*", "%2A").Replace(s)
}

// commentAt returns where in query a comment goes, or -1 if it must have none:
// if it has one already, if it ends in something that would swallow the
// comment, and if there is no statement in it. The place is the end, but before
// a semicolon: to a driver that runs several statements one after the other,
// what is behind it is the next one, and the last one has the rows.
func commentAt(d sqltext.Dialect, query string, r sqltext.Result) int {
	if strings.TrimSpace(r.Text) == "" || r.OpenComment || r.Commented {
		return -1
	}
	statement := strings.TrimRight(query, "; \t\r\n")
	if i := strings.IndexByte(query[len(statement):], ';'); i >= 0 {
		// The semicolon may be a line comment's.
		if at := len(statement) + i; !sqltext.Parse(d, query[:at]).OpenComment {
			return at
		}
	}
	return len(query)
}

// commented returns query, which is the statement's text, with a comment.
func (st *statement) commented(query, comment string) string {
	return query[:st.commentAt] + comment + query[st.commentAt:]
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
