package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Units of Grafana.
const (
	seconds = "s"
	perSec  = "ops"
	share   = "percentunit"
	count   = "short"
)

// query is an expression of a panel and how its series are called: of a table, its
// column.
type query struct {
	expr, legend string
	// exemplars reports whether the dots of single measurements are shown: they lead
	// to the trace.
	exemplars bool
	unit      string // of a column, if it is not that of the panel
}

// column is a label that a table has a column of.
type column struct {
	label, title string
	links        []link
}

// link leads from a series, or a row of a table, to its traces.
type link struct{ title, url string }

// chart is a panel before it has a place.
type chart struct {
	kind        string // timeseries, stat, heatmap, table
	title, unit string
	description string
	width       int // of 24
	queries     []query
	stacked     bool
	links       []link
	by          []column // of a table
}

// group is a row and the panels below it.
type group struct {
	title  string
	charts []chart
}

const chartHeight, statHeight = 8, 4

// chosen is the data source for metrics that the viewer chose.
func chosen() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
}

// traces returns a link to Explore, with the newest traces that have such an
// operation and such tags. The viewer chose their data source and the service.
func traces(title, operation, tags string) link {
	q := map[string]string{"refId": "A", "queryType": "search", "service": "${service}"}
	if operation != "" {
		q["operation"] = operation
	}
	if tags != "" {
		q["tags"] = tags
	}
	panes, err := json.Marshal(map[string]any{"taskspan": map[string]any{
		"datasource": "${traces}", "queries": []any{q}, "range": map[string]string{"from": "${__from}", "to": "${__to}"},
	}})
	if err != nil {
		panic(err) // strings always can be
	}
	// Grafana puts values in the place of its variables, which have to stay as they are.
	var u strings.Builder
	u.WriteString("/explore?schemaVersion=1&panes=")
	for rest := string(panes); rest != ""; {
		text, variable, _ := strings.Cut(rest, "${")
		u.WriteString(url.QueryEscape(text))
		name, after, ok := strings.Cut(variable, "}")
		if ok {
			u.WriteString("${" + name + "}")
		}
		rest = after
	}
	return link{title, u.String()}
}

func (l link) build() cog.Builder[dashboard.DashboardLink] {
	return dashboard.NewDashboardLinkBuilder(l.title).Type(dashboard.DashboardLinkTypeLink).Url(l.url).TargetBlank(true)
}

func (c chart) targets() (all []cog.Builder[variants.Dataquery]) {
	for i, q := range c.queries {
		t := prometheus.NewDataqueryBuilder().RefId(refID(i)).Datasource(chosen()).Expr(q.expr).LegendFormat(q.legend).Exemplar(q.exemplars)
		switch c.kind {
		case "stat":
			t.Instant()
		case "table":
			t.Instant().Format(prometheus.PromQueryFormatTable)
		case "heatmap":
			t.Range().Format(prometheus.PromQueryFormatHeatmap)
		default:
			t.Range()
		}
		all = append(all, t)
	}
	return all
}

func refID(i int) string { return string(rune('A' + i)) }

func (c chart) panel() cog.Builder[dashboard.Panel] {
	var links []cog.Builder[dashboard.DashboardLink]
	for _, l := range c.links {
		links = append(links, l.build())
	}
	switch c.kind {
	case "stat":
		return stat.NewPanelBuilder().Title(c.title).Description(c.description).Datasource(chosen()).Span(uint32(c.width)).Height(statHeight).
			Unit(c.unit).Min(0).Targets(c.targets()).DataLinks(links).
			ColorMode(common.BigValueColorModeNone).GraphMode(common.BigValueGraphModeNone).TextMode(common.BigValueTextModeAuto).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	case "heatmap":
		return heatmap.NewPanelBuilder().Title(c.title).Description(c.description).Datasource(chosen()).Span(uint32(c.width)).Height(chartHeight).
			Unit(c.unit).Min(0).Targets(c.targets()).DataLinks(links).
			Calculate(false).ExemplarsColor("rgba(255,0,255,0.7)").ShowLegend().
			Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Oranges").Steps(64)).
			YAxis(heatmap.NewYAxisConfigBuilder().Unit(c.unit)).
			Tooltip(heatmap.NewHeatmapTooltipBuilder().Mode(common.TooltipDisplayModeSingle).YHistogram(true))
	case "table":
		return c.table()
	default:
		p := timeseries.NewPanelBuilder().Title(c.title).Description(c.description).Datasource(chosen()).Span(uint32(c.width)).Height(chartHeight).
			Unit(c.unit).Min(0).Targets(c.targets()).DataLinks(links).
			FillOpacity(8).LineWidth(1).ShowPoints(common.VisibilityModeNever).
			Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
			Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
		if c.stacked {
			p.FillOpacity(40).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
		}
		return p
	}
}

// table shows one row for each combination of labels, the largest second value first.
func (c chart) table() cog.Builder[dashboard.Panel] {
	p := table.NewPanelBuilder().Title(c.title).Description(c.description).Datasource(chosen()).Span(uint32(c.width)).Height(chartHeight).
		Unit(c.unit).Min(0).Targets(c.targets()).
		SortBy([]cog.Builder[common.TableSortByFieldState]{common.NewTableSortByFieldStateBuilder().DisplayName(c.queries[1].legend).Desc(true)})
	titles, places := map[string]string{}, map[string]int{}
	for _, by := range c.by {
		titles[by.label], places[by.label] = by.title, len(places)
		var links []dashboard.DashboardLink
		for _, l := range by.links {
			built, err := l.build().Build()
			if err != nil {
				return p.RecordError(c.title, err)
			}
			links = append(links, built)
		}
		if links != nil {
			p.OverrideByName(by.title, []dashboard.DynamicConfigValue{{Id: "links", Value: links}})
		}
	}
	for i, q := range c.queries {
		value := "Value #" + refID(i)
		if len(c.queries) == 1 {
			value = "Value"
		}
		titles[value], places[value] = q.legend, len(places)
		if q.unit != "" {
			p.OverrideByName(q.legend, []dashboard.DynamicConfigValue{{Id: "unit", Value: q.unit}})
		}
	}
	return p.
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]bool{"Time": true}, "indexByName": places, "renameByName": titles,
		}})
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

// file is a dashboard, as Grafana reads it.
type file struct {
	name string
	text []byte
}

// newDashboard makes a dashboard with the variables and links that all have.
func newDashboard(uid, title, description string, groups []group, variables ...cog.Builder[dashboard.VariableModel]) (file, error) {
	//nolint:staticcheck // Grafana 12 does not import files of the schema that replaces it
	d := dashboard.NewDashboardBuilder(title).Uid(uid).Description(description).Tags([]string{"taskspan"}).Version(1).
		Tooltip(dashboard.DashboardCursorSyncCrosshair).Refresh("30s").Timezone(common.TimeZoneBrowser).Time("now-1h", "now").
		Link(dashboard.NewDashboardLinkBuilder("Taskspan").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{"taskspan"}).KeepTime(true).IncludeVars(true)).
		Link(dashboard.NewDashboardLinkBuilder("Runbook").Type(dashboard.DashboardLinkTypeLink).TargetBlank(true).
			Url("https://github.com/taskspan/taskspan/blob/main/docs/runbook.md")).
		Annotation(dashboard.NewAnnotationQueryBuilder().Name("Alerts").Datasource(chosen()).Enable(true).IconColor("red").Step("60s").
			Expr(`ALERTS{alertstate="firing", job=~"$job", alertname=~"Task.*|Database.*"}`).TitleFormat("{{alertname}}")).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus"))
	for _, v := range variables {
		d.WithVariable(v)
	}
	// Links to traces need these: the program has another name there.
	d.WithVariable(dashboard.NewDatasourceVariableBuilder("traces").Label("Traces").Type("jaeger")).
		WithVariable(valueVariable("service", "Service", `target_info{job=~"$job", instance=~"$instance"}`, "service_name"))
	id := uint32(0)
	for _, g := range groups {
		id++
		d.WithRow(dashboard.NewRowBuilder(g.title).Id(id))
		for _, c := range g.charts {
			id++
			d.WithPanel(numbered{c.panel(), id})
		}
	}
	built, err := d.Build()
	if err != nil {
		return file{}, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(built)
	return file{uid + ".json", b.Bytes()}, err
}

// numbered gives a panel an id.
type numbered struct {
	cog.Builder[dashboard.Panel]
	id uint32
}

// Build implements cog.Builder.
func (n numbered) Build() (dashboard.Panel, error) {
	p, err := n.Builder.Build()
	p.Id = &n.id
	return p, err
}

// valueVariable is a variable whose values are those of a label, one of which is chosen.
func valueVariable(name, label, metric, key string) *dashboard.QueryVariableBuilder {
	q := "label_values(" + metric + ", " + key + ")"
	return dashboard.NewQueryVariableBuilder(name).Label(label).Query(dashboard.StringOrMap{String: &q}).Definition(q).Datasource(chosen()).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
}

// labelVariable is a variable whose values are those of a label, all of them at first.
func labelVariable(name, label, metric, key string) cog.Builder[dashboard.VariableModel] {
	text := func(s string) dashboard.StringOrArrayOfString { return dashboard.StringOrArrayOfString{String: &s} }
	return valueVariable(name, label, metric, key).Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{Selected: cog.ToPtr(true), Text: text("All"), Value: text("$__all")})
}
