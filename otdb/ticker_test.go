package otdb

import (
	"context"
	"database/sql"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskspan/taskspan/internal/ledger"
)

// The ticker ticks for as long as somebody wants it, and stops.
func TestTicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tick ticker
		const periods = 100
		for range periods {
			tick.want()
			time.Sleep(tickPeriod)
			synctest.Wait()
		}
		if n := tick.count.Load(); n != periods {
			t.Errorf("%d ticks in %d periods", n, periods)
		}
		time.Sleep(time.Hour)
		if n := tick.count.Load(); n != periods+1 {
			t.Errorf("%d ticks that nobody wanted", n-periods)
		}
		tick.want()
		time.Sleep(tickPeriod)
		synctest.Wait()
		if n := tick.count.Load(); n != periods+2 {
			t.Errorf("%d ticks after a rest", n-periods-1)
		}
	})
}

// Whoever wants a tick gets one, whenever the ticker is about to stop.
func TestTickerForAll(t *testing.T) {
	var tick ticker
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 100 {
				seen := tick.count.Load()
				tick.want()
				deadline := time.Now().Add(time.Minute)
				for tick.count.Load() == seen {
					if time.Now().After(deadline) {
						t.Error("no tick in a minute")
						return
					}
					runtime.Gosched()
				}
				for range i * 1000 { // so that they come at different times
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	for tick.armed.Load() { // for goleak
		runtime.Gosched()
	}
}

// The process's ticker is that of every database.
func TestProcessTicker(t *testing.T) {
	s := &simulation{turn: 0, sets: []int{1000}}
	task := ledger.New(nil, "orders.ship")
	db := OpenDB(s, WithOperations(0))
	defer db.Close()
	rows, err := db.QueryContext(ledger.NewContext(context.Background(), task), "SELECT")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var paused time.Duration
	for n := 0; rows.Next(); n++ {
		if n != 500 {
			continue
		}
		pause := time.Now()
		for time.Since(pause) < 200*tickPeriod {
			runtime.Gosched()
		}
		paused = time.Since(pause)
	}
	length := time.Since(began)
	if got := task.Totals().Duration; got > length-paused+50*tickPeriod {
		t.Errorf("%v in the driver, of %v with a pause of %v", got, length, paused)
	}
}

// In a bubble of testing/synctest, whose clock the process's ticker does not follow,
// the clock is read around all rows; where only their consumer may end them, from
// blindRows on.
func TestRowsInABubble(t *testing.T) {
	for _, test := range []struct {
		rows, readings int
		ctx            func(*testing.T) context.Context
	}{
		{1000, 2002, func(*testing.T) context.Context {
			return ledger.NewContext(context.Background(), ledger.New(nil, "task"))
		}},
		{127, 4, func(*testing.T) context.Context { return context.Background() }},
		{200, 5 + 1 + 2*(200-blindRows), func(*testing.T) context.Context { return context.Background() }},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &simulation{sets: []int{test.rows}}
			r := newRig(t)
			readings := 0
			var tick ticker
			db := OpenDB(s, WithOperations(0), WithTracerProvider(r.tp), withTicker(&tick), withClock(func() time.Duration {
				readings++
				return monotonic()
			}))
			rows, err := db.QueryContext(test.ctx(t), "SELECT")
			if err != nil {
				t.Fatal(err)
			}
			n := count(t, rows)
			if err := db.Close(); err != nil || n != test.rows {
				t.Errorf("%d rows, %v", n, err)
			}
			if readings != test.readings {
				t.Errorf("%d rows: %d readings, want %d", n, readings, test.readings)
			}
			if tick.wanted.Load() || tick.armed.Load() {
				t.Error("the process's ticker is wanted in a bubble")
			}
		})
	}
	if isBubbled(monotonic()) {
		t.Error("the process is in a bubble")
	}
}

func count(t *testing.T, rows *sql.Rows) (n int) {
	t.Helper()
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
	return n
}
