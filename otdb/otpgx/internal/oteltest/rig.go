package oteltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the instrumentation scope of what a rig compares.
type Scope struct{ Name, Version, SchemaURL string }

// Rig holds everything that is exported: what samplers see of spans, the spans,
// the metrics, and what is reported to otel.Handle. It may be used concurrently.
type Rig struct {
	*Handled

	T testing.TB
	// Scope is that of the spans and metrics that are compared. Spans of others
	// are kept to be searched, and for the names of parents.
	Scope Scope
	// Ignore has attributes that spans are compared without, where they depend on
	// the real clock.
	Ignore []attribute.Key
	// Lengths has spans compared with their lengths, where the clock is the test's.
	Lengths        bool
	TracerProvider *sdktrace.TracerProvider
	MeterProvider  *sdkmetric.MeterProvider
	Reader         *sdkmetric.ManualReader

	mu      sync.Mutex
	decide  func(sdktrace.SamplingParameters) sdktrace.SamplingDecision
	sampled []sdktrace.SamplingParameters // what the sampler saw, in order
	starts  map[trace.SpanID][]attribute.KeyValue
	names   map[trace.SpanID]string
	ended   []sdktrace.ReadOnlySpan
	taken   int           // spans that TakeSpans has returned
	end     chan struct{} // signals that a span has ended
}

// New returns a rig that samples every span. At the end of the test it shuts its
// providers down, and fails the test if anything is left in otel.Handle. The
// options are further ones of its TracerProvider.
func New(t testing.TB, scope Scope, opts ...sdktrace.TracerProviderOption) *Rig {
	t.Helper()
	r := &Rig{
		T: t, Scope: scope,
		starts: make(map[trace.SpanID][]attribute.KeyValue),
		names:  make(map[trace.SpanID]string),
		end:    make(chan struct{}, 1),
	}
	r.TracerProvider = sdktrace.NewTracerProvider(append(opts, sdktrace.WithSampler(sampler{r}), sdktrace.WithSpanProcessor(processor{r}))...)
	r.Reader = sdkmetric.NewManualReader()
	r.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.Reader))
	t.Cleanup(func() {
		// The context must outlive the test's own, which may have shut them down.
		err := errors.Join(r.TracerProvider.Shutdown(context.Background()), r.MeterProvider.Shutdown(context.Background()))
		if err != nil && !errors.Is(err, sdkmetric.ErrReaderShutdown) {
			t.Errorf("shutdown: %v", err)
		}
	})
	r.Handled = RecordHandled(t)
	return r
}

// Start starts a span around what the test does.
func (r *Rig) Start(name string) (context.Context, trace.Span) {
	return r.TracerProvider.Tracer("test").Start(context.Background(), name)
}

// Sample replaces the sampler's decision, which is to record everything.
func (r *Rig) Sample(decide func(sdktrace.SamplingParameters) sdktrace.SamplingDecision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decide = decide
}

type sampler struct{ *Rig }

func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Attributes = slices.Clone(p.Attributes)
	s.sampled = append(s.sampled, p)
	decision := sdktrace.RecordAndSample
	if s.decide != nil {
		decision = s.decide(p)
	}
	return sdktrace.SamplingResult{Decision: decision, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

func (sampler) Description() string { return "rig" }

type processor struct{ *Rig }

// OnStart takes the sampler's last look for the span's: tests start spans one
// after the other, or do not look at start attributes.
func (p processor) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts[s.SpanContext().SpanID()] = p.sampled[len(p.sampled)-1].Attributes
	p.names[s.SpanContext().SpanID()] = s.Name()
}

func (p processor) OnEnd(s sdktrace.ReadOnlySpan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = append(p.ended, s)
	select {
	case p.end <- struct{}{}:
	default: // there is a signal already
	}
}

func (processor) Shutdown(context.Context) error   { return nil }
func (processor) ForceFlush(context.Context) error { return nil }

// Ended returns the spans of all scopes that have ended, in the order of their ends.
func (r *Rig) Ended() []sdktrace.ReadOnlySpan {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ended)
}

// Started returns how many spans of all scopes were started and recorded.
func (r *Rig) Started() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.starts)
}

// Spans returns the spans of the rig's scope that have ended, in the order of
// their ends.
func (r *Rig) Spans() []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(r.Ended(), func(s sdktrace.ReadOnlySpan) bool { return s.InstrumentationScope().Name != r.Scope.Name })
}

// TakeSpans returns the spans that have ended since the last call.
func (r *Rig) TakeSpans() []sdktrace.ReadOnlySpan {
	all := r.Spans()
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.taken
	r.taken = len(all)
	return all[taken:]
}

// Untake has the next TakeSpans return all spans once more.
func (r *Rig) Untake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = 0
}

// WaitSpans waits until n spans have ended, and returns them.
func (r *Rig) WaitSpans(n int) []sdktrace.ReadOnlySpan {
	r.T.Helper()
	timeout := time.After(10 * time.Second)
	for {
		if spans := r.Spans(); len(spans) >= n {
			return spans
		}
		select {
		case <-r.end:
		case <-timeout:
			r.T.Fatalf("%d spans after 10 s, want %d", len(r.Spans()), n)
		}
	}
}

// WantSpans checks that these and no other spans have ended since the last call,
// in this order, and that nothing about them is different.
func (r *Rig) WantSpans(want ...Span) {
	r.T.Helper()
	var got, wanted []string
	for _, s := range r.TakeSpans() {
		got = append(got, r.Text(s))
	}
	for _, w := range want {
		wanted = append(wanted, w.text(r.Scope))
	}
	Diff(r.T, "spans", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
}

// Everything returns all that was exported or reported, spelt out.
func (r *Rig) Everything() string {
	r.T.Helper()
	var all strings.Builder
	r.mu.Lock()
	for _, p := range r.sampled {
		fmt.Fprintln(&all, p.Name, KeyValues(p.Attributes))
	}
	for _, s := range r.ended {
		fmt.Fprintln(&all, s.Name(), KeyValues(s.Attributes()), s.Status(), s.Links(), KeyValues(s.Resource().Attributes()))
		for _, e := range s.Events() {
			fmt.Fprintln(&all, e.Name, KeyValues(e.Attributes))
		}
	}
	r.mu.Unlock()
	for _, err := range r.Errors() {
		fmt.Fprintln(&all, err)
	}
	for _, s := range r.collect().ScopeMetrics {
		for _, m := range s.Metrics {
			fmt.Fprintf(&all, "%+v\n", m)
			for _, set := range AttributeSets(m.Data) {
				fmt.Fprintln(&all, KeyValues(set.ToSlice()))
			}
		}
	}
	return all.String()
}

// WantNothingOf fails the test if a secret is anywhere in what is exported.
func (r *Rig) WantNothingOf(secrets ...string) {
	r.T.Helper()
	all := r.Everything()
	for _, secret := range secrets {
		if i := strings.Index(all, secret); i >= 0 {
			r.T.Errorf("%s is exported: …%s…", strconv.Quote(secret), all[max(0, i-80):min(len(all), i+len(secret)+80)])
		}
	}
}

// Diff fails the test with both texts if they differ.
func Diff(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s differ\n--- got\n%s\n--- want\n%s", what, got, want)
	}
}
