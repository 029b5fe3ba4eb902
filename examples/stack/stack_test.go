// Package stack_test checks the configuration of the stack, as far as that goes
// without running it.
package stack_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// parse decodes a file; with strict, it may hold nothing that into has not.
func parse(t *testing.T, path string, strict bool, into any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(read(t, path)))
	d.KnownFields(strict)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

type composition struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Volumes     []string
		Ports       []string
		DependsOn   []string `yaml:"depends_on"`
	}
	Volumes map[string]any
}

// TestCompose: images are pinned, ports are this machine's alone, and what is
// mounted is there.
func TestCompose(t *testing.T) {
	var c composition
	parse(t, "docker-compose.yml", false, &c)
	for _, name := range []string{"quickstart", "load", "collector", "jaeger", "prometheus", "grafana"} {
		if _, ok := c.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
	pinned := regexp.MustCompile(`:v?\d+\.\d+\.\d+$`)
	for name, s := range c.Services {
		if s.Image != "taskspan-examples:local" && !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %s is not pinned", name, s.Image)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: the port %s is open to others", name, p)
			}
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if !strings.HasPrefix(source, ".") {
				if _, ok := c.Volumes[source]; !ok {
					t.Errorf("%s: there is no volume %s", name, source)
				}
			} else if _, err := os.Stat(source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, d := range s.DependsOn {
			if _, ok := c.Services[d]; !ok {
				t.Errorf("%s: it depends on %s, which is not there", name, d)
			}
		}
		for _, a := range s.Command {
			// What a command reads is mounted.
			if file, ok := strings.CutPrefix(a, "--config="); ok && !slices.ContainsFunc(s.Volumes, func(v string) bool { return strings.Contains(v, ":"+file+":") }) {
				t.Errorf("%s: %s is not mounted", name, file)
			}
		}
	}
	if e := c.Services["load"].Environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]; e != "http://collector:4318/v1/traces" {
		t.Errorf("traces go to %q", e)
	}
	if !pinned.MatchString(strings.TrimSuffix(strings.Fields(regexp.MustCompile(`(?m)^FROM .*`).FindString(read(t, "Dockerfile")))[1], "-bookworm")) {
		t.Error("the image of the Dockerfile is not pinned")
	}
}

type pipelines struct {
	Extensions, Receivers, Processors, Exporters map[string]any
	Service                                      struct {
		Extensions []string
		Pipelines  map[string]struct{ Receivers, Processors, Exporters []string }
		Telemetry  any
	}
}

// TestPipelines: what a pipeline is made of is configured, and what is
// configured is in a pipeline.
func TestPipelines(t *testing.T) {
	for _, file := range []string{"collector/collector.yml", "jaeger/jaeger.yml"} {
		var c pipelines
		parse(t, file, true, &c)
		var used, configured []string
		for _, p := range c.Service.Pipelines {
			used = slices.Concat(used, p.Receivers, p.Processors, p.Exporters)
		}
		used = append(used, c.Service.Extensions...)
		for _, part := range []map[string]any{c.Extensions, c.Receivers, c.Processors, c.Exporters} {
			for name := range part {
				configured = append(configured, name)
			}
		}
		slices.Sort(used)
		slices.Sort(configured)
		if !slices.Equal(used, configured) {
			t.Errorf("%s: in pipelines are %v, and configured %v", file, used, configured)
		}
	}
	var c struct {
		Processors struct {
			TailSampling struct {
				Policies []struct{ Name, Type string }
			} `yaml:"tail_sampling"`
		}
	}
	parse(t, "collector/collector.yml", false, &c)
	var names []string
	for _, p := range c.Processors.TailSampling.Policies {
		names = append(names, p.Name)
	}
	if want := []string{"errors", "slow", "cancellations", "findings", "rest"}; !slices.Equal(names, want) {
		t.Errorf("the policies are %v, and should be %v", names, want)
	}
	if text := read(t, "collector/collector.yml"); !strings.Contains(text, "memory_limiter, tail_sampling, batch") {
		t.Error("the memory limiter comes first, batches last")
	}
}

// TestScrapes: Prometheus scrapes services of the stack, at the ports that they
// serve.
func TestScrapes(t *testing.T) {
	var p struct {
		ScrapeConfigs []struct {
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
		RuleFiles []string `yaml:"rule_files"`
	}
	parse(t, "prometheus/prometheus.yml", false, &p)
	var c composition
	parse(t, "docker-compose.yml", false, &c)
	for _, s := range p.ScrapeConfigs {
		for _, target := range s.StaticConfigs[0].Targets {
			name, port, _ := strings.Cut(target, ":")
			service, ok := c.Services[name]
			serves := slices.Contains(service.Command, "0.0.0.0:"+port) ||
				name == "collector" && strings.Contains(read(t, "collector/collector.yml"), "port: "+port)
			if !ok || !serves {
				t.Errorf("nothing serves metrics at %s", target)
			}
		}
	}
	for _, f := range p.RuleFiles {
		if !slices.Contains(c.Services["prometheus"].Volumes, "./prometheus/"+filepath.Base(f)+":"+f+":ro") {
			t.Errorf("%s is not mounted", f)
		}
	}
}

// TestProvisioning: Grafana's data sources are services of the stack, and an
// exemplar leads to one of them.
func TestProvisioning(t *testing.T) {
	var g struct {
		Datasources []struct {
			UID, Type, URL string
			JSONData       struct {
				Destinations []struct {
					Name, DatasourceUID string
				} `yaml:"exemplarTraceIdDestinations"`
			} `yaml:"jsonData"`
		}
	}
	text := strings.ReplaceAll(read(t, "grafana/provisioning/datasources/datasources.yml"), "datasourceUid:", "datasourceuid:")
	if err := yaml.Unmarshal([]byte(text), &g); err != nil {
		t.Fatal(err)
	}
	urls := map[string]string{}
	for _, d := range g.Datasources {
		urls[d.UID] = d.URL
	}
	if urls["prometheus"] != "http://prometheus:9090" || urls["jaeger"] != "http://jaeger:16686" {
		t.Errorf("the data sources are %v", urls)
	}
	if d := g.Datasources[0].JSONData.Destinations; len(d) != 1 || d[0].Name != "trace_id" || d[0].DatasourceUID != "jaeger" {
		t.Errorf("exemplars lead to %v", d)
	}
}

// TestPage: what the page says of sampling and retention is what is configured.
func TestPage(t *testing.T) {
	page := strings.Join(strings.Fields(read(t, "../../docs/sampling-and-retention.md")), " ") // wherever its lines end
	for said, file := range map[[2]string]string{
		{"48 hours", "spans: 48h"}:                              "jaeger/jaeger.yml",
		{"15 days", "retention.time=15d"}:                       "docker-compose.yml",
		{"100,000", "max_exemplars: 100000"}:                    "prometheus/prometheus.yml",
		{"5 GB", "retention.size=5GB"}:                          "docker-compose.yml",
		{"lasts five seconds or more", "threshold_ms: 5000"}:    "collector/collector.yml",
		{"one in ten of the others", "sampling_percentage: 10"}: "collector/collector.yml",
		{"`decision_wait` is 30 seconds", "decision_wait: 30s"}: "collector/collector.yml",
	} {
		if !strings.Contains(page, said[0]) || !strings.Contains(read(t, file), said[1]) {
			t.Errorf("the page should say %q, and %s have %q", said[0], file, said[1])
		}
	}
}
