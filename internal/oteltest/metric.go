package oteltest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
)

// collect returns the metrics of all scopes.
func (r *Rig) collect() (data metricdata.ResourceMetrics) {
	r.T.Helper()
	// The context must outlive the test's own, for use in clean-up.
	if err := r.Reader.Collect(context.Background(), &data); err != nil {
		r.T.Fatal(err)
	}
	return data
}

// Collect returns the metrics of the rig's scope by name. Those of a scope of
// the same name that is another fail the test.
func (r *Rig) Collect() map[string]metricdata.Metrics {
	r.T.Helper()
	out := make(map[string]metricdata.Metrics)
	for _, s := range r.collect().ScopeMetrics {
		if s.Scope.Name != r.Scope.Name {
			continue
		}
		if s.Scope.Version != r.Scope.Version || s.Scope.SchemaURL != r.Scope.SchemaURL || s.Scope.Attributes.Len() != 0 {
			r.T.Errorf("scope %+v", s.Scope)
		}
		for _, m := range s.Metrics {
			if _, twice := out[m.Name]; twice {
				r.T.Errorf("%s is there twice", m.Name)
			}
			out[m.Name] = m
		}
	}
	return out
}

// Scopes returns the names of the scopes that have metrics.
func (r *Rig) Scopes() (names []string) {
	r.T.Helper()
	for _, s := range r.collect().ScopeMetrics {
		names = append(names, s.Scope.Name)
	}
	slices.Sort(names)
	return names
}

// WantMetric compares a metric with all that it is but its times and exemplars.
func (r *Rig) WantMetric(want metricdata.Metrics) {
	r.T.Helper()
	got, ok := r.Collect()[want.Name]
	if !ok {
		r.T.Errorf("there is no metric %s", want.Name)
		return
	}
	if !metricdatatest.AssertEqual(r.T, want, got, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars()) {
		r.T.Errorf("metric %s:\n got %s\nwant %s", want.Name, points(got), points(want))
	}
}

// points renders the attributes and counts of a histogram.
func points(m metricdata.Metrics) string {
	var lines []string
	if h, ok := m.Data.(metricdata.Histogram[float64]); ok {
		for _, p := range h.DataPoints {
			lines = append(lines, fmt.Sprintf("\n\t%v × %d %v", KeyValues(p.Attributes.ToSlice()), p.Count, p.Sum))
		}
	}
	slices.Sort(lines)
	return m.Name + " " + m.Unit + strings.Join(lines, "")
}

// Observation is one recording of a histogram.
type Observation struct {
	Attributes attribute.Set
	Value      float64
}

// Histogram returns what the observations add up to.
func Histogram(bounds []float64, recorded []Observation) metricdata.Histogram[float64] {
	at := make(map[attribute.Distinct]int)
	h := metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
	for _, o := range recorded {
		i, ok := at[o.Attributes.Equivalent()]
		if !ok {
			i = len(h.DataPoints)
			at[o.Attributes.Equivalent()] = i
			h.DataPoints = append(h.DataPoints, metricdata.HistogramDataPoint[float64]{
				Attributes: o.Attributes, Bounds: bounds, BucketCounts: make([]uint64, len(bounds)+1),
				Min: metricdata.NewExtrema(o.Value), Max: metricdata.NewExtrema(o.Value),
			})
		}
		p := &h.DataPoints[i]
		p.Count++
		p.Sum += o.Value
		bucket, _ := slices.BinarySearch(bounds, o.Value)
		p.BucketCounts[bucket]++
		if v, _ := p.Min.Value(); o.Value < v {
			p.Min = metricdata.NewExtrema(o.Value)
		}
		if v, _ := p.Max.Value(); o.Value > v {
			p.Max = metricdata.NewExtrema(o.Value)
		}
	}
	return h
}

// Whole returns the same histogram of whole numbers.
func Whole(h metricdata.Histogram[float64]) metricdata.Histogram[int64] {
	out := metricdata.Histogram[int64]{Temporality: h.Temporality}
	for _, p := range h.DataPoints {
		low, _ := p.Min.Value()
		high, _ := p.Max.Value()
		out.DataPoints = append(out.DataPoints, metricdata.HistogramDataPoint[int64]{
			Attributes: p.Attributes, Count: p.Count, Bounds: p.Bounds, BucketCounts: p.BucketCounts, Sum: int64(p.Sum),
			Min: metricdata.NewExtrema(int64(low)), Max: metricdata.NewExtrema(int64(high)),
		})
	}
	return out
}

// AttributeSets returns the attributes of all points, and those that are on
// their exemplars alone.
func AttributeSets(data metricdata.Aggregation) []attribute.Set {
	switch d := data.(type) {
	case metricdata.Histogram[float64]:
		return histogramSets(d)
	case metricdata.Histogram[int64]:
		return histogramSets(d)
	case metricdata.Sum[int64]:
		return pointSets(d.DataPoints)
	case metricdata.Sum[float64]:
		return pointSets(d.DataPoints)
	case metricdata.Gauge[int64]:
		return pointSets(d.DataPoints)
	case metricdata.Gauge[float64]:
		return pointSets(d.DataPoints)
	}
	return nil
}

func histogramSets[N int64 | float64](h metricdata.Histogram[N]) (out []attribute.Set) {
	for _, p := range h.DataPoints {
		out = append(out, p.Attributes)
		for _, e := range p.Exemplars {
			out = append(out, attribute.NewSet(e.FilteredAttributes...))
		}
	}
	return out
}

func pointSets[N int64 | float64](points []metricdata.DataPoint[N]) (out []attribute.Set) {
	for _, p := range points {
		out = append(out, p.Attributes)
	}
	return out
}
