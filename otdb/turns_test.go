package otdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/ledger"
)

// simulation is a database whose calls take what a test says, on a clock that moves
// with nothing else. The ticker follows that clock.
type simulation struct {
	now      time.Duration
	ticker   ticker
	readings int

	turn time.Duration         // what the driver takes for a row
	slow map[int]time.Duration // and for the call of Next with that number
	sets []int                 // rows in each result set
	last time.Duration         // what the call takes that ends the rows
	err  error                 // with which it does

	driver, consumer time.Duration // what their turns took, from the query's return on
	ended            time.Duration // when the driver's last turn did
}

func (s *simulation) pass(d time.Duration) {
	before := s.now
	s.now += d
	s.ticker.count.Add(uint32(s.now/tickPeriod - before/tickPeriod))
}

// call is one of the driver.
func (s *simulation) call(d time.Duration) {
	s.pass(d)
	s.driver += d
	s.ended = s.now
}

// work is a turn of the consumer.
func (s *simulation) work(d time.Duration) {
	s.pass(d)
	s.consumer += d
}

func (s *simulation) clock() time.Duration {
	s.readings++
	return s.now
}

func (s *simulation) Connect(context.Context) (driver.Conn, error) { return simulatedConn{s}, nil }
func (s *simulation) Driver() driver.Driver                        { return nil }

type simulatedConn struct{ *simulation }

func (simulatedConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not simulated") }
func (simulatedConn) Begin() (driver.Tx, error)           { return nil, errors.New("not simulated") }
func (simulatedConn) Close() error                        { return nil }

func (c simulatedConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	rows := &simulatedRows{simulation: c.simulation}
	if len(c.sets) > 1 {
		return simulatedSets{rows}, nil
	}
	return rows, nil
}

type simulatedRows struct {
	*simulation
	calls, row, set int
}

func (r *simulatedRows) Columns() []string { return []string{"id"} }

func (r *simulatedRows) Close() error {
	if r.set < len(r.sets)-1 || r.row < r.sets[r.set] {
		r.call(r.simulation.last)
	}
	return nil
}

func (r *simulatedRows) Next(dest []driver.Value) error {
	took, slow := r.slow[r.calls]
	r.calls++
	if r.row == r.sets[r.set] {
		if r.set == len(r.sets)-1 {
			r.call(r.simulation.last)
			if r.err != nil {
				return r.err
			}
		}
		return io.EOF
	}
	if !slow {
		took = r.turn
	}
	r.call(took)
	r.row++
	dest[0] = int64(r.row)
	return nil
}

type simulatedSets struct{ *simulatedRows }

func (r simulatedSets) HasNextResultSet() bool { return r.set < len(r.sets)-1 }

func (r simulatedSets) NextResultSet() error {
	if !r.HasNextResultSet() {
		return io.EOF
	}
	r.set++
	r.row = 0
	return nil
}

// open opens the simulated database. Nothing but the simulation moves its ticker.
func (s *simulation) open(t *testing.T, opts ...Option) *sql.DB {
	t.Helper()
	s.now = time.Hour
	s.ticker.armed.Store(true)
	opts = append([]Option{WithOperations(0), WithTracerProvider(noop.NewTracerProvider()), withClock(s.clock), withTicker(&s.ticker)}, opts...)
	db := OpenDB(s, opts...)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func withTicker(tick *ticker) Option { return optionFunc(func(c *config) { c.ticker = tick }) }

const (
	quickDriver   = 200 * time.Nanosecond
	quickConsumer = 300 * time.Nanosecond
)

// read is a consumer that takes as long for each row, or what pauses says. It reads
// rows up to limit, and returns them all.
func (s *simulation) read(t *testing.T, rows *sql.Rows, limit int, pauses map[int]time.Duration) (n int) {
	t.Helper()
	for {
		for n < limit && rows.Next() {
			took, ok := pauses[n]
			if !ok {
				took = quickConsumer
			}
			s.work(took)
			n++
		}
		if n == limit || !rows.NextResultSet() {
			return n
		}
	}
}

// measured returns the length of the only operation in the metrics.
func measured(t *testing.T, reader sdkmetric.Reader) time.Duration {
	t.Helper()
	var got metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &got); err != nil {
		t.Fatal(err)
	}
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "db.client.operation.duration" && len(h.DataPoints) == 1 && h.DataPoints[0].Count == 1 {
				return time.Duration(h.DataPoints[0].Sum*float64(time.Second) + .5)
			}
		}
	}
	t.Fatal("not one operation in the metrics")
	return 0
}

// A turn that is much longer than the others is told as whose it was, wherever it
// is, to within a period of the ticker; and so is when the driver was called last.
func TestLongTurns(t *testing.T) {
	const (
		many  = 10_000
		stall = 60 * time.Millisecond
	)
	type turns = map[int]time.Duration
	for name, test := range map[string]struct {
		slow   turns // calls of the driver, by their number
		pauses turns // of the consumer, by the number of rows that it has read before
		sets   []int
		limit  int // rows that are read
		last   time.Duration
		err    error
	}{
		"none":                         {},
		"driver, first row":            {slow: turns{0: stall}},
		"driver, in the middle":        {slow: turns{5000: stall}},
		"driver, last row":             {slow: turns{many - 1: stall}},
		"driver, end":                  {last: stall},
		"driver, error at the end":     {last: stall, err: driver.ErrBadConn},
		"driver, early close":          {last: stall, limit: 5000},
		"driver, early":                {slow: turns{20: stall}},
		"driver, each in a thousand":   {slow: turns{1000: stall, 2000: stall, 3000: stall, 4000: stall, 5000: stall, 6000: stall, 7000: stall}},
		"consumer, first row":          {pauses: turns{0: time.Hour}},
		"consumer, in the middle":      {pauses: turns{5000: time.Hour}},
		"consumer, last row":           {pauses: turns{many - 1: time.Hour}},
		"consumer, before early close": {pauses: turns{4999: time.Hour}, limit: 5000},
		"consumer, each in a thousand": {pauses: turns{1000: stall, 2000: stall, 3000: stall, 4000: stall, 5000: stall, 6000: stall, 7000: stall}},
		"both":                         {slow: turns{3000: stall}, pauses: turns{3000: time.Hour}},
		"consumer, then driver":        {slow: turns{3010: stall}, pauses: turns{3000: time.Hour}},
		"driver, then consumer":        {slow: turns{3000: stall}, pauses: turns{3010: time.Hour}},
		"between result sets":          {sets: []int{3000, 3000}, pauses: turns{2999: time.Hour}},
		"in the second result set":     {sets: []int{3000, 3000}, slow: turns{3030: stall}, pauses: turns{5000: time.Hour}},
		"quick, then slow set":         {sets: []int{3000, 3}, slow: turns{3001: stall, 3002: stall, 3003: stall}},
	} {
		for _, how := range []string{"task", "task, until return", "cancellable"} {
			t.Run(name+", "+how, func(t *testing.T) {
				s := &simulation{turn: quickDriver, slow: test.slow, sets: test.sets, last: test.last, err: test.err}
				if s.sets == nil {
					s.sets = []int{many}
				}
				limit := test.limit
				if limit == 0 {
					limit = many + 1
				}
				r := newRig(t)
				opts := []Option{WithMeterProvider(r.mp)}
				task := ledger.New(nil, "orders.ship")
				ctx := t.Context()
				switch how {
				case "cancellable":
					opts = append(opts, WithTracerProvider(foreignProvider{tp: r.tp}))
				case "task, until return":
					opts = append(opts, WithSpanUntilReturn())
					fallthrough
				default:
					ctx = ledger.NewContext(context.Background(), task)
				}
				db := s.open(t, opts...)
				rows, err := db.QueryContext(ctx, "SELECT")
				if err != nil {
					t.Fatal(err)
				}
				s.read(t, rows, limit, test.pauses)
				if err := rows.Close(); err != nil {
					t.Error(err)
				}
				if err := rows.Err(); !errors.Is(err, test.err) {
					t.Errorf("error %v, want %v", err, test.err)
				}
				length := s.driver + s.consumer
				got := task.Totals().Duration
				if how == "cancellable" {
					got = length
					for _, a := range r.spans()[0].Attributes() {
						if a.Key == driverDurationKey {
							got = time.Duration(a.Value.AsFloat64() * float64(time.Second))
						}
					}
				}
				if how != "task, until return" {
					if got := measured(t, r.reader); got != length {
						t.Errorf("%v long, want %v", got, length)
					}
				}
				// The tick may come a period after the long turn has begun, once for each.
				within := tickPeriod * time.Duration(1+len(test.slow)+len(test.pauses))
				if len(test.slow)+len(test.pauses) == 0 {
					within = 20 * time.Microsecond
				}
				if how == "cancellable" && len(test.pauses) == 0 {
					within = length // whose turns are not told where they are short
				}
				if diff := (got - s.driver).Abs(); diff > within {
					t.Errorf("%v in the driver, of %v; want %v, to within %v", got, length, s.driver, within)
				}
			})
		}
	}
}

// Turns that all take long enough for a reading of the clock to add nothing are told
// by readings, from the moment on that it is noticed.
func TestTurnsThatAreWorthAReading(t *testing.T) {
	const rows = 10_000
	for _, test := range []struct {
		name   string
		long   bool // the consumer's turns are, and not the driver's
		from   int  // the rows before are quick
		within time.Duration
	}{
		{"driver", false, 0, 100 * time.Microsecond},
		{"consumer", true, 0, 100 * time.Microsecond},
		{"driver, later", false, 3000, 2 * tickPeriod},
		{"consumer, later", true, 3000, 2 * tickPeriod},
	} {
		t.Run(test.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			s := &simulation{turn: quickDriver, sets: []int{rows}, slow: map[int]time.Duration{}}
			pauses := map[int]time.Duration{}
			for n := test.from; n < rows; n++ {
				long, short := time.Duration(12_000+random.IntN(50_000)), time.Duration(1000+random.IntN(8000))
				if test.long {
					s.slow[n], pauses[n] = short, long
				} else {
					s.slow[n], pauses[n] = long, short
				}
			}
			task := ledger.New(nil, "orders.ship")
			db := s.open(t)
			got, err := db.QueryContext(ledger.NewContext(context.Background(), task), "SELECT")
			if err != nil {
				t.Fatal(err)
			}
			s.read(t, got, rows, pauses)
			if err := got.Close(); err != nil {
				t.Error(err)
			}
			if got := task.Totals().Duration; (got - s.driver).Abs() > test.within {
				t.Errorf("%v in the driver, want %v, to within %v", got, s.driver, test.within)
			}
		})
	}
}

// A first turn of the consumer that was long, but not slow, is not taken for the
// length of all.
func TestFirstTurnThatWasLong(t *testing.T) {
	for _, test := range []struct {
		ctx    context.Context
		rows   int
		within time.Duration
	}{
		{context.Background(), 127, 0}, // nothing is told
		{context.Background(), 1_000_000, 3 * tickPeriod},
		{t.Context(), 1_000_000, 3 * tickPeriod},
	} {
		s := &simulation{turn: quickDriver, sets: []int{test.rows}}
		r := newRig(t)
		db := s.open(t, WithTracerProvider(foreignProvider{tp: r.tp}))
		rows, err := db.QueryContext(test.ctx, "SELECT")
		if err != nil {
			t.Fatal(err)
		}
		s.read(t, rows, test.rows+1, map[int]time.Duration{0: slowGap - time.Microsecond})
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		got := time.Duration(-1)
		for _, a := range r.spans()[0].Attributes() {
			if a.Key == driverDurationKey {
				got = time.Duration(a.Value.AsFloat64() * float64(time.Second))
			}
		}
		if test.within == 0 {
			if got >= 0 {
				t.Errorf("%d rows: %v in the driver, of %v", test.rows, got, s.driver+s.consumer)
			}
		} else if (got - s.driver).Abs() > test.within {
			t.Errorf("%d rows: %v in the driver, want %v, to within %v", test.rows, got, s.driver, test.within)
		}
	}
}

// Rows that a context or their task ends were over when the driver was called last.
func TestEndOfUnfinishedRows(t *testing.T) {
	type turns = map[int]time.Duration
	const stall = 60 * time.Millisecond
	for name, test := range map[string]struct {
		rows   int
		slow   turns
		within time.Duration
	}{
		"few rows":              {5, nil, 0},
		"first rows":            {16, nil, 0},
		"as quick as the first": {1000, nil, 10 * time.Microsecond},
		"many":                  {100_000, nil, 10 * time.Microsecond},
		"slow, early":           {1000, turns{10: stall}, 10 * time.Microsecond},
		"slow, in the middle":   {1000, turns{500: stall}, 10 * time.Microsecond},
		"slow, the last":        {1000, turns{999: stall}, 0},
		"slow, nearly the last": {1000, turns{990: stall}, 10 * time.Microsecond},
		"slow, the second last": {1000, turns{998: stall}, 0},
		"less than slow":        {1000, turns{990: 300 * time.Microsecond}, 300 * time.Microsecond},
		"all slow":              {100, nil, 0},
	} {
		for _, how := range []string{"context", "unsampled", "task"} {
			t.Run(name+", "+how, func(t *testing.T) {
				s := &simulation{turn: quickDriver, slow: test.slow, sets: []int{test.rows + 1}, last: time.Minute}
				if name == "all slow" {
					s.turn = time.Millisecond
				}
				reader := sdkmetric.NewManualReader()
				opts := []Option{WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))}
				if how == "context" {
					opts = append(opts, WithTracerProvider(foreignProvider{tp: newRig(t).tp}))
				}
				db := s.open(t, opts...)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var task *ledger.Ledger
				if how == "task" {
					task = ledger.New(nil, "orders.ship")
					ctx = ledger.NewContext(context.Background(), task)
				}
				rows, err := db.QueryContext(ctx, "SELECT")
				if err != nil {
					t.Fatal(err)
				}
				s.read(t, rows, test.rows, nil)
				s.work(time.Hour)
				want := s.ended - time.Hour // which it was when the query returned
				if task == nil {
					cancel()
					_ = rows.Close()
				} else {
					leaks := task.EndTask()
					if len(leaks) != 1 || leaks[0].Rows != int64(test.rows) {
						t.Errorf("leaks %v", leaks)
					}
					defer rows.Close()
				}
				got := measured(t, reader)
				if diff := (got - want).Abs(); diff > test.within {
					t.Errorf("%v long, want %v, to within %v", got, want, test.within)
				}
				if task != nil {
					want := s.driver
					if got := task.Totals().Duration; (got - want).Abs() > test.within+10*time.Microsecond {
						t.Errorf("%v in the driver, want %v", got, want)
					}
				}
			})
		}
	}
}

// Whatever turns take, in any order: what is told of them is right to within a period
// for each long turn, and for the short ones in proportion.
func TestTurnsByChance(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		between := func(least, most time.Duration) time.Duration {
			return least + time.Duration(random.Int64N(int64(most-least)+1))
		}
		s := &simulation{turn: between(50, 3000), sets: []int{1 + random.IntN(20_000)}, slow: map[int]time.Duration{}}
		consumer := between(50, 3000)
		pauses := map[int]time.Duration{}
		long := 0
		for n := range s.sets[0] {
			pauses[n] = between(consumer/2, 2*consumer)
			s.slow[n] = between(s.turn/2, 2*s.turn)
			switch random.IntN(2000) {
			case 0:
				pauses[n] = between(time.Millisecond, time.Second)
				long++
			case 1:
				s.slow[n] = between(time.Millisecond, time.Second)
				long++
			}
		}
		task := ledger.New(nil, "orders.ship")
		db := s.open(t)
		rows, err := db.QueryContext(ledger.NewContext(context.Background(), task), "SELECT")
		if err != nil {
			t.Fatal(err)
		}
		s.read(t, rows, s.sets[0], pauses)
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		quick := time.Duration(s.sets[0]) * (s.turn + consumer)
		within := tickPeriod*time.Duration(2+long) + quick/4
		if got := task.Totals().Duration; (got - s.driver).Abs() > within {
			t.Errorf("seed %d: %v in the driver, want %v, to within %v (%d rows, %d long turns)", seed, got, s.driver, within, s.sets[0], long)
		}
		if want := 4*s.sets[0]/10 + 100*(1+long) + 12*int((s.driver+s.consumer)/tickPeriod); s.readings > want && quick < 4*time.Microsecond*time.Duration(s.sets[0]) {
			t.Errorf("seed %d: %d readings of the clock for %d rows, %d long turns in %v", seed, s.readings, s.sets[0], long, s.driver+s.consumer)
		}
	}
}

// A row costs next to nothing: the clock is read around the first rows, and then when
// the ticker says so.
func TestReadingsOfTheClock(t *testing.T) {
	background := func(*testing.T) context.Context { return context.Background() }
	cancellable := func(t *testing.T) context.Context { return t.Context() }
	inTask := func(*testing.T) context.Context {
		return ledger.NewContext(context.Background(), ledger.New(nil, "task"))
	}
	for _, test := range []struct {
		name    string
		ctx     func(*testing.T) context.Context
		sampled bool
		further []int       // result sets
		want    map[int]int // readings by the number of rows
	}{
		// The span reads it as well, when it starts and when it ends. Without
		// one that does, two readings tell the length.
		{"nobody else ends the rows", background, true, nil, map[int]int{0: 2, 1: 4, 2: 4, 127: 4, 128: 5, 1000: 5}},
		{"result sets", background, true, []int{0}, map[int]int{0: 6, 1: 8, 2: 8, 127: 8, 128: 9}},
		{"cancellable", cancellable, true, nil, map[int]int{0: 2, 1: 4, 2: 5, 16: 19, 17: 19, 1000: 19}},
		{"task", inTask, true, nil, map[int]int{0: 2, 1: 4, 2: 6, 15: 32, 16: 33, 17: 33, 1000: 33}},
		{"unsampled", background, false, nil, map[int]int{0: 2, 1: 2, 100: 2, 1000: 2}},
		{"unsampled, cancellable", cancellable, false, nil, map[int]int{0: 3, 1: 4, 2: 5, 16: 19, 17: 19, 1000: 19}},
	} {
		for rows, want := range test.want {
			s := &simulation{sets: append([]int{rows}, test.further...)}
			var opts []Option
			if test.sampled {
				opts = append(opts, WithTracerProvider(newRig(t).tp))
			}
			db := s.open(t, opts...)
			got, err := db.QueryContext(test.ctx(t), "SELECT")
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for more := true; more; more = got.NextResultSet() {
				for got.Next() {
					n++
				}
			}
			if err := got.Close(); err != nil || n != rows {
				t.Errorf("%d rows, %v", n, err)
			}
			if s.readings != want {
				t.Errorf("%s, %d rows: %d readings, want %d", test.name, rows, s.readings, want)
			}
		}
	}
}

// Rows that nobody wants to know of are not looked at, whatever the ticker does.
func TestTicksThatNobodyWants(t *testing.T) {
	s := &simulation{turn: time.Second, sets: []int{100}}
	db := s.open(t)
	ctx := trace.ContextWithSpanContext(context.Background(), trace.SpanContext{})
	rows, err := db.QueryContext(ctx, "SELECT")
	if err != nil {
		t.Fatal(err)
	}
	s.read(t, rows, 101, nil)
	if s.readings != 2 {
		t.Errorf("%d readings", s.readings)
	}
	if s.ticker.wanted.Load() {
		t.Error("the ticker is wanted")
	}
}
