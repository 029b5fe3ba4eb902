package otdb

import (
	"context"
	"database/sql/driver"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/sqltext"
)

// taskTag is the key of the worker task's name in comments.
const taskTag = "task"

// The limits of a comment in bytes: the whole of it, and a tag's value before it is
// encoded. It shares what servers keep of a text with the beginning of the statement.
const (
	maxComment  = sqltext.MaxTail / 2
	maxTagValue = 100
)

// commenter adds SQL comments in the format of sqlcommenter:
//
//	SELECT 1 /*application='shop',task='orders.ship'*/
type commenter struct {
	mode       Comment // 0 for none
	tags       map[string]string
	static     string                        // the comment of a call outside of any task
	propagator propagation.TextMapPropagator // nil: the global one
}

func newCommenter(cfg *config) commenter {
	c := commenter{mode: cfg.comment, tags: make(map[string]string), propagator: cfg.propagator}
	for _, t := range cfg.commentTags {
		c.tags[string(t.Key)] = bounded(t.Value.String())
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
		return sqltext.AddComment(query, c.static, st.commentAt)
	}
	return sqltext.AddComment(query, c.format(c.with(task, nil)), st.commentAt)
}

// direct returns query with the comment of a statement that is executed as it
// is. With cached, the driver prepares and caches it by its text all the same.
func (c *commenter) direct(spanCtx, ctx context.Context, st *statement, query string, cached bool) string {
	if c.mode != CommentFull || cached || st.commentAt < 0 {
		return c.prepared(ctx, st, query)
	}
	return sqltext.AddComment(query, c.format(c.with(ledger.FromContext(ctx).Task(), c.inject(spanCtx))), st.commentAt)
}

// inject returns the trace context as fields, and no baggage: that holds the
// application's values, which stay out of the server's logs.
func (c *commenter) inject(ctx context.Context) (fields propagation.MapCarrier) {
	defer scope.Guard("the propagator")
	carrier := propagation.MapCarrier{}
	p := c.propagator
	if p == nil {
		p = otel.GetTextMapPropagator()
	}
	p.Inject(baggage.ContextWithoutBaggage(ctx), carrier)
	return carrier
}

// with returns the tags, the task and the carrier's fields.
func (c *commenter) with(task string, carrier map[string]string) map[string]string {
	all := make(map[string]string, len(c.tags)+len(carrier)+1)
	for k, v := range carrier {
		all[k] = v
	}
	if task != "" {
		all[taskTag] = bounded(task)
	}
	for k, v := range c.tags {
		all[k] = v
	}
	return all
}

// format writes a comment of at most maxComment bytes with its keys sorted, and "" if
// there are no tags. Pairs that do not fit are left out, from the end, and the trace and
// the task only when nothing else is left.
func (c *commenter) format(tags map[string]string) string {
	if len(tags) == 0 {
		return ""
	}
	keys := make([]string, 0, len(tags))
	for k := range tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for len(keys) > 0 {
		if comment := write(keys, tags); len(comment) <= maxComment {
			return comment
		}
		drop := len(keys) - 1
		for i := range keys {
			if rank(keys[i]) >= rank(keys[drop]) {
				drop = i
			}
		}
		keys = slices.Delete(keys, drop, drop+1)
	}
	return ""
}

// write writes a comment of the tags with the keys.
func write(keys []string, tags map[string]string) string {
	var b strings.Builder
	b.Grow(maxComment)
	for i, k := range keys {
		if i == 0 {
			b.WriteString("/*")
		} else {
			b.WriteByte(',')
		}
		b.WriteString(encode(k))
		b.WriteString("='")
		b.WriteString(encode(tags[k]))
		b.WriteByte('\'')
	}
	b.WriteString("*/")
	return b.String()
}

// rank returns the place of a key among those that a comment should hold.
func rank(key string) int {
	switch key {
	case taskTag:
		return 0
	case "traceparent":
		return 1
	default:
		return 2
	}
}

// bounded returns the beginning of a tag's value, cut between two characters.
func bounded(value string) string {
	if len(value) <= maxTagValue {
		return value
	}
	n := maxTagValue
	for n > 0 && !utf8.RuneStart(value[n]) {
		n--
	}
	return value[:n]
}

// encode percent-encodes s, so that neither a quote nor the end of a comment is
// left in it. A bind placeholder is not either: some drivers look for ? in comments.
func encode(s string) string { return escapeMore.Replace(url.QueryEscape(s)) }

var escapeMore = strings.NewReplacer("+", "%20", "*", "%2A") // made once: it is costly

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
