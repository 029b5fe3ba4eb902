package worker

import (
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// WithStillRunning logs a WARN record when a task has run for d, for 2d, for 4d
// and so on, with what it is doing to its databases at that moment and with what
// it gave to [Progress]. Zero, the default, turns that off. Less is a mistake.
func WithStillRunning(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if d < 0 {
			c.mistake("still running: %v is negative", d)
			return
		}
		c.stillRunning = min(d, math.MaxInt64/4)
	})
}

// lookout looks at the running tasks of a runner when the next of them has run
// for so long that it is logged. It has one timer, and none while nothing runs.
type lookout struct {
	runner *Runner

	due atomic.Int64 // the reading of the clock at which the timer fires, zero if it does not

	mu     sync.Mutex
	timer  *time.Timer
	looked time.Duration // the reading at the last look
	over   bool
}

// arm has the lookout look at that reading of the clock, or earlier.
func (o *lookout) arm(at time.Duration) {
	if due := o.due.Load(); due != 0 && due <= int64(at) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if due := o.due.Load(); o.over || due != 0 && due <= int64(at) {
		return
	}
	o.due.Store(int64(at))
	in := max(0, at-o.runner.config.clock())
	if o.timer == nil {
		o.timer = time.AfterFunc(in, o.look)
	} else {
		o.timer.Reset(in)
	}
}

// stop ends the lookout for good.
func (o *lookout) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	if o.timer != nil {
		o.timer.Stop()
	}
}

// look logs the tasks that have reached one of their times since the last look.
func (o *lookout) look() {
	o.mu.Lock()
	o.due.Store(0)
	now, last := o.runner.config.clock(), o.looked
	o.looked = now
	o.mu.Unlock()

	d := o.runner.config.stillRunning
	var due []*task
	for _, t := range o.runner.running() {
		next := t.started + d
		for ; next <= now; next += next - t.started {
			if next > last && (len(due) == 0 || due[len(due)-1] != t) {
				due = append(due, t)
			}
		}
		o.arm(next)
	}
	// A handler may take its time.
	for _, t := range due {
		t.logStillRunning()
	}
}

func (t *task) logStillRunning() {
	if t.phase.Load() != phaseRunning {
		return
	}
	defer scope.Guard("the log handler")
	r := t.current()
	kv := make([]attribute.KeyValue, 0, 8)
	kv = append(kv, keyTaskAge.Float64(r.Duration.Seconds()))
	if r.Done != 0 || r.Total != 0 {
		kv = append(kv, keyTaskProgressDone.Int64(r.Done), keyTaskProgressTotal.Int64(r.Total))
	}
	kv = append(kv, keyTaskDBOperations.Int64(r.DB.Operations), keyTaskDBHeld.Int(len(r.DB.Held)), keyTaskDBInProgress.Int(len(r.DB.InProgress)))
	if len(r.DB.InProgress) > 0 {
		op := &r.DB.InProgress[0]
		if op.Summary != "" {
			kv = append(kv, semconv.DBQuerySummary(op.Summary))
		}
		if op.Text != "" {
			kv = append(kv, semconv.DBQueryText(op.Text))
		}
		kv = append(kv, keyTaskDBInProgressAge.Float64(r.end().Sub(op.Since).Seconds()))
	}
	t.log(slog.LevelWarn, "task still running", logAttributes(kv))
}
