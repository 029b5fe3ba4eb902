package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/internal/oteltest"
)

// forest runs random trees of tasks, and keeps its own account of them.
type forest struct {
	t    *testing.T
	b    *backend
	over chan struct{} // closed when all tasks have ended, for late writers
	late sync.WaitGroup

	serial     atomic.Int64
	mu         sync.Mutex
	tasks      int
	results    map[string]uint64
	operations map[trace.SpanID]int64
	origins    int // errors and panics that began somewhere
}

// originError is an error that is returned once as it is.
type originError struct{ serial int64 }

func (e *originError) Error() string { return fmt.Sprint("error ", e.serial) }

// node is one task: what it does after its children is drawn beforehand, so
// that a run does not depend on who is scheduled when.
type node struct {
	*forest
	rnd   *rand.Rand
	depth int
}

func (n node) child() node {
	return node{n.forest, rand.New(rand.NewPCG(n.rnd.Uint64(), n.rnd.Uint64())), n.depth + 1}
}

func (n node) name() string { return fmt.Sprint("task ", n.rnd.IntN(4)) }

// end notes how a task is about to end, and how much was done in it.
func (n node) end(ctx context.Context, result string, total int64, origin bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tasks++
	n.results[result]++
	n.operations[trace.SpanContextFromContext(ctx).SpanID()] = total
	if origin {
		n.origins++
	}
}

// body is the function of a task. It leaves in total how many operations there
// were in it, and below it.
func (n node) body(ctx context.Context, cancel context.CancelFunc, total *int64) error {
	own := n.rnd.IntN(30)
	for i := range own {
		e := ledger.Entry{Duration: 1}
		if i%5 > 0 {
			e.Text = textOf(fmt.Sprint("SELECT ", i%3))
		}
		ledger.FromContext(ctx).Record(e)
	}
	*total = int64(own)
	var (
		failed *originError
		p      *errs.PanicError
	)
	if n.depth < 3 {
		for range n.rnd.IntN(4) {
			below, err := n.child().run(ctx)
			*total += below
			_ = errors.As(err, &failed)
			_ = errors.As(err, &p)
		}
	}
	if n.rnd.IntN(4) == 0 {
		n.late.Go(func() {
			<-n.over
			rows := new(openRows)
			l := ledger.FromContext(ctx)
			rows.open(ctx, "SELECT late")
			l.Record(ledger.Entry{Text: textOf("SELECT late")})
			if rows.ended > 0 {
				n.t.Error("rows that were opened late have leaked")
			}
			trace.SpanFromContext(ctx).AddEvent("late")
		})
	}
	origin := &originError{n.serial.Add(1)}
	switch how := n.rnd.IntN(10); {
	case how == 0:
		n.end(ctx, "failure", *total, true)
		return origin
	case how == 1 && failed != nil:
		n.end(ctx, "failure", *total, false)
		return fmt.Errorf("around: %w", failed)
	case how == 2:
		n.end(ctx, "panic", *total, true)
		panic(origin.Error())
	case how == 3 && p != nil:
		n.end(ctx, "panic", *total, false)
		panic(p)
	case how == 4:
		n.end(ctx, "failure", *total, false) // a Goexit is counted by its type
		runtime.Goexit()
	case how == 5:
		cancel()
		n.end(ctx, "cancellation", *total, false)
		return context.Canceled
	case how == 6:
		n.end(ctx, "skip", *total, false)
		return Skip(nil)
	}
	n.end(ctx, "success", *total, false)
	return nil
}

// run runs a task, or a group of them, in one of the ways there are. It returns
// the operations in it, and an error or a panic as an error.
func (n node) run(ctx context.Context) (total int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	fn := func(ctx context.Context) error { return n.body(ctx, cancel, &total) }
	value := func(ctx context.Context) (*int64, error) { return &total, fn(ctx) }
	with := WithRunner(n.b.runner)

	// Wait and the synchronous forms panic, and the latter may exit.
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		defer func() {
			if v := recover(); v != nil {
				// Any other value that is raised again here is another panic.
				if p, ok := v.(*errs.PanicError); ok {
					err = p
				}
			}
		}()
		switch n.rnd.IntN(5) {
		case 0:
			err = Run(ctx, n.name(), fn, with)
		case 1:
			_, err = Do(ctx, n.name(), value, with)
		case 2:
			_, err = Wrap(n.name(), func(ctx context.Context, _ int) (*int64, error) { return value(ctx) }, with)(ctx, 1)
		case 3:
			_, err = Go(ctx, n.name(), value, with).Wait()
		case 4:
			g, _ := NewGroup(ctx)
			g.SetLimit(1 + n.rnd.IntN(3))
			totals := make([]int64, 1+n.rnd.IntN(4))
			// The total counts also if Wait panics.
			defer func() {
				for _, sum := range totals {
					total += sum
				}
			}()
			for i := range totals {
				c := n.child()
				g.Go(n.name(), func(ctx context.Context) error { return c.body(ctx, cancel, &totals[i]) }, with)
			}
			err = g.Wait()
		}
	}()
	<-done
	return total, err
}

func TestForest(t *testing.T) {
	for seed := range uint64(60) {
		b := newBackend(t, WithRepeatedStatements(0))
		f := &forest{t: t, b: b, over: make(chan struct{}), results: make(map[string]uint64), operations: make(map[trace.SpanID]int64)}
		rnd := rand.New(rand.NewPCG(seed, 0))
		var wg sync.WaitGroup
		for range 4 {
			n := node{f, rand.New(rand.NewPCG(rnd.Uint64(), 0)), 0}
			wg.Go(func() { _, _ = n.run(t.Context()) })
		}
		wg.Wait()
		close(f.over)
		f.late.Wait()
		f.check(seed)
		if err := b.runner.Drain(t.Context()); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if t.Failed() {
			return
		}
	}
}

// check compares what was exported with the forest's own account.
func (f *forest) check(seed uint64) {
	f.t.Helper()
	f.b.ended() // as many as started
	spans := f.b.Ended()
	if len(spans) != f.tasks {
		f.t.Errorf("seed %d: %d spans of %d tasks", seed, len(spans), f.tasks)
	}
	exceptions := 0
	for _, s := range spans {
		attrs := oteltest.AttrsOf(s.Attributes())
		got, _ := attrs["worker.task.db.operations"].(int64)
		if want := f.operations[s.SpanContext().SpanID()]; got != want {
			f.t.Errorf("seed %d: %d operations in %s, want %d", seed, got, s.Name(), want)
		}
		for _, e := range s.Events() {
			if e.Name != "exception" {
				f.t.Errorf("seed %d: event %v", seed, e)
			} else if oteltest.AttrsOf(e.Attributes)["exception.type"] != typeGoexit {
				exceptions++
			}
		}
	}
	records := 0
	for _, r := range f.b.log.records {
		if r.Attrs["exception.type"] != typeGoexit {
			records++
		}
	}
	if exceptions != f.origins || records != f.origins {
		f.t.Errorf("seed %d: %d exceptions and %d records of %d", seed, exceptions, records, f.origins)
	}
	results := make(map[string]uint64)
	got := f.b.Collect()
	for _, p := range got["worker.task.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		v, _ := p.Attributes.Value(keyTaskResult)
		results[v.AsString()] += p.Count
	}
	wantEqual(f.t, fmt.Sprint("results of seed ", seed), results, f.results)
	for _, p := range got["worker.task.active"].Data.(metricdata.Sum[int64]).DataPoints {
		if p.Value != 0 {
			f.t.Errorf("seed %d: %v", seed, p)
		}
	}
	if m, ok := got["worker.task.oldest.age"]; ok {
		f.t.Errorf("seed %d: %v", seed, m)
	}
}
