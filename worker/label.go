package worker

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
)

// maxUndeclared is how many undeclared labels a runner reports.
const maxUndeclared = 64

// declared returns the labels that the runner knows. The others are reported
// once each.
func (r *Runner) declared(labels []attribute.KeyValue) []attribute.KeyValue {
	if len(labels) == 0 {
		return nil
	}
	out := make([]attribute.KeyValue, 0, len(labels))
	for _, kv := range labels {
		if r.labels[string(kv.Key)] {
			out = append(out, kv)
			continue
		}
		if r.reported.Load() >= maxUndeclared {
			continue
		}
		if _, known := r.undeclared.LoadOrStore(kv.Key, true); !known {
			r.reported.Add(1)
			handle(fmt.Errorf("worker: label %q was not declared with WithLabelKeys, and is dropped", kv.Key))
		}
	}
	return out
}
