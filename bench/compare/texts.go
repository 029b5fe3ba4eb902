package main

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// flat is how much the heap may still grow once the cache is full, in bytes.
const flat = 256 << 10

// distinct measures what a flood of texts, each with a summary of its own,
// leaves in memory.
func distinct(r *report) error {
	ctx := context.Background()
	db := openOurs(noopConnector(0), sdkProviders())
	defer func() { _ = db.Close() }() // nothing was written that matters
	counts := []int{10_000, 100_000, 1_000_000}
	if r.quick {
		counts = []int{5_000, 20_000, 100_000}
	}
	if _, err := db.ExecContext(ctx, query, arguments...); err != nil {
		return err
	}
	start := heap()
	tw := newTable(r.w)
	fmt.Fprintln(tw, "distinct texts\theap, KiB more than with one\t")
	var heaps []float64
	n := 0
	for _, upTo := range counts {
		for ; n < upTo; n++ {
			text := "SELECT name FROM table_" + strconv.Itoa(n) + " WHERE id = ?"
			if _, err := db.ExecContext(ctx, text, 1); err != nil {
				return err
			}
		}
		heaps = append(heaps, heap()-start)
		fmt.Fprintf(tw, "%d\t%.0f\t\n", n, heaps[len(heaps)-1]/1024)
	}
	_ = tw.Flush() // to a stream that the caller watches
	fmt.Fprintln(r.w)
	r.budgets = append(r.budgets, budget{
		what:     fmt.Sprintf("heap growth from %d to %d distinct texts", counts[1], counts[2]),
		measured: (heaps[2] - heaps[1]) / 1024, limit: flat / 1024, unit: " KiB",
	})
	return nil
}

// heap returns the size of what is reachable.
func heap() float64 {
	runtime.GC()
	runtime.GC() // pools keep what they hold for one more
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// textSizes are lengths in bytes. Up to cached, texts are cached.
var textSizes = []int{100, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}

const cached = 16 << 10

// lengths measures statements whose text was never seen, by its length.
func lengths(r *report) error {
	ctx := sampled.context()
	var groups []*group
	tw := newTable(r.w)
	fmt.Fprintln(tw, "new text of, bytes\tns\tns for a byte\tallocs\tbytes allocated\t")
	for _, size := range textSizes {
		var s subjects
		plain, traced := sql.OpenDB(noopConnector(0)), openOurs(noopConnector(0), sdkProviders())
		s.closers = append(s.closers, plain.Close, traced.Close)
		for _, way := range []struct {
			role role
			name string
			db   *sql.DB
		}{{bare, "bare", plain}, {own, "otdb", traced}} {
			text := texts(size)
			s.add(way.role, way.name, func() error {
				_, err := way.db.ExecContext(ctx, text())
				return err
			})
		}
		g, err := s.measure("text of "+strconv.Itoa(size)+" bytes", sampled.name, r.plan)
		s.close()
		if err != nil {
			return err
		}
		groups = append(groups, g)
		o := g.of(own)
		fmt.Fprintf(tw, "%d\t+%.0f\t%.2f\t+%.0f\t+%.0f\t\n", size, o.time, o.time/float64(size), o.allocs, o.bytes)
	}
	_ = tw.Flush() // to a stream that the caller watches
	fmt.Fprintln(r.w)
	at := func(size int) overhead {
		for i := range groups {
			if textSizes[i] == size {
				return groups[i].of(own)
			}
		}
		return overhead{}
	}
	r.budgets = append(r.budgets,
		budget{what: "new text, 64 KiB / 16 × 4 KiB", measured: at(64<<10).time / positive(16*at(4<<10).time), limit: 1.25, unit: " ×"},
		budget{what: "new text, 1 MiB / 64 KiB", measured: at(1<<20).time / positive(at(64<<10).time), limit: 1.15, unit: " ×"},
		budget{what: "bytes allocated, 1 MiB beyond 64 KiB", measured: (at(1<<20).bytes - at(64<<10).bytes) / 1024, limit: 4, unit: " KiB"},
	)
	return nil
}

// texts returns a source of texts of that size. Short ones are new each time;
// of those that are not cached two take turns.
func texts(size int) func() string {
	const head, number, tail = "INSERT INTO events VALUES (", "000000000000", ")"
	var b strings.Builder
	b.WriteString(head + number)
	for b.Len()+len(tail)+24 < size {
		b.WriteString(", 'some text', 12345.678")
	}
	b.WriteString(strings.Repeat(" ", max(0, size-b.Len()-len(tail))) + tail)
	template, n := []byte(b.String()), 0
	next := func() string {
		n++
		digits := strconv.Itoa(n)
		copy(template[len(head)+len(number)-len(digits):], digits)
		return string(template)
	}
	if size <= cached {
		return next
	}
	two := [2]string{next(), next()}
	i := 0
	return func() string { i ^= 1; return two[i] }
}
