package worker

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
)

// A runner without providers follows each global one that is set, with all of its gauges, and is never on two,
// whether or not the one before was shut down. One with a provider of its own stays there.
func TestProvidersThatAreSetAgain(t *testing.T) {
	if !alone(t) {
		return
	}
	r, err := New(WithSchedule("load", time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	SetDefault(r)
	end := make(chan struct{})
	held := Go(t.Context(), "held", func(context.Context) (int, error) { <-end; return 0, nil })
	none := []string{}
	gauges := func(b *backend) []string {
		names := none
		for _, name := range []string{oldestAge, lastSuccess, interval, scheduleStart} {
			if len(b.gauges()[name]) > 0 {
				names = append(names, name)
			}
		}
		return names
	}
	all := []string{oldestAge, lastSuccess, interval, scheduleStart}
	set := func(b *backend) {
		otel.SetTracerProvider(b.TracerProvider)
		otel.SetMeterProvider(b.MeterProvider)
	}
	use := func(b *backend) {
		t.Helper()
		before := len(b.ended())
		if err := Run(t.Context(), "load", nothing); err != nil {
			t.Fatal(err)
		}
		if spans := b.ended()[before:]; len(spans) != 1 || spans[0].Name != "load" {
			t.Errorf("the spans %v", spans)
		}
		wantEqual(t, "gauges", gauges(b), all)
		b.WantMetric(activeMetric(map[string]int64{"load": 0, "held": 1}))
	}
	first, second, third := newBackend(t), newBackend(t), newBackend(t)
	for _, b := range []*backend{first, second, third} {
		_ = b.runner.Drain(t.Context()) // they are for providers here
	}
	set(first)
	use(first)
	set(second) // the first one lives
	use(second)
	wantEqual(t, "gauges of the first provider", gauges(first), none)
	if err := errors.Join(second.TracerProvider.Shutdown(t.Context()), second.MeterProvider.Shutdown(t.Context())); err != nil {
		t.Fatal(err)
	}
	set(third)
	use(third)

	// Without a task, a collection by the provider before is enough.
	set(first)
	gauges(third)
	for len(gauges(first)) < len(all) {
		runtime.Gosched()
	}
	wantEqual(t, "gauges of the third provider", gauges(third), none)
	wantEqual(t, "gauges without a task", gauges(first), all)

	// One whose provider was given to it shares the callback while that is the global one, and stays when it is not.
	own, err := New(WithMeterProvider(first.MeterProvider), WithTracerProvider(first.TracerProvider))
	if err != nil {
		t.Fatal(err)
	}
	use(first)
	set(third)
	if err := own.Run(t.Context(), "load", nothing); err != nil {
		t.Error(err)
	}
	use(third)
	wantEqual(t, "gauges of a provider of its own", gauges(first), all)
	close(end)
	if _, err := held.Wait(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(own.Drain(t.Context()), r.Drain(t.Context())); err != nil {
		t.Error(err)
	}
	for _, b := range []*backend{first, third} {
		wantEqual(t, "gauges of a drained runner", gauges(b), none)
	}
}
