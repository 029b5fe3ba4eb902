package telemetry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// With nobody listening at the endpoint, everything works but the export, and its failure is told.
func TestCollectorDown(t *testing.T) {
	captureErrors(t)
	tel, err := start(t, map[string]string{envOTLPEndpoint: "http://" + freeAddr(t)})
	if err != nil {
		t.Fatal(err)
	}
	if sc := record(t); !sc.IsSampled() {
		t.Error("not sampled")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = tel.Shutdown(ctx)
	if err == nil || ctx.Err() != nil {
		t.Fatalf("%v, context %v", err, ctx.Err())
	}
	for _, part := range []string{"traces", "metrics", "logs"} {
		if !strings.Contains(err.Error(), "telemetry: stopping "+part+": ") {
			t.Errorf("nothing about %s in %v", part, err)
		}
	}
	if again := tel.Shutdown(context.Background()); again != err { // the identical one
		t.Errorf("second call: %v", again)
	}
}

// silentCollector accepts connections and never answers.
func silentCollector(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
		for _, c := range conns {
			c.Close()
		}
	})
	return "http://" + l.Addr().String()
}

// A collector that hangs delays the program by what ctx allows and no more, and each signal gets its share.
func TestCollectorHangs(t *testing.T) {
	captureErrors(t)
	tel, err := start(t, map[string]string{envOTLPEndpoint: silentCollector(t)}, WithMetricsAddr("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	record(t)
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 600*time.Millisecond)
	defer cancel()
	err = tel.Shutdown(ctx)
	if elapsed := time.Since(begin); elapsed > 5*time.Second {
		t.Errorf("it took %v", elapsed)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// Telemetry that cannot be stopped any more is still let go of.
func TestShutdownWithDoneContext(t *testing.T) {
	captureErrors(t)
	addr := freeAddr(t)
	tel, err := start(t, map[string]string{envOTLPEndpoint: silentCollector(t)}, WithMetricsAddr(addr))
	if err != nil {
		t.Fatal(err)
	}
	record(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := tel.Shutdown(ctx); !errors.Is(err, context.Canceled) || err.Error() != "telemetry: shutdown: context canceled" {
		t.Errorf("%v", err)
	}
	tel.Shutdown(context.Background()) //nolint:errcheck // only to wait
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// A cancellation while spans are flushed still stops the processors.
func TestShutdownCancelledDuringFlush(t *testing.T) {
	p := &flushingProcessor{flushing: make(chan struct{})}
	tel, err := start(t, nil, WithSpanProcessor(p))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-p.flushing
		cancel()
	}()
	if err := tel.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	tel.Shutdown(context.Background()) //nolint:errcheck // only to wait
	if p.shutdowns != 1 {
		t.Errorf("stopped %d times", p.shutdowns)
	}
}

// flushingProcessor flushes until it is told to stop.
type flushingProcessor struct {
	countingProcessor
	flushing chan struct{}
}

func (p *flushingProcessor) ForceFlush(ctx context.Context) error {
	close(p.flushing)
	<-ctx.Done()
	return ctx.Err()
}

func TestShutdownOrderAndShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errB := errors.New("b is broken")
		begin := time.Now()
		var order []string
		var deadlines []time.Duration
		var p parts
		stop := func(name string, takes time.Duration, err error) {
			p.add(name, func(ctx context.Context) error {
				order = append(order, name)
				deadline, ok := ctx.Deadline()
				if !ok {
					t.Errorf("%s: no deadline", name)
				}
				deadlines = append(deadlines, deadline.Sub(begin))
				select {
				case <-time.After(takes):
					return err
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		}
		stop("a", 0, nil)
		stop("b", time.Second, errB)
		stop("c", time.Hour, nil) // hangs
		err := p.shutdown(context.Background())

		if !slices.Equal(order, []string{"c", "b", "a"}) {
			t.Errorf("order %q", order)
		}
		// Ten seconds: c may have 3, b half of nine tenths of the remaining 7, a nine tenths of 6 after b's 1.
		want := []time.Duration{3 * time.Second, 3*time.Second + 3150*time.Millisecond, 4*time.Second + 5400*time.Millisecond}
		if !slices.Equal(deadlines, want) {
			t.Errorf("deadlines %v, want %v", deadlines, want)
		}
		if text := "telemetry: stopping c: context deadline exceeded\ntelemetry: stopping b: b is broken"; err == nil || err.Error() != text {
			t.Errorf("%v", err)
		}
		if !errors.Is(err, errB) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v does not wrap what it is about", err)
		}
	})
}

// A part that does not heed its context holds nobody up; concurrent callers get the same result.
func TestShutdownOfDeafPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDeaf := errors.New("at last")
		calls := 0
		var p parts
		p.add("deaf", func(context.Context) error {
			calls++
			time.Sleep(time.Minute)
			return errDeaf
		})
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if elapsed := time.Since(begin); elapsed != time.Second {
			t.Errorf("it took %v", elapsed)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := p.shutdown(context.Background()); !errors.Is(err, errDeaf) {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		if err := p.shutdown(ctx); !errors.Is(err, errDeaf) { // although ctx is done
			t.Errorf("%v", err)
		}
		if calls != 1 {
			t.Errorf("stopped %d times", calls)
		}
	})
}

func TestShareOfContextWithoutDeadline(t *testing.T) {
	ctx, cancel := share(context.Background(), 2)
	defer cancel()
	if _, ok := ctx.Deadline(); ok {
		t.Error("a deadline out of nowhere")
	}
}

// A scrape that does not end is cut off.
func TestListenerCutsOffScrapes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	stop := serveMetrics(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	}))
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, _, err := httpGet("http://" + l.Addr().String() + "/metrics"); err == nil {
			t.Error("the scrape was answered")
		}
	})
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	wg.Wait()
	close(release)
}

func TestListenerFails(t *testing.T) {
	errs := captureErrors(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	stop := serveMetrics(l, http.NotFoundHandler())
	<-errs.some // a stop before that would be the reason instead
	if err := stop(context.Background()); err != nil {
		t.Error(err)
	}
	if got := errs.all()[0].Error(); !strings.HasPrefix(got, "telemetry: serving metrics on 127.0.0.1:") {
		t.Errorf("%s", got)
	}
}

// A processor of the program's is shut down exactly once.
type countingProcessor struct{ shutdowns int }

func (*countingProcessor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (*countingProcessor) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (*countingProcessor) ForceFlush(context.Context) error                { return nil }
func (p *countingProcessor) Shutdown(context.Context) error {
	p.shutdowns++
	return nil
}

func TestProcessorIsShutDownOnce(t *testing.T) {
	p := &countingProcessor{}
	tel, err := start(t, nil, WithSpanProcessor(p))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if p.shutdowns != 1 {
		t.Errorf("%d times", p.shutdowns)
	}
}
