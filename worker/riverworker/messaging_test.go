package riverworker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

const (
	insertSeries = "messaging.client.operation.duration s {%smessaging.operation.name=insert,messaging.operation.type=send,messaging.system=river} %d"
	sentSeries   = "messaging.client.sent.messages {message} {%smessaging.operation.name=insert,messaging.system=river} %d"
	workSeries   = "messaging.process.duration s {%smessaging.operation.name=work,messaging.system=river} %d"

	toDefault = "messaging.destination.name=default,"
	toSlow    = "messaging.destination.name=slow,"
)

// TestMessagingMetrics inserts jobs alone, at once and in transactions, of which
// one is rolled back, and lets them be worked.
func TestMessagingMetrics(t *testing.T) {
	q := startQueue(t, observe(t, nil), func(_ context.Context, _ *queue, job *river.Job[args]) error {
		if job.Args.Step == "fail" {
			return errors.New("no")
		}
		return nil
	})
	q.insert(t.Context(), args{"a"}, nil)
	q.insert(t.Context(), args{"fail"}, &river.InsertOpts{MaxAttempts: 1})
	many := []river.InsertManyParams{{Args: args{"b"}}, {Args: args{"c"}, InsertOpts: &river.InsertOpts{Queue: "slow"}}}
	for _, commit := range []bool{true, false} {
		tx, err := q.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.client.InsertTx(t.Context(), tx, args{"d"}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := q.client.InsertManyTx(t.Context(), tx, many); err != nil {
			t.Fatal(err)
		}
		if _, err := q.client.InsertManyFastTx(t.Context(), tx, many[:1]); err != nil {
			t.Fatal(err)
		}
		if commit {
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		q.next()
	}
	q.stop()
	q.expectMetrics(
		fmt.Sprintf(insertSeries, toDefault, 6),
		fmt.Sprintf(insertSeries, "", 2),
		fmt.Sprintf(sentSeries, toDefault, 8),
		fmt.Sprintf(sentSeries, toSlow, 2),
		fmt.Sprintf(workSeries, toDefault, 4),
		fmt.Sprintf(workSeries, toSlow, 1),
		fmt.Sprintf(workSeries, "error.type=*errors.errorString,"+toDefault, 1),
	)
}

// TestProcessDuration compares the error.type of attempts with what the span has.
func TestProcessDuration(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, tt := range map[string]struct {
		ctx       context.Context
		f         func(context.Context) error
		errorType string
	}{
		"success":      {t.Context(), succeed, ""},
		"failure":      {t.Context(), func(context.Context) error { return errors.New("x") }, "error.type=*errors.errorString,"},
		"snooze":       {t.Context(), func(context.Context) error { return river.JobSnooze(time.Hour) }, ""},
		"cancel":       {t.Context(), func(context.Context) error { return river.JobCancel(errors.New("x")) }, ""},
		"cancellation": {stopped, func(ctx context.Context) error { return ctx.Err() }, ""},
		"panic":        {t.Context(), func(context.Context) error { panic("x") }, "error.type=panic,"},
		"Goexit":       {t.Context(), func(context.Context) error { runtime.Goexit(); return nil }, "error.type=runtime.Goexit,"},
	} {
		t.Run(name, func(t *testing.T) {
			o := observe(t, nil)
			func() {
				defer func() { _ = recover() }()
				_ = o.plugin.Work(tt.ctx, row(nil), tt.f)
			}()
			o.expectMetrics(fmt.Sprintf(workSeries, tt.errorType+toDefault, 1))
			want := ""
			if kind, ok := o.ended()[0].attributes["error.type"]; ok {
				want = fmt.Sprintf("error.type=%s,", kind)
			}
			if tt.errorType != want {
				t.Errorf("the span has %q, the metric %q", want, tt.errorType)
			}
		})
	}
}

// TestInsertMetrics inserts a duplicate, and something that fails.
func TestInsertMetrics(t *testing.T) {
	o := observe(t, nil)
	params := []*rivertype.JobInsertParams{{Kind: "report", Queue: "default"}}
	for _, err := range []error{nil, errors.New("no")} {
		_, _ = o.plugin.InsertMany(t.Context(), params, func(context.Context) ([]*rivertype.JobInsertResult, error) {
			return []*rivertype.JobInsertResult{{Job: row(nil), UniqueSkippedAsDuplicate: err == nil}}, err
		})
	}
	o.expectMetrics(
		fmt.Sprintf(insertSeries, toDefault, 1),
		fmt.Sprintf(insertSeries, "error.type=*errors.errorString,"+toDefault, 1),
		fmt.Sprintf(sentSeries, "error.type=*errors.errorString,"+toDefault, 1),
	)
}

// TestManyQueues inserts into more queues than are distinguished.
func TestManyQueues(t *testing.T) {
	o := observe(t, nil)
	for i := range maxQueues + 2 {
		params := []*rivertype.JobInsertParams{{Kind: "report", Queue: fmt.Sprint("q", i)}}
		_, _ = o.plugin.InsertMany(t.Context(), params, func(context.Context) ([]*rivertype.JobInsertResult, error) { return nil, nil })
	}
	lines := o.scopeMetrics()
	if want := 2 * (maxQueues + 1); len(lines) != want {
		t.Errorf("%d series, want %d", len(lines), want)
	}
	for _, want := range []string{fmt.Sprintf(insertSeries, "", 2), fmt.Sprintf(sentSeries, "", 2)} {
		found := false
		for _, line := range lines {
			found = found || line == want
		}
		if !found {
			t.Errorf("%s is missing", want)
		}
	}
}
