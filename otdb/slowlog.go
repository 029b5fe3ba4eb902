package otdb

import (
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/attribute"
)

// logSlow writes the record of a slow statement.
func (o *operation) logSlow(out *outcome) {
	defer scope.Guard("the handler of slow statements")
	logger := o.db.cfg.slowLogger
	if logger == nil {
		logger = slog.Default()
	}
	if !logger.Enabled(o.ctx, slog.LevelWarn) {
		return
	}
	kv := out.classAttributes(slices.Concat(o.start, []attribute.KeyValue{
		attribute.Float64("duration", out.length.Seconds()),
		driverDurationKey.Float64(out.inDriver().Seconds()),
	}))
	attrs := make([]slog.Attr, len(kv))
	for i, a := range kv {
		attrs[i] = slog.Any(string(a.Key), a.Value.AsInterface())
	}
	logger.LogAttrs(o.ctx, slog.LevelWarn, "slow statement", attrs...)
}
