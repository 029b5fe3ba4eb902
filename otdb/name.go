package otdb

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/taskspan/taskspan/internal/sqltext"
)

type nameKey struct{}

// named reports whether there has been a context with a name: a program without pays
// nothing, however many values its contexts carry.
var named atomic.Bool

// NameQuery returns a context whose statements have that name as their
// db.query.summary, and so in the names of spans, in metrics and in findings, in place of
// the operations and tables of their text. It is cut to 255 characters. An empty name
// changes nothing.
//
// Names count against [WithMaxSummaries]: use a fixed set of them, and no values in them.
// A name is exported as it is. The comment "-- name: GetUser :one" that sqlc puts
// in front of a text names it too; NameQuery comes first.
func NameQuery(ctx context.Context, name string) context.Context {
	if name == "" {
		return ctx
	}
	if !named.Load() {
		named.Store(true) // once: each store takes the cache line from all others
	}
	return context.WithValue(ctx, nameKey{}, cutName(name))
}

// cutName returns a name as valid UTF-8 of at most as many characters as a summary has.
func cutName(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	n := 0
	for i := range name {
		if n == sqltext.MaxSummary {
			return strings.Clone(name[:i])
		}
		n++
	}
	return name
}

// nameOf returns the name that ctx has for its statements.
func nameOf(ctx context.Context) (name string, ok bool) {
	if !named.Load() {
		return "", false
	}
	name, ok = ctx.Value(nameKey{}).(string)
	return name, ok
}

// named returns the statement by the name that ctx has for it.
func (st *statement) named(ctx context.Context) *statement {
	if !named.Load() { // which nameOf looks at too: this is small enough to be inlined
		return st
	}
	return st.renamedIn(ctx)
}

func (st *statement) renamedIn(ctx context.Context) *statement {
	name, ok := nameOf(ctx)
	if !ok || name == st.info.Summary {
		return st
	}
	if n := st.renamed.Load(); n != nil && n.info.Summary == name {
		return n
	}
	n := st.db.newStatement(st.query, st.result, name)
	st.renamed.Store(n) // a text mostly has one name
	return n
}
