package otdb

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/taskspan/taskspan/internal/target"
)

// cached returns how many statements the cache of db holds, and their length.
func (db *database) cached() (n, length int) {
	for i := range db.statements.slots {
		for j := range db.statements.slots[i].ways {
			if st := db.statements.slots[i].ways[j].Load(); st != nil {
				n++
				length += len(st.query)
			}
		}
	}
	return n, length
}

// observed returns a database without connections.
func observed(t *testing.T, opts ...Option) *database {
	t.Helper()
	cfg, err := newConfig(append([]Option{WithTracerProvider(noop.NewTracerProvider())}, opts...))
	if err != nil {
		t.Fatal(err)
	}
	db, err := newDatabase(cfg, target.Target{System: "sqlite"})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Applications that write values into their texts have no end of them.
func TestStatementCacheIsBounded(t *testing.T) {
	db := observed(t)
	texts := func(from, to int) {
		for i := from; i < to; i++ {
			db.statement(fmt.Sprintf("SELECT a FROM t%d WHERE b = 'value %d'", i%1000, i))
		}
	}
	texts(0, 10_000)
	before := heap()
	texts(10_000, 50_000)
	after := heap()
	if n, _ := db.cached(); n > cacheSlots*cacheWays {
		t.Errorf("%d statements are cached", n)
	}
	if len(db.summaries) != defaultMaxSummaries {
		t.Errorf("%d summaries are kept", len(db.summaries))
	}
	if after > before+before/2+1<<20 {
		t.Errorf("the heap has grown from %d to %d bytes", before, after)
	}
	runtime.KeepAlive(db)
}

// Long texts take the place of many short ones: what the cache holds is bounded in bytes.
func TestStatementCacheIsBoundedInBytes(t *testing.T) {
	db := observed(t)
	before := heap()
	padding := strings.Repeat("a, ", 5000)
	for i := range 600 {
		db.statement(fmt.Sprintf("SELECT %sb FROM t WHERE c = ? AND d = 'value %d'", padding, i))
	}
	grown := int64(heap()) - int64(before)
	db.wantCached(t)
	if grown > maxCachedBytes+maxCachedBytes/8 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if n, _ := db.cached(); n < 100 {
		t.Errorf("%d statements are cached", n)
	}
	runtime.KeepAlive(db)
}

// wantCached tests that the cache knows what it holds, and that it is not too much.
func (db *database) wantCached(t *testing.T) {
	t.Helper()
	var size int64
	for i := range db.statements.slots {
		for j := range db.statements.slots[i].ways {
			if st := db.statements.slots[i].ways[j].Load(); st != nil {
				size += st.bytes()
			}
		}
	}
	if known := db.statements.size.Load(); size != known || size > maxCachedBytes {
		t.Errorf("the cache holds %d bytes, and knows of %d", size, known)
	}
}

func TestStatementCacheKeepsWhatIsUsed(t *testing.T) {
	db := observed(t)
	st := db.statement("SELECT a FROM t")
	if db.statement("SELECT a FROM t") != st {
		t.Error("a text is scanned twice")
	}
	if n, _ := db.cached(); n != 1 {
		t.Errorf("%d statements are cached", n)
	}
}

func TestLongTextsAreNotCached(t *testing.T) {
	db := observed(t)
	const query = "SELECT a FROM t WHERE b = ?"
	longest := query + strings.Repeat(" ", maxCachedText-len(query))
	db.statement(longest + " ")
	if n, _ := db.cached(); n != 0 {
		t.Errorf("%d statements are cached", n)
	}
	db.statement(longest)
	if n, length := db.cached(); n != 1 || length != 16<<10 {
		t.Errorf("%d statements of %d bytes are cached", n, length)
	}
	if st := db.statement(longest + " "); st.info.Summary != "SELECT t" || &st.withArguments[0] == &st.sanitized[0] {
		t.Errorf("statement %+v", st)
	}
}

// A cached text must not keep alive a larger one that it is a part of.
func TestStatementCacheOwnsItsTexts(t *testing.T) {
	db := observed(t)
	freed := make(chan struct{})
	func() {
		script := new([1 << 20]byte)
		copy(script[:], "SELECT a FROM t")
		runtime.SetFinalizer(script, func(*[1 << 20]byte) { close(freed) })
		db.statement(stringOf(script[:15]))
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-freed:
			runtime.KeepAlive(db)
			return
		case <-time.After(10 * time.Millisecond): // finalizers run on their own
		}
	}
	t.Error("the text that the statement was cut from is still there")
}

func TestStatementsConcurrently(t *testing.T) {
	r := newRig(t)
	db := r.open("sqlite3", "file:otdb-concurrent?mode=memory&cache=shared", WithMaxSummaries(3))
	db.SetMaxOpenConns(4)
	const workers, rounds = 8, 50
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				var query string
				switch i % 3 {
				case 0:
					query = "" // has no summary
				case 1:
					query = fmt.Sprintf("SELECT %d", w*rounds+i)
				default:
					query = fmt.Sprintf("PRAGMA otdb_%d", i)
				}
				if _, err := db.ExecContext(context.Background(), query); err != nil {
					t.Errorf("%s: %v", query, err)
				}
			}
		})
	}
	wg.Wait()
	statements := uint64(0)
	for _, p := range r.Collect()["db.client.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		if _, lifecycle := p.Attributes.Value("db.operation.name"); !lifecycle {
			statements += p.Count
		}
	}
	if statements != workers*rounds {
		t.Errorf("%d statements are counted, want %d", statements, workers*rounds)
	}
}

func TestCacheConcurrently(t *testing.T) {
	db := observed(t, WithMaxSummaries(5))
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				query := fmt.Sprintf("SELECT a FROM t%d", (i*7+w)%1500)
				if st := db.statement(query); st.query != query || st.info.Summary != query[:6]+query[13:] {
					t.Errorf("%s has the statement of %s", query, st.query)
				}
			}
		})
	}
	wg.Wait()
	db.wantCached(t)
}

// stringOf returns b as a string that shares its memory.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
