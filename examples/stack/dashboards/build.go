package main

// prometheus stands for the data source that the viewer chose.
var prometheus = datasource{Type: "prometheus", UID: "${datasource}"}

// Units of Grafana.
const (
	seconds = "s"
	perSec  = "ops"
	share   = "percentunit"
	count   = "short"
)

// query is an expression of a panel and how its series are called.
type query struct {
	expr, legend string
	// exemplars says that the dots of single measurements are shown: they lead
	// to the trace.
	exemplars bool
}

// chart is a panel before it has a place.
type chart struct {
	kind        string // timeseries, stat, heatmap
	title, unit string
	description string
	width       int // of 24
	queries     []query
	stacked     bool
}

// group is a row and the panels below it.
type group struct {
	title  string
	charts []chart
}

const chartHeight, statHeight = 8, 4

// arrange gives panels ids and places: from left to right, row by row.
func arrange(groups []group) (panels []panel) {
	y := 0
	add := func(p panel) {
		p.ID = len(panels) + 1
		panels = append(panels, p)
	}
	for _, g := range groups {
		add(panel{Type: "row", Title: g.title, GridPos: gridPos{H: 1, W: 24, Y: y}})
		y++
		x, height := 0, 0
		for _, c := range g.charts {
			if x+c.width > 24 {
				x, y = 0, y+height
			}
			height = chartHeight
			if c.kind == "stat" {
				height = statHeight
			}
			add(c.panel(gridPos{H: height, W: c.width, X: x, Y: y}))
			x += c.width
		}
		y += height
	}
	return panels
}

func (c chart) panel(at gridPos) panel {
	zero := 0.0
	p := panel{
		Type: c.kind, Title: c.title, Description: c.description, GridPos: at, Datasource: &prometheus,
		FieldConfig: &fields{Defaults: defaults{Unit: c.unit, Min: &zero}, Overrides: []any{}},
	}
	for i, q := range c.queries {
		t := target{
			RefID: string(rune('A' + i)), Datasource: prometheus, Expr: q.expr, LegendFormat: q.legend,
			Exemplar: q.exemplars, Instant: c.kind == "stat", Range: c.kind != "stat",
		}
		if c.kind == "heatmap" {
			t.Format = "heatmap"
		}
		p.Targets = append(p.Targets, t)
	}
	switch c.kind {
	case "stat":
		p.Options = map[string]any{
			"colorMode": "none", "graphMode": "none", "textMode": "auto",
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		}
	case "timeseries":
		custom := map[string]any{"fillOpacity": 8, "lineWidth": 1, "showPoints": "never", "spanNulls": false}
		if c.stacked {
			custom["fillOpacity"], custom["stacking"] = 40, map[string]any{"mode": "normal", "group": "A"}
		}
		p.FieldConfig.Defaults.Custom = custom
		p.Options = map[string]any{
			"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true},
			"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
		}
	case "heatmap":
		p.Options = map[string]any{
			"calculate": false,
			"color":     map[string]any{"mode": "scheme", "scheme": "Oranges", "steps": 64},
			"exemplars": map[string]any{"color": "rgba(255,0,255,0.7)"},
			"yAxis":     map[string]any{"unit": c.unit},
			"tooltip":   map[string]any{"mode": "single", "yHistogram": true},
			"legend":    map[string]any{"show": true},
		}
	}
	return p
}

// quantiles returns the queries of three quantiles of a histogram.
func quantiles(bucket, selector string) (all []query) {
	for _, q := range []struct{ value, name string }{{"0.5", "p50"}, {"0.95", "p95"}, {"0.99", "p99"}} {
		all = append(all, query{
			expr:      "histogram_quantile(" + q.value + ", sum by (le) (rate(" + bucket + "{" + selector + "}[$__rate_interval])))",
			legend:    q.name,
			exemplars: q.name == "p99",
		})
	}
	return all
}

// newDashboard returns a dashboard with the variables and links that all have.
func newDashboard(uid, title, description string, groups []group, variables ...variable) dashboard {
	d := dashboard{
		UID: uid, Title: title, Description: description, Tags: []string{"taskspan"}, SchemaVersion: 39, Version: 1,
		GraphTooltip: 1, Refresh: "30s", Timezone: "browser", Time: timeRange{From: "now-1h", To: "now"},
		Links: []link{
			{Title: "Taskspan", Type: "dashboards", Tags: []string{"taskspan"}, KeepTime: true, IncludeVars: true},
			{Title: "Runbook", Type: "link", URL: "https://github.com/taskspan/taskspan/blob/main/docs/runbook.md", TargetBlank: true},
		},
		Panels: arrange(groups),
	}
	d.Templating.List = append([]variable{
		{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Refresh: 1},
	}, variables...)
	d.Annotations.List = []annotation{{
		Name: "Alerts", Datasource: prometheus, Enable: true, IconColor: "red", Step: "60s",
		Expr: `ALERTS{alertstate="firing", job=~"$job", alertname=~"Task.*|Database.*"}`, TitleFmt: "{{alertname}}",
	}}
	return d
}

// labelVariable is a variable whose values are those of a label.
func labelVariable(name, label, metric, key string) variable {
	q := "label_values(" + metric + ", " + key + ")"
	return variable{
		Name: name, Label: label, Type: "query", Query: q, Definition: q, Datasource: &prometheus, Refresh: 2, Sort: 1,
		Multi: true, IncludeAll: true, AllValue: ".*", Current: current{Selected: true, Text: "All", Value: "$__all"},
	}
}
