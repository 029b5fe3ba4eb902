package main

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	return string(text)
}

// TestFiles: the files are what this program writes.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	check(t, write(dir))
	written, err := filepath.Glob(dir + "/*")
	check(t, err)
	committed, err := filepath.Glob("../grafana/dashboards/*")
	check(t, err)
	if len(written) != len(committed) {
		t.Errorf("%d files are committed, and %d would be written", len(committed), len(written))
	}
	for _, path := range written {
		if read(t, path) != read(t, filepath.Join("../grafana/dashboards", filepath.Base(path))) {
			t.Errorf("%s is not what `go run ./stack/dashboards` writes", filepath.Base(path))
		}
	}
}

// shown is what the tests read of a dashboard.
type shown struct {
	UID, Title, Description string
	Templating              struct {
		List []struct {
			Name, Type, AllValue string
			Multi                bool
			Refresh              int
			Datasource           *struct{ UID string }
		}
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ H, W, X, Y int }
	Targets                  []struct {
		RefID, Expr, LegendFormat, Format string
		Exemplar, Range                   bool
		Datasource                        struct{ UID string }
	}
	FieldConfig struct {
		Defaults struct {
			Unit  string
			Links []shownLink
		}
		Overrides []struct {
			Matcher    struct{ Options string }
			Properties []struct {
				ID    string
				Value json.RawMessage
			}
		}
	}
	Transformations []struct {
		ID      string
		Options struct{ RenameByName map[string]string }
	}
}

type shownLink struct{ Title, URL string }

// links returns where a panel leads to, by series and by row.
func (p panel) links(t *testing.T) []shownLink {
	all := p.FieldConfig.Defaults.Links
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID == "links" {
				var links []shownLink
				check(t, json.Unmarshal(property.Value, &links))
				all = append(all, links...)
			}
		}
	}
	return all
}

// boards returns the dashboards.
func boards(t *testing.T) (all []shown) {
	t.Helper()
	made, err := files()
	check(t, err)
	for _, name := range []string{"taskspan-tasks.json", "taskspan-databases.json"} {
		var d shown
		check(t, json.Unmarshal(made[name], &d))
		all = append(all, d)
	}
	return all
}

// lint returns what is wrong with a dashboard.
func lint(t *testing.T, d shown) (wrong []string) {
	complain := func(p panel, what string) { wrong = append(wrong, d.Title+": "+p.Title+": "+what) }
	if d.UID == "" || d.Title == "" || d.Description == "" || len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" {
		wrong = append(wrong, d.Title+": needs an uid, a title, a description, and first a variable for the data source")
	}
	variables := []string{"__rate_interval", "__range", "__from", "__to", "__field", "__data"}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Type == "query" && v.Multi != (v.Name != "service") {
			wrong = append(wrong, d.Title+": variable "+v.Name+" is of one value, or of many")
		}
		if v.Type == "query" && (v.Datasource == nil || v.Datasource.UID != "${datasource}" || (v.AllValue == ".*") != v.Multi || v.Refresh != 2) {
			wrong = append(wrong, d.Title+": variable "+v.Name+" is not as all are")
		}
	}
	used := map[string]bool{"datasource": true}
	ids, titles := map[int]bool{}, map[string]bool{}
	var places []struct{ H, W, X, Y int }
	for _, p := range d.Panels {
		if ids[p.ID] || titles[p.Type+p.Title] && p.Type != "row" {
			complain(p, "its id or its title is not unique")
		}
		ids[p.ID], titles[p.Type+p.Title] = true, true
		g := p.GridPos
		if g.X < 0 || g.W <= 0 || g.H <= 0 || g.X+g.W > 24 {
			complain(p, "it is outside of the grid")
		}
		for _, o := range places {
			if g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
				complain(p, "it covers another panel")
			}
		}
		places = append(places, g)
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			complain(p, "it needs a title, a description, a unit and a query")
		}
		for _, l := range p.links(t) {
			u, err := url.Parse(l.URL)
			check(t, err)
			if panes := u.Query().Get("panes"); l.Title == "" || u.Path != "/explore" || !json.Valid([]byte(panes)) || !strings.Contains(panes, `"datasource":"${traces}"`) {
				complain(p, "a link does not lead to traces")
			}
			for _, v := range regexp.MustCompile(`\$\{(\w+)`).FindAllStringSubmatch(l.URL, -1) {
				used[v[1]] = true
				if !slices.Contains(variables, v[1]) {
					complain(p, "there is no variable "+v[1])
				}
			}
		}
		if p.Type == "table" {
			columns := slices.Collect(maps.Values(p.Transformations[1].Options.RenameByName))
			for _, o := range p.FieldConfig.Overrides {
				if !slices.Contains(columns, o.Matcher.Options) {
					complain(p, "there is no column "+o.Matcher.Options)
				}
			}
		}
		for _, q := range p.Targets {
			if q.LegendFormat == "" || q.Datasource.UID != "${datasource}" {
				complain(p, "a query needs a legend and the chosen data source")
			}
			if strings.Contains(q.Expr, "rate(") && q.Range && !strings.Contains(q.Expr, "[$__rate_interval]") {
				complain(p, "a rate is not over $__rate_interval")
			}
			if q.Exemplar && !strings.Contains(q.Expr, "_bucket{") {
				complain(p, "exemplars are on buckets")
			}
			for _, selector := range regexp.MustCompile(`\{([^}]*)\}`).FindAllStringSubmatch(q.Expr, -1) {
				if !strings.Contains(selector[1], `job=~"$job", instance=~"$instance"`) {
					complain(p, "it does not go by job and instance")
				}
			}
			for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(q.Expr, -1) {
				used[v[1]] = true
				if !slices.Contains(variables, v[1]) {
					complain(p, "there is no variable "+v[1])
				}
			}
		}
	}
	for _, v := range d.Templating.List {
		if !used[v.Name] {
			wrong = append(wrong, d.Title+": nothing goes by the variable "+v.Name)
		}
	}
	return wrong
}

func TestLint(t *testing.T) {
	for _, d := range boards(t) {
		for _, w := range lint(t, d) {
			t.Error(w)
		}
	}
	for name, spoil := range map[string]func(*shown){
		"data source": func(d *shown) { d.Templating.List = d.Templating.List[1:] },
		"same id":     func(d *shown) { d.Panels[2].ID = d.Panels[1].ID },
		"overlap":     func(d *shown) { d.Panels[2].GridPos = d.Panels[1].GridPos },
		"outside":     func(d *shown) { d.Panels[1].GridPos.X = 23 },
		"no unit":     func(d *shown) { d.Panels[1].FieldConfig.Defaults.Unit = "" },
		"no words":    func(d *shown) { d.Panels[1].Description = "" },
		"no legend":   func(d *shown) { d.Panels[1].Targets[0].LegendFormat = "" },
		"no selector": func(d *shown) { d.Panels[1].Targets[0].Expr = "sum(worker_task_active{})" },
		"no variable": func(d *shown) { d.Panels[1].Targets[0].Expr += " + $nothing" },
		"wrong link":  func(d *shown) { d.Panels[6].FieldConfig.Defaults.Links = []shownLink{{"Nothing", "/explore"}} },
		"no such link": func(d *shown) {
			l := &d.Panels[7].FieldConfig.Defaults.Links[0]
			l.URL = strings.ReplaceAll(l.URL, "${service}", "${services}")
		},
		"fixed window": func(d *shown) { d.Panels[6].Targets[0].Expr = "rate(x[5m])" },
	} {
		d := boards(t)[0]
		if spoil(&d); len(lint(t, d)) == 0 {
			t.Errorf("%s: nobody notices", name)
		}
	}
}

// rules are the rules of a file for Prometheus.
type rules struct {
	Groups []struct {
		Rules []struct {
			Record, Alert, Expr string
			Labels, Annotations map[string]string
		}
	}
}

func readRules(t *testing.T) (r rules) {
	t.Helper()
	check(t, yaml.Unmarshal([]byte(read(t, "../prometheus/rules.yml")), &r))
	return r
}

// TestAlerts: each alert says what to look at, and has a section in the runbook
// and unit tests in which it fires and stays silent.
func TestAlerts(t *testing.T) {
	runbook := read(t, "../../../docs/runbook.md")
	var tested struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	check(t, yaml.Unmarshal([]byte(read(t, "../prometheus/rules_test.yml")), &tested))
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tested.Tests {
		for _, a := range test.AlertRuleTest {
			if len(a.ExpAlerts) > 0 {
				fires[a.Alertname] = true
			} else {
				silent[a.Alertname] = true
			}
		}
	}
	titles := panelTitles(t)
	alerts := 0
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			alerts++
			if !fires[r.Alert] || !silent[r.Alert] {
				t.Errorf("%s has no test in which it fires, or none in which it is silent", r.Alert)
			}
			if want := "https://github.com/taskspan/taskspan/blob/main/docs/runbook.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
				t.Errorf("%s: the runbook is at %q", r.Alert, r.Annotations["runbook_url"])
			}
			if !strings.Contains(runbook, "\n## "+r.Alert+"\n") {
				t.Errorf("%s has no section in the runbook", r.Alert)
			}
			if s := r.Labels["severity"]; s != "page" && s != "ticket" {
				t.Errorf("%s: its severity is %q", r.Alert, s)
			}
			for _, quoted := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(r.Annotations["summary"], -1) {
				if quoted[1] != "task finding" && !titles[quoted[1]] {
					t.Errorf("%s: there is no panel %q", r.Alert, quoted[1])
				}
			}
			if r.Annotations["summary"] == "" {
				t.Errorf("%s: it has no summary", r.Alert)
			}
		}
	}
	if sections := strings.Count(runbook, "\n## "); sections != alerts {
		t.Errorf("the runbook has %d sections for %d alerts", sections, alerts)
	}
	words := regexp.MustCompile("`[^`]*`").ReplaceAllString(runbook, "")
	for _, name := range regexp.MustCompile(`\*([A-Za-z0-9][^*]*)\*`).FindAllStringSubmatch(words, -1) {
		if n := name[1]; n != "Tasks" && n != "Databases" && !titles[n] {
			t.Errorf("the runbook sends to a panel %q, which is not there", n)
		}
	}
}

func panelTitles(t *testing.T) map[string]bool {
	titles := map[string]bool{}
	for _, d := range boards(t) {
		for _, p := range d.Panels {
			if p.Type != "row" {
				titles[p.Title] = true
			}
		}
	}
	return titles
}

// TestNames: what the panels and rules ask for is what docs/telemetry.md has.
func TestNames(t *testing.T) {
	page := read(t, "../../../docs/telemetry.md")
	var expressions []string
	for _, d := range boards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				expressions = append(expressions, q.Expr)
			}
		}
	}
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			expressions = append(expressions, r.Expr)
		}
	}
	asked := map[string]bool{}
	for _, e := range expressions {
		for _, name := range regexp.MustCompile(`\b(?:db|otdb|worker|river|messaging)_[a-z_]+[{\[]`).FindAllString(e, -1) {
			name = name[:len(name)-1]
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base, ok := strings.CutSuffix(name, suffix); ok && strings.Contains(page, "`"+base+"` | histogram") {
					name = base
				}
			}
			asked[name] = true
		}
	}
	for name := range asked {
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("%s is asked for, and docs/telemetry.md does not have it", name)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `[a-z_.]+` \\| `([a-z_]+)` \\| (?:histogram|updowncounter|counter|gauge) \\|").FindAllStringSubmatch(page, -1) {
		if !asked[row[1]] {
			t.Errorf("no panel and no rule asks for %s", row[1])
		}
	}
}
