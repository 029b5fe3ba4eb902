package otdb

import (
	"context"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/sqltext"
)

// batchName is the summary of a batch, and in front of that of its statements if they have
// one in common, as the conventions ask.
const batchName = "BATCH"

// batch returns what is known of the statements of a batch together, of which there are two or more. Their texts are
// sanitised, and there is one of those that are the same.
func (db *database) batch(ctx context.Context, queries []string) *statement {
	texts := make([]*ledger.Text, len(queries))
	var (
		st   *statement
		sql  strings.Builder
		hash uint64
		same = true // all have one text
	)
	name := batchName
	for i, query := range queries {
		if st == nil || st.query != query {
			st = db.statement(query)
		}
		t := &st.text
		texts[i] = t
		switch {
		case i == 0:
			if t.Summary != "" {
				name += " " + t.Summary
			}
			hash = batchHash(0, t.Hash)
			sql.WriteString(t.SQL)
			continue
		case t.Hash == texts[i-1].Hash && same:
			continue
		}
		same = false
		if t.Summary != texts[0].Summary {
			name = batchName
		}
		hash = batchHash(hash, t.Hash)
		if sql.Len() <= sqltext.MaxText && t.SQL != "" {
			sql.WriteString("; ")
			sql.WriteString(t.SQL)
		}
	}
	if n, ok := nameOf(ctx); ok {
		name = n
	}
	whole := &statement{
		batch:         texts,
		operationKind: db.kindOf(name, sqltext.Result{}),
		text: ledger.Text{
			Summary: name, SQL: sqltext.Truncate(sql.String()), Hash: hash, Statement: true, Batch: true,
		},
	}
	if db.cfg.spanFilter != nil {
		whole.query = strings.Join(queries, "; ")
	}
	start := slices.Concat(whole.start, []attribute.KeyValue{semconv.DBOperationBatchSize(len(queries))})
	whole.sanitized = db.textOptions(start, whole.text.SQL)
	return whole
}

// batchHash adds the hash of a text to that of a batch.
func batchHash(batch, text uint64) uint64 { return (batch^text)*0x9E3779B97F4A7C15 + 1 }
