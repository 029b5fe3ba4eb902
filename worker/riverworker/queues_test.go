package riverworker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel"
)

// queueLines are the series of a queue: its age, and its jobs by state.
func queueLines(queue string, age any, jobs map[rivertype.JobState]int) []string {
	if queue != "" {
		queue = "messaging.destination.name=" + queue + ","
	}
	lines := []string{fmt.Sprintf("river.queue.oldest.age s {%smessaging.system=river} %v", queue, age)}
	for _, s := range observedStates {
		lines = append(lines, fmt.Sprintf("river.queue.jobs {job} {%smessaging.system=river,river.job.state=%s} %d", queue, s, jobs[s]))
	}
	return lines
}

// roundAges makes ages that are at least an hour comparable.
func roundAges(lines []string) []string {
	for i, line := range lines {
		name, value := line[:strings.LastIndex(line, " ")], line[strings.LastIndex(line, " ")+1:]
		if seconds, err := time.ParseDuration(value + "s"); err == nil && strings.HasPrefix(name, "river.queue.oldest.age") && seconds >= time.Hour {
			lines[i] = name + " " + fmt.Sprint(seconds.Round(time.Hour))
		}
	}
	slices.Sort(lines)
	return lines
}

// TestObserveQueues fills queues that the client does not work.
func TestObserveQueues(t *testing.T) {
	o := observe(t, nil)
	q := startQueue(t, o, nil, func(c *river.Config) {
		c.Queues = map[string]river.QueueConfig{"other": {MaxWorkers: 1}}
	})
	testObserveQueues(t, o, q.client)
}

// testObserveQueues inserts jobs through a client that works none of them.
func testObserveQueues[TTx any](t *testing.T, o *observed, client *river.Client[TTx]) {
	stop, err := ObserveQueues(client, WithMeterProvider(o.meters))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	late := time.Now().Add(-3 * time.Hour)
	for _, opts := range []river.InsertOpts{
		{ScheduledAt: late},
		{ScheduledAt: late.Add(time.Hour)},
		{Queue: "slow", ScheduledAt: time.Now().Add(time.Hour)},
		{Queue: "slow", Pending: true},
	} {
		if _, err := client.Insert(t.Context(), args{"a"}, &opts); err != nil {
			t.Fatal(err)
		}
	}
	// River's scheduler does this, when it runs.
	if err := client.Driver().GetExecutor().Exec(t.Context(),
		"UPDATE river_job SET state = 'available' WHERE state = 'scheduled' AND queue = 'default'"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range o.scopeMetrics() {
		if strings.HasPrefix(line, "river.") {
			got = append(got, line)
		}
	}
	got = roundAges(got)
	want := slices.Concat(
		queueLines("default", 3*time.Hour, map[rivertype.JobState]int{"available": 2}),
		queueLines("slow", 0, map[rivertype.JobState]int{"scheduled": 1, "pending": 1}))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the gauges are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	stop()
	stop()
	for _, line := range o.scopeMetrics() {
		if strings.HasPrefix(line, "river.") {
			t.Errorf("after stop there is %s", line)
		}
	}
}

func TestObserveQueuesErrors(t *testing.T) {
	if stop, err := ObserveQueues[any](nil); err == nil || stop == nil {
		t.Errorf("of no client: %v", err)
	}
	if _, err := queuesStatement("oracle", ""); err == nil {
		t.Error("of an unknown database there is a statement")
	}
	for _, database := range []string{"postgres", "sqlite"} {
		s, err := queuesStatement(database, `a"b`)
		if err != nil || !strings.Contains(s, `FROM "a""b".river_job WHERE`) {
			t.Errorf("%v: %s", err, s)
		}
	}
}

// TestQueuesReader looks at when the queues are read, and at what is seen if that
// fails, takes too long or does not end.
func TestQueuesReader(t *testing.T) {
	var mu sync.Mutex
	var handled []string
	previous := otel.GetErrorHandler()
	defer otel.SetErrorHandler(previous)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		handled = append(handled, err.Error())
	}))
	synctest.Test(t, func(t *testing.T) {
		o := observe(t, nil)
		reads := 0
		var next func(context.Context) ([]queueReading, error)
		set := func(f func(context.Context) ([]queueReading, error)) {
			mu.Lock()
			defer mu.Unlock()
			next = f
		}
		set(func(context.Context) ([]queueReading, error) { return nil, nil })
		stop, err := observeQueues(newConfig([]Option{WithMeterProvider(o.meters)}), func(ctx context.Context) ([]queueReading, error) {
			mu.Lock()
			reads++
			f := next
			mu.Unlock()
			return f(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
		expect := func(wantReads int, takes time.Duration, want ...string) {
			t.Helper()
			before := time.Now()
			o.expectMetrics(want...)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if reads != wantReads || time.Since(before) != takes {
				t.Errorf("%d reads, want %d; it took %v, want %v", reads, wantReads, time.Since(before), takes)
			}
		}
		expect(1, 0)
		time.Sleep(queuesPause)
		set(func(context.Context) ([]queueReading, error) {
			return []queueReading{{"a", "available", 3, 7.5}, {"a", "running", 1, 90}}, nil
		})
		full := queueLines("a", 7.5, map[rivertype.JobState]int{"available": 3, "running": 1})
		expect(2, 0, full...)
		expect(2, 0, full...) // not read again so soon
		time.Sleep(queuesPause)
		set(func(context.Context) ([]queueReading, error) { return nil, nil })
		expect(3, 0, queueLines("a", 0, nil)...) // it is empty, and still there

		time.Sleep(queuesPause)
		set(func(context.Context) ([]queueReading, error) { return nil, errors.New("hunter2-canary") })
		expect(4, 0)
		time.Sleep(queuesPause)
		set(func(context.Context) ([]queueReading, error) { panic("hunter2-canary") })
		expect(5, 0)
		time.Sleep(queuesPause)
		set(func(ctx context.Context) ([]queueReading, error) { <-ctx.Done(); return nil, ctx.Err() })
		expect(6, queuesTimeout)

		// A driver that does not listen to its context.
		time.Sleep(queuesPause)
		hung := make(chan struct{})
		next = func(context.Context) ([]queueReading, error) {
			<-hung
			return []queueReading{{"b", "pending", 1, 0}}, nil
		}
		expect(7, queuesTimeout)
		time.Sleep(queuesPause)
		expect(7, queuesTimeout) // there is never more than one
		close(hung)
		synctest.Wait()
		expect(7, 0, slices.Concat(queueLines("a", 0, nil), queueLines("b", 0, map[rivertype.JobState]int{"pending": 1}))...)
		stop()
		time.Sleep(queuesPause)
		expect(7, 0)
	})
	if len(handled) != 3 {
		t.Errorf("%d errors were reported: %q", len(handled), handled)
	}
	for _, h := range handled {
		if strings.Contains(h, "hunter2") {
			t.Errorf("reported %q", h)
		}
	}
}

// TestTooManyQueues counts the jobs of queues that have no name together.
func TestTooManyQueues(t *testing.T) {
	o := observe(t, nil)
	stop, err := observeQueues(newConfig([]Option{WithMeterProvider(o.meters)}), func(context.Context) (out []queueReading, err error) {
		for i := range maxQueues + 3 {
			out = append(out, queueReading{fmt.Sprint("q", i), "available", 2, float64(i)})
		}
		return out, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	lines := o.scopeMetrics()
	if want := (maxQueues + 1) * (1 + len(observedStates)); len(lines) != want {
		t.Errorf("%d series, want %d", len(lines), want)
	}
	for _, want := range queueLines("", maxQueues+2, map[rivertype.JobState]int{"available": 6}) {
		if !slices.Contains(lines, want) {
			t.Errorf("%s is missing", want)
		}
	}
}
