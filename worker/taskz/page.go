package taskz

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/taskspan/taskspan/internal/ledger"
	"github.com/taskspan/taskspan/worker"
)

// Page is an http.Handler that shows the tasks of a runner. Make one with [New].
// It is safe for concurrent use.
type Page struct {
	config config
	runner *worker.Runner
	stop   func()

	mu      sync.Mutex
	closed  bool
	history history
}

var _ http.Handler = (*Page)(nil)

// New returns a page of the tasks of a runner, which it watches from then on. A nil
// runner stands for the one that [worker.Default] returns now: call
// [worker.SetDefault] before New.
func New(r *worker.Runner, opts ...Option) *Page {
	if r == nil {
		r = worker.Default()
	}
	p := &Page{config: newConfig(opts), runner: r, history: newHistory(time.Now())}
	stopLogs := ledger.KeepLogs()
	stopWatch := r.Watch(p.ended)
	p.stop = sync.OnceFunc(func() { stopWatch(); stopLogs() })
	return p
}

// Close stops watching. The page still shows what it has seen until then, and no
// running tasks. Close returns nil, and may be called more than once.
func (p *Page) Close() error {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	clear(p.history.ids)
	return nil
}

// ended keeps a run that has ended.
func (p *Page) ended(ctx context.Context, r worker.Report) {
	l := ledger.FromContext(ctx)
	log, _ := l.Log()
	n := newRun(0, r, &log)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.history.add(l, n, log.Statements)
	}
}

// moment is what the page knows at one moment. It may be read without the page's
// mutex.
type moment struct {
	now     time.Time
	since   time.Time
	running []*run
	names   []name // copies
	runs    map[uint64]*run
	usage   usage // nil unless it was asked for
	evicted int64
}

// moment returns what is known now.
func (p *Page) moment(withUsage bool) *moment {
	type live struct {
		ledger *ledger.Ledger
		run    *run
		log    ledger.Log
	}
	var running []live
	for _, l := range ledger.RunningOf(p.runner) {
		if r, ok := worker.CurrentReport(l.Context()); ok {
			log, _ := l.Log()
			running = append(running, live{l, newRun(0, r, &log), log})
		}
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	h := &p.history
	m := &moment{now: time.Now(), since: h.since, runs: make(map[uint64]*run, len(h.runs)), evicted: h.evicted}
	for id, r := range h.runs {
		m.runs[id] = r
	}
	for _, n := range h.names {
		own := *n
		own.results = make(map[worker.Result]int64, len(n.results))
		for k, v := range n.results {
			own.results[k] = v
		}
		own.runs, own.dots, own.durations = exact(n.runs), exact(n.dots), exact(n.durations)
		m.names = append(m.names, own)
	}
	if withUsage {
		m.usage = h.usage.clone()
	}
	for _, l := range running {
		// The page learns of a run after its ledger has ended: if that has not
		// happened by now, add will find the number.
		if p.closed || l.ledger.Ended() {
			continue
		}
		l.run.id = h.id(l.ledger)
		m.running = append(m.running, l.run)
		m.runs[l.run.id] = l.run
		if withUsage {
			m.usage.add(l.run.report.Name, l.log.Statements, nil)
		}
	}
	return m
}

func (m *moment) name(s string) *name {
	for i := range m.names {
		if m.names[i].name == s {
			return &m.names[i]
		}
	}
	return nil
}
