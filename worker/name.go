package worker

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/internal/instrument"
)

const (
	// unnamed stands for an empty task name.
	unnamed = "unnamed"
	// overflowName is shared in metrics by the names beyond the limit.
	overflowName = "_OTHER"
)

var errNoName = errors.New("worker: a task has no name")

// names holds what the tasks of one name share, for the names of one runner.
// Looking one up takes no lock and no allocation; the map is copied when a name
// is added, which happens at most config.maxTaskNames times.
type names struct {
	limit int
	group *gaugeGroup

	known atomic.Pointer[map[string]*name]

	overflow atomic.Pointer[name] // there once all the others are

	mu       sync.Mutex
	reported bool // that there was a task without a name
}

func newNames(limit int, group *gaugeGroup) *names {
	n := &names{limit: limit, group: group}
	n.known.Store(&map[string]*name{})
	return n
}

// get returns what is known of the tasks of that name, and the name as spans
// have it.
func (n *names) get(raw string) (*name, string) {
	if k := (*n.known.Load())[raw]; k != nil {
		return k, k.span
	}
	if o := n.overflow.Load(); o != nil && raw != "" {
		return o, valid(raw)
	}
	k, span, fault := n.add(raw)
	if fault != nil {
		instrument.Handle(fault) // which may run a task, and so not under the mutex
	}
	return k, span
}

func (n *names) add(raw string) (_ *name, span string, fault error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := *n.known.Load()
	if k := known[raw]; k != nil {
		return k, k.span, nil
	}
	span = valid(raw)
	if raw == "" {
		span = unnamed
		if !n.reported {
			n.reported = true
			fault = errNoName
		}
	}
	if len(known) >= n.limit {
		if n.overflow.Load() == nil {
			n.overflow.Store(newName(overflowName, n.group))
		}
		return n.overflow.Load(), span, fault
	}
	k := newName(span, n.group)
	known = maps.Clone(known)
	known[raw] = k
	n.known.Store(&known)
	return k, span, fault
}

// close gives back the gauges of all names. Names that are added later, by tasks
// that a drained runner does not run, have gauges that nobody looks at.
func (n *names) close() {
	n.mu.Lock()
	group := n.group
	n.group = group.apart()
	n.mu.Unlock()
	for _, k := range n.all() {
		group.release(k.gauge)
	}
}

// all returns every name so far, the one for the overflow included.
func (n *names) all() []*name {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []*name
	for _, k := range *n.known.Load() {
		out = append(out, k)
	}
	if o := n.overflow.Load(); o != nil {
		out = append(out, o)
	}
	return out
}

// name is what the tasks of one name share: everything about them that does
// not change from task to task is made once.
type name struct {
	span  string             // the name as spans have it
	kv    attribute.KeyValue // worker.task.name in metrics
	gauge *gauge

	record  []metric.RecordOption
	results [len(resultNames)][]metric.RecordOption // by a result without an error.type

	// The options of spans, by the code of the function: a name may have
	// several.
	start [4]atomic.Pointer[startOptions]
}

// startOptions are the options of a span whose task has none.
type startOptions struct {
	span string
	pc   uintptr
	kv   []attribute.KeyValue // what every task's span has from its start on
	opts []trace.SpanStartOption
}

func newName(span string, group *gaugeGroup) *name {
	k := &name{span: span, kv: keyTaskName.String(span), gauge: group.gauge(span)}
	set := metric.WithAttributeSet(attribute.NewSet(k.kv))
	k.record = []metric.RecordOption{set}
	for r := range k.results {
		k.results[r] = []metric.RecordOption{metric.WithAttributeSet(k.set(result(r), "", nil))}
	}
	return k
}

// set returns the attributes of worker.task.duration.
func (k *name) set(r result, errorType string, labels []attribute.KeyValue) attribute.Set {
	kv := make([]attribute.KeyValue, 0, 3+len(labels))
	kv = append(kv, labels...)
	kv = append(kv, k.kv, resultAttributes[r][0])
	if errorType != "" {
		kv = append(kv, semconv.ErrorTypeKey.String(errorType))
	}
	return attribute.NewSet(kv...)
}

// duration returns the options of a record of worker.task.duration.
func (k *name) duration(r result, errorType string, labels []attribute.KeyValue) []metric.RecordOption {
	if errorType == "" && len(labels) == 0 {
		return k.results[r]
	}
	return []metric.RecordOption{metric.WithAttributeSet(k.set(r, errorType, labels))}
}

// startOptions returns the options of the span of a task without options. span
// differs from k.span if k stands for the overflow.
func (k *name) startOptions(span string, pc uintptr) *startOptions {
	slot := &k.start[(pc>>5)%uintptr(len(k.start))]
	last := slot.Load()
	if last != nil && last.pc == pc && last.span == span {
		return last
	}
	s := &startOptions{span: span, pc: pc, kv: []attribute.KeyValue{keyTaskName.String(span)}}
	if last != nil && last.pc == pc {
		s.kv = append(s.kv, last.kv[1:]...) // the function's name takes a while to find
	} else if function := functionName(pc); function != "" {
		s.kv = append(s.kv, semconv.CodeFunctionName(function))
	}
	s.opts = []trace.SpanStartOption{trace.WithAttributes(s.kv...)}
	slot.Store(s)
	return s
}

// functionPC returns the entry of the code of a function, 0 for nil.
func functionPC(fn any) uintptr { return reflect.ValueOf(fn).Pointer() }

// functionName returns the name of a function as code.function.name wants it,
// "" if it is not known.
func functionName(pc uintptr) string {
	if pc == 0 {
		return ""
	}
	// The first instruction may be that of a function that was inlined: the
	// function itself is the outermost frame.
	frames := runtime.CallersFrames([]uintptr{pc + 1})
	for {
		frame, more := frames.Next()
		if !more {
			// The compiler marks the function that binds a method to its receiver.
			return strings.TrimSuffix(frame.Function, "-fm")
		}
	}
}

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
			instrument.Handle(fmt.Errorf("worker: label %q was not declared with WithLabelKeys, and is dropped", kv.Key))
		}
	}
	return out
}
