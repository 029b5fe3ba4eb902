package worker

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

const traceParent = "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01"

// A task that comes off a queue has a trace of its own, linked to the one that
// put it there.
func TestCarrier(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithPropagator(w3c))
		c := propagation.MapCarrier{}
		member, err := baggage.NewMember("tenant", "acme")
		if err != nil {
			t.Fatal(err)
		}
		bag, err := baggage.New(member)
		if err != nil {
			t.Fatal(err)
		}
		var sender trace.SpanContext
		_ = b.runner.Run(baggage.ContextWithBaggage(t.Context(), bag), "enqueue", func(ctx context.Context) error {
			sender = trace.SpanContextFromContext(ctx)
			Inject(ctx, c)
			return nil
		})
		if !strings.Contains(c["traceparent"], sender.TraceID().String()) || c["baggage"] != "tenant=acme" {
			t.Fatalf("carrier %v", c)
		}
		work := func(ctx context.Context) error {
			if got := baggage.FromContext(ctx).Member("tenant").Value(); got != "acme" {
				t.Errorf("baggage %q", got)
			}
			return nil
		}
		_ = b.runner.Run(t.Context(), "poll", func(ctx context.Context) error {
			for _, opts := range [][]TaskOption{
				{FromCarrier(c)},
				{ContinueFrom(c), nil},
				{FromCarrier(c), WithSpanKind(trace.SpanKindServer), WithNewRoot()},
			} {
				if err := b.runner.Run(ctx, "work", work, opts...); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		got := b.ended()
		for i, want := range []span{
			{Name: "enqueue", Kind: trace.SpanKindInternal},
			{Name: "work", Kind: trace.SpanKindConsumer, Links: []string{"enqueue"}},
			{Name: "work", Kind: trace.SpanKindConsumer, Parent: "enqueue"},
			{Name: "work", Kind: trace.SpanKindServer, Links: []string{"enqueue"}},
			{Name: "poll", Kind: trace.SpanKindInternal},
		} {
			got[i].Start, got[i].End = nil, nil
			wantEqual(t, "span", got[i], want)
		}
		spans := b.Ended()
		for i, same := range []bool{true, false, true, false, false} {
			if (spans[i].SpanContext().TraceID() == sender.TraceID()) != same {
				t.Errorf("span %d is in the wrong trace", i)
			}
		}
	})
}

// Where there is no trace context, a root has no link, and a child the parent
// that it would have anyway.
func TestCarrierEmpty(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t, WithPropagator(w3c))
		_ = b.runner.Run(t.Context(), "poll", func(ctx context.Context) error {
			for _, c := range []propagation.TextMapCarrier{propagation.MapCarrier{}, propagation.MapCarrier{"traceparent": "bad"}, nil} {
				if err := b.runner.Run(ctx, "root", nothing, FromCarrier(c)); err != nil {
					t.Error(err)
				}
				if err := b.runner.Run(ctx, "child", nothing, ContinueFrom(c)); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		for _, s := range b.ended()[:6] {
			want := ok(s.Name)
			want.Kind = trace.SpanKindConsumer
			if s.Name == "child" {
				want.Parent = "poll"
			}
			wantEqual(t, "span", s, want)
		}
		b.WantHandled()
	})
}

// panickingCarrier panics in whatever it is asked.
type panickingCarrier struct{}

func (panickingCarrier) Get(string) string  { panic("Get") }
func (panickingCarrier) Set(string, string) { panic("Set") }
func (panickingCarrier) Keys() []string     { panic("Keys") }

// nilPropagator returns no context.
type nilPropagator struct{ propagation.TraceContext }

func (nilPropagator) Extract(context.Context, propagation.TextMapCarrier) context.Context { return nil }

func TestCarrierFails(t *testing.T) {
	b := newBackend(t, WithPropagator(w3c))
	if err := b.runner.Run(t.Context(), "load", nothing, FromCarrier(panickingCarrier{})); err != nil {
		t.Error(err)
	}
	b.WantHandled("worker: the propagator panicked with a string")
	_ = b.runner.Run(t.Context(), "load", func(ctx context.Context) error {
		Inject(ctx, panickingCarrier{})
		Inject(ctx, nil)
		return nil
	})
	b.WantHandled("worker: the propagator panicked with a string")
	//nolint:staticcheck // a nil context is what the test is about
	Inject(nil, propagation.MapCarrier{})
	r := b.newRunner(WithPropagator(nilPropagator{}))
	if err := r.Run(t.Context(), "load", nothing, FromCarrier(propagation.MapCarrier{"traceparent": traceParent})); err != nil {
		t.Error(err)
	}
	if n := len(b.ended()); n != 3 {
		t.Errorf("%d spans", n)
	}
}

// Without a propagator, the global one is looked up at each call.
func TestGlobalPropagator(t *testing.T) {
	defer SetDefault(nil)
	old := otel.GetTextMapPropagator()
	defer otel.SetTextMapPropagator(old)
	b := newBackend(t)
	SetDefault(b.runner)
	otel.SetTextMapPropagator(w3c)
	c := propagation.MapCarrier{}
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	Inject(trace.ContextWithSpanContext(t.Context(), sc), c)
	if c["traceparent"] != "00-01000000000000000000000000000000-0200000000000000-01" {
		t.Errorf("carrier %v", c)
	}
	if err := Run(t.Context(), "load", nothing, FromCarrier(c)); err != nil {
		t.Error(err)
	}
	if got := b.ended()[0].Links; len(got) != 1 || got[0] != "remote" {
		t.Errorf("links %v", got)
	}
}

// Whatever a carrier holds, a task runs, and only a valid trace context is
// followed.
func FuzzCarrier(f *testing.F) {
	f.Add(traceParent, "vendor=1", "tenant=acme", false)
	f.Add(traceParent, "", "", true)
	f.Add("00-00000000000000000000000000000000-0102030405060708-01", "=", ";", true)
	f.Add("bad\xff", "a=b,a=b", "%zz=1", false)
	f.Add("00-01000000000000000000000000000000-0200000000000000-00", "", "", true)
	f.Fuzz(func(t *testing.T, parent, state, bag string, asParent bool) {
		b := newBackend(t, WithPropagator(w3c))
		b.Sample(func(p sdktrace.SamplingParameters) sdktrace.SamplingDecision {
			if parent := trace.SpanContextFromContext(p.ParentContext); parent.IsValid() && !parent.IsSampled() {
				return sdktrace.Drop
			}
			return sdktrace.RecordAndSample
		})
		c := propagation.MapCarrier{"traceparent": parent, "tracestate": state, "baggage": bag}
		from := FromCarrier
		if asParent {
			from = ContinueFrom
		}
		calls := 0
		if err := b.runner.Run(t.Context(), "load", func(context.Context) error { calls++; return nil }, from(c)); err != nil || calls != 1 {
			t.Errorf("%d calls, %v", calls, err)
		}
		want := trace.SpanContextFromContext(w3c.Extract(context.Background(), c))
		b.TakeHandled() // the propagator reports bad baggage
		ended := b.Ended()
		if asParent && want.IsValid() && !want.IsSampled() {
			if len(ended) > 0 {
				t.Errorf("a span below a parent that was not sampled")
			}
			return
		}
		s := ended[0]
		switch {
		case !want.IsValid():
			if s.Parent().IsValid() || len(s.Links()) > 0 {
				t.Errorf("parent %v, links %v", s.Parent(), s.Links())
			}
		case asParent:
			if !s.Parent().Equal(want) {
				t.Errorf("parent %v, want %v", s.Parent(), want)
			}
		case len(s.Links()) != 1 || !s.Links()[0].SpanContext.Equal(want) || s.Parent().IsValid():
			t.Errorf("parent %v, links %v, want %v", s.Parent(), s.Links(), want)
		}
	})
}

func TestNewRoot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBackend(t)
		_ = b.runner.Run(t.Context(), "outer", func(ctx context.Context) error {
			_ = b.runner.Run(ctx, "root", nothing, WithNewRoot())
			return b.runner.Run(ctx, "kind", nothing, WithSpanKind(trace.SpanKindProducer))
		}, WithNewRoot(), WithAttributes(attribute.Int("n", 1)))
		root, kind := ok("root"), ok("kind")
		root.Links = []string{"outer"}
		kind.Parent, kind.Kind = "outer", trace.SpanKindProducer
		outer := b.ended()[2]
		b.WantSpans(root, kind, outer)
		if outer.Parent != "" || outer.Links != nil {
			t.Errorf("%+v", outer)
		}
	})
}
