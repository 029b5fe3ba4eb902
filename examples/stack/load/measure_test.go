package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The figures of docs/scale.md are those of this machine, more or less: what a process
// exports depends on its work and hardly on who measures it.
func TestMeasure(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "")
	c, err := measure(t.Context(), freeAddress(t), 200*time.Millisecond, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range c.rows() {
		_, rest, found := strings.Cut(string(page), "| "+row.what+" | ")
		shown, _, _ := strings.Cut(rest, " |")
		value, err := strconv.ParseFloat(shown, 64)
		if !found || err != nil {
			t.Errorf("the page has no figure for %s: %q", row.what, shown)
			continue
		}
		if row.value < value/3 || row.value > value*3 {
			t.Errorf("%s: %.0f here, %.0f on the page", row.what, row.value, value)
		}
	}
}
