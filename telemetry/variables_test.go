package telemetry

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
)

// Every value that is no good is named with what is used instead, and telemetry works.
func TestVariables(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{envBSPMaxQueueSize: "-1"}, `telemetry: OTEL_BSP_MAX_QUEUE_SIZE="-1": not a whole number from 1 to 16777216; using 2048`},
		{map[string]string{envBSPMaxQueueSize: "0"}, `telemetry: OTEL_BSP_MAX_QUEUE_SIZE="0": not a whole number from 1 to 16777216; using 2048`},
		{map[string]string{envBSPMaxQueueSize: "99999999999"}, `telemetry: OTEL_BSP_MAX_QUEUE_SIZE="99999999999": not a whole number from 1 to 16777216; using 2048`},
		{map[string]string{envBSPMaxQueueSize: "1e3"}, `telemetry: OTEL_BSP_MAX_QUEUE_SIZE="1e3": not a whole number from 1 to 16777216; using 2048`},
		{map[string]string{envBSPMaxBatchSize: "-5"}, `telemetry: OTEL_BSP_MAX_EXPORT_BATCH_SIZE="-5": not a whole number from 1 to 16777216; using 512`},
		{map[string]string{envBSPMaxBatchSize: "100", envBSPMaxQueueSize: "50"}, `telemetry: OTEL_BSP_MAX_EXPORT_BATCH_SIZE="100": more than the queue holds; using 50`},
		{map[string]string{envBSPScheduleDelay: "0"}, `telemetry: OTEL_BSP_SCHEDULE_DELAY="0": not a whole number of milliseconds from 1 on; using 5000`},
		{map[string]string{envBSPScheduleDelay: "5s"}, `telemetry: OTEL_BSP_SCHEDULE_DELAY="5s": not a whole number of milliseconds from 1 on; using 5000`},
		{map[string]string{envBSPScheduleDelay: "9223372036854775807"}, `telemetry: OTEL_BSP_SCHEDULE_DELAY="9223372036854775807": not a whole number of milliseconds from 1 on; using 5000`},
		{map[string]string{envBSPExportTimeout: "abc"}, `telemetry: OTEL_BSP_EXPORT_TIMEOUT="abc": not a whole number of milliseconds from 0 on; using 30000`},
		{map[string]string{"OTEL_BLRP_MAX_QUEUE_SIZE": "-1"}, `telemetry: OTEL_BLRP_MAX_QUEUE_SIZE="-1": not a whole number from 1 to 16777216; using 2048`},
		{map[string]string{"OTEL_BLRP_SCHEDULE_DELAY": "0"}, `telemetry: OTEL_BLRP_SCHEDULE_DELAY="0": not a whole number of milliseconds from 1 on; using 1000`},
		{map[string]string{"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "x"}, `telemetry: OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="x": not a whole number from 1 to 16777216; using 512`},
		{map[string]string{"OTEL_METRIC_EXPORT_INTERVAL": "0"}, `telemetry: OTEL_METRIC_EXPORT_INTERVAL="0": not a whole number of milliseconds from 1 on; using 60000`},
		{map[string]string{"OTEL_METRIC_EXPORT_TIMEOUT": "-1"}, `telemetry: OTEL_METRIC_EXPORT_TIMEOUT="-1": not a whole number of milliseconds from 1 on; using 30000`},
		{map[string]string{"OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}, `telemetry: OTEL_EXPORTER_OTLP_TIMEOUT="10s": not a whole number of milliseconds from 0 on; using 10000`},
		{map[string]string{"OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "-3"}, `telemetry: OTEL_EXPORTER_OTLP_LOGS_TIMEOUT="-3": not a whole number of milliseconds from 0 on; using 10000`},
		{map[string]string{"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, `telemetry: OTEL_EXPORTER_OTLP_COMPRESSION="zstd": unknown (known: none, gzip); using none`},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_INSECURE": "yes"}, `telemetry: OTEL_EXPORTER_OTLP_TRACES_INSECURE="yes": unknown (known: false, true); using the scheme of the endpoint`},
		{map[string]string{"OTEL_TRACES_SAMPLER": "half"}, `telemetry: OTEL_TRACES_SAMPLER="half": unknown (known: parentbased_always_on, parentbased_always_off, ` +
			`parentbased_traceidratio, always_on, always_off, traceidratio); using parentbased_always_on`},
		{map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10%"}, `telemetry: OTEL_TRACES_SAMPLER_ARG="10%": not a number from 0 to 1; using 1`},
		{map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "NaN"}, `telemetry: OTEL_TRACES_SAMPLER_ARG="NaN": not a number from 0 to 1; using 1`},
		{map[string]string{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"}, `telemetry: OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="many": not a whole number; using 128`},
		{map[string]string{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1k"}, `telemetry: OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="1k": not a whole number; using no limit`},
		{map[string]string{"OTEL_METRICS_EXEMPLAR_FILTER": "all"}, `telemetry: OTEL_METRICS_EXEMPLAR_FILTER="all": unknown (known: trace_based, always_on, always_off); using trace_based`},
		{map[string]string{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "x"}, `telemetry: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="x": unknown (known: cumulative, delta, lowmemory); using cumulative`},
		{map[string]string{"OTEL_SPAN_EVENT_COUNT_LIMIT": " 5"}, `telemetry: OTEL_SPAN_EVENT_COUNT_LIMIT=" 5": not a whole number; using 128`},
		{map[string]string{envCardinalityLimit: "x"}, `telemetry: OTEL_GO_X_CARDINALITY_LIMIT="x": not a whole number; using 20000`},
		{map[string]string{envSDKDisabled: "1"}, `telemetry: OTEL_SDK_DISABLED="1": unknown (known: false, true); using false`},
		{map[string]string{"OTEL_CONFIG_FILE": "sdk.yaml"}, `telemetry: OTEL_CONFIG_FILE="sdk.yaml": not supported; using the other OTEL_* variables`},
		{map[string]string{"OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": "/nowhere/ca.pem"},
			`telemetry: OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE="/nowhere/ca.pem": the file cannot be read: no such file or directory; using those of the system`},
		{map[string]string{"OTEL_EXPORTER_OTLP_CERTIFICATE": "main_test.go"},
			`telemetry: OTEL_EXPORTER_OTLP_CERTIFICATE="main_test.go": the file holds no certificate; using those of the system`},
		{map[string]string{"OTEL_EXPORTER_OTLP_CLIENT_KEY": "main_test.go"},
			`telemetry: OTEL_EXPORTER_OTLP_CLIENT_KEY="main_test.go": without OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE; using no certificate of the client`},
		{map[string]string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "main_test.go", "OTEL_EXPORTER_OTLP_CLIENT_KEY": "main_test.go"},
			`telemetry: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="main_test.go": the files hold no certificate with its key; using no certificate of the client`},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": "main_test.go", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY": "/nowhere/key.pem"},
			`telemetry: OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE="main_test.go": its key: the file cannot be read: no such file or directory; using no certificate of the client`},
		{map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer canary1,canary2,x=%zzcanary3,y=a%0acanary4"},
			`telemetry: OTEL_EXPORTER_OTLP_HEADERS: elements 2, 3, 4 are not of the form key=value; using the elements that are`},
	} {
		t.Run(test.want, func(t *testing.T) {
			var logged bytes.Buffer
			previous := slog.Default()
			slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
			t.Cleanup(func() { slog.SetDefault(previous) })
			errs := captureErrors(t)
			c := newCollector(t)
			test.env[envOTLPEndpoint] = c.URL
			works := newWorking(t)
			tel, err := start(t, test.env, works.options()...)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			works.check(t)
			if err := tel.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.spans) != 1 || len(c.metrics) != 1 || len(c.logs) != 1 {
				t.Errorf("%d spans, %d metrics, %d logs reach the collector", len(c.spans), len(c.metrics), len(c.logs))
			}
			for _, err := range errs.all() {
				logged.WriteString(err.Error())
			}
			if strings.Contains(logged.String(), "canary") {
				t.Errorf("a header in %s", logged.String())
			}
		})
	}
}

// What is good is not complained of.
func TestGoodVariables(t *testing.T) {
	for name, value := range map[string]string{
		envBSPMaxQueueSize: " 4096 ", envBSPExportTimeout: "0", "OTEL_TRACES_SAMPLER": "ParentBased_Always_On",
		"OTEL_TRACES_SAMPLER_ARG": "endpoint=http://localhost", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "-1", envSDKDisabled: "FALSE",
		"OTEL_EXPORTER_OTLP_HEADERS": "a=b, c = d%20e ,x-y=", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
	} {
		setEnv(t, map[string]string{name: value})
		if errs := checkVariables(); len(errs) > 0 {
			t.Errorf("%s=%q: %v", name, value, errs)
		}
	}
}

// short are the names that OTLP exporters write without their prefix.
var short = regexp.MustCompile(`^((TRACES|METRICS|LOGS)_)?(TIMEOUT|HEADERS|COMPRESSION|INSECURE|PROTOCOL|ENDPOINT|CERTIFICATE|CLIENT_CERTIFICATE|CLIENT_KEY|` +
	`TEMPORALITY_PREFERENCE|DEFAULT_HISTOGRAM_AGGREGATION)$`)

// TestVariablesOfTheSDK: the table has every variable that occurs in the sources of the SDK and the exporters.
func TestVariablesOfTheSDK(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{end}}{{.Dir}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`"([A-Z][A-Z_]+)"`)
	found := 0
	for line := range strings.Lines(string(out)) {
		module, dir, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !strings.HasPrefix(module, "go.opentelemetry.io/") {
			continue
		}
		files, err := fs.Glob(os.DirFS(dir), "*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range literal.FindAllSubmatch(text, -1) {
				name := string(match[1])
				if short.MatchString(name) && strings.Contains(module, "/otlp/") {
					name = "OTEL_EXPORTER_OTLP_" + name
				}
				// The others are prefixes.
				if !strings.HasPrefix(name, "OTEL_") || strings.HasSuffix(name, "_") || name == "OTEL_EXPORTER_OTLP" ||
					strings.HasPrefix(name, "OTEL_GO_X_") && name != envCardinalityLimit { // experiments, which are on or off
					continue
				}
				found++
				known := slices.ContainsFunc(variables, func(v variable) bool { return v.name == name })
				if !known && !slices.Contains(texts, name) {
					t.Errorf("%s of %s is not in the table", name, module)
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d names found", found)
	}
}

// Errors of OpenTelemetry are log records, unless the program handles them itself.
func TestErrorsGoToSlog(t *testing.T) {
	var logged bytes.Buffer
	previous, handler := slog.Default(), otel.GetErrorHandler()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	t.Cleanup(func() { slog.SetDefault(previous) })
	if isInitial(handler) {
		handleErrors()
	}
	errorHandler{}.Handle(context.Canceled)
	if !strings.Contains(logged.String(), `level=ERROR msg=opentelemetry error="context canceled"`) {
		t.Errorf("logged %q", logged.String())
	}
	own := captureErrors(t)
	handleErrors()
	otel.Handle(context.Canceled)
	if got := own.all(); len(got) != 1 {
		t.Errorf("the program's handler got %v", got)
	}
}
