package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/taskspan/taskspan/examples/internal/fetch"
	"github.com/taskspan/taskspan/examples/internal/receiver"
)

// costs are what one process exports.
type costs struct {
	took        time.Duration
	spans       int
	tasks       int // of the spans
	bytes       int // of the traces, before compression
	series      int // that Prometheus stores, without those of Go and the process
	scrapeBytes int
}

// measure runs rounds of tasks for a while, and returns what they exported.
func measure(ctx context.Context, addr string, interval, d time.Duration) (c costs, err error) {
	r, stop, err := receiver.Start(0)
	if err != nil {
		return c, err
	}
	defer stop()
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": r.URL + "/v1/traces",
		"OTEL_EXPORTER_OTLP_PROTOCOL":        "http/protobuf",
	} {
		if err := os.Setenv(name, value); err != nil {
			return c, err
		}
	}
	working, end := context.WithCancel(ctx)
	defer end()
	began := time.Now()
	worked := make(chan error, 1)
	go func() { worked <- work(working, addr, interval) }()
	select {
	case err := <-worked:
		return c, err
	case <-time.After(d):
	}
	page, err := fetch.Page(ctx, "http://"+addr+"/metrics")
	c.took = time.Since(began)
	end()
	if workErr := <-worked; err == nil {
		err = workErr
	}
	c.scrapeBytes = len(page)
	for line := range strings.Lines(page) {
		for _, prefix := range []string{"db_", "otdb_", "worker_", "river_", "messaging_"} {
			if strings.HasPrefix(line, prefix) {
				c.series++
			}
		}
	}
	spans, bytes := r.Spans()
	c.spans, c.bytes = len(spans), bytes
	for _, s := range spans {
		for _, kv := range s.GetAttributes() {
			if kv.GetKey() == "worker.task.result" {
				c.tasks++
			}
		}
	}
	return c, err
}

// rows are the figures as docs/scale.md has them.
func (c costs) rows() []struct {
	what  string
	value float64
} {
	seconds := c.took.Seconds()
	return []struct {
		what  string
		value float64
	}{
		{"tasks a second", float64(c.tasks) / seconds},
		{"spans a second", float64(c.spans) / seconds},
		{"bytes of traces a second", float64(c.bytes) / seconds},
		{"bytes a span", float64(c.bytes) / max(1, float64(c.spans))},
		{"series", float64(c.series)},
		{"bytes a scrape", float64(c.scrapeBytes)},
	}
}

func (c costs) print(w io.Writer) {
	fmt.Fprintf(w, "measured for %v:\n", c.took.Round(time.Second))
	for _, r := range c.rows() {
		fmt.Fprintf(w, "%-26s %10.0f\n", r.what, r.value)
	}
}
