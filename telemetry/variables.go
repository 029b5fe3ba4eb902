package telemetry

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A variable is one that the SDK or an exporter reads, and that not every text is good for. The SDK panics, loops,
// logs, or stays silent on others; Start reports them, and what is used in their place.
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
type variable struct {
	name     string
	number   bool
	min, max int      // of a number
	fallback int      // what is used where a number is no good
	values   []string // of an enumeration, the first of which is used where another is set
	anyCase  bool     // the values
	check    func(value string) error
	instead  string // what is used where check fails, or in place of fallback
	exact    bool   // the SDK reads it, and takes no spaces around a number
	secret   bool   // the value is not repeated
}

// Bounds of numbers.
const (
	maxQueue  = 1 << 24 // the SDK allocates it at once
	maxMillis = math.MaxInt64 / int(time.Millisecond)
	unlimited = "no limit"
)

func number(name string, least, most, fallback int) variable {
	return variable{name: name, number: true, min: least, max: most, fallback: fallback}
}

// limit is a number of which the SDK takes a negative one for none.
func limit(name string, fallback int) variable {
	v := number(name, math.MinInt, math.MaxInt, fallback)
	v.exact = true
	if fallback < 0 {
		v.instead = unlimited
	}
	return v
}

func enumeration(name string, values ...string) variable {
	return variable{name: name, values: values, anyCase: true}
}

// variables has them all. A test compares it with the names in the SDK's sources.
var variables = slices.Concat(
	[]variable{
		enumeration(envSDKDisabled, "false", "true"),
		{
			name: "OTEL_CONFIG_FILE", check: func(string) error { return errors.New("not supported") },
			instead: "the other OTEL_* variables",
		},
		enumeration("OTEL_TRACES_SAMPLER", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
			"always_on", "always_off", "traceidratio"),
		{name: "OTEL_TRACES_SAMPLER_ARG", check: checkRatio, instead: "1"},
		number(envBSPScheduleDelay, 1, maxMillis, 5000),
		number(envBSPExportTimeout, 0, maxMillis, 30000),
		number(envBSPMaxQueueSize, 1, maxQueue, 2048),
		number(envBSPMaxBatchSize, 1, maxQueue, 512),
		number("OTEL_BLRP_SCHEDULE_DELAY", 1, maxMillis, 1000),
		number("OTEL_BLRP_EXPORT_TIMEOUT", 0, maxMillis, 30000),
		number("OTEL_BLRP_MAX_QUEUE_SIZE", 1, maxQueue, 2048),
		number("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 1, maxQueue, 512),
		number("OTEL_METRIC_EXPORT_INTERVAL", 1, maxMillis, 60000),
		number("OTEL_METRIC_EXPORT_TIMEOUT", 1, maxMillis, 30000),
		enumeration("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based", "always_on", "always_off"),
		enumeration("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative", "delta", "lowmemory"),
		enumeration("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
			"explicit_bucket_histogram", "base2_exponential_bucket_histogram"),
		limit(envCardinalityLimit, defaultCardinalityLimit),
		limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", -1),
		limit("OTEL_ATTRIBUTE_COUNT_LIMIT", 128),
		limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", -1),
		limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 128),
		limit("OTEL_SPAN_ATTRIBUTE_VALUE_DEPTH_LIMIT", 64),
		limit("OTEL_SPAN_EVENT_COUNT_LIMIT", 128),
		limit("OTEL_SPAN_LINK_COUNT_LIMIT", 128),
		limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 128),
		limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", 128),
		limit("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", -1),
		limit("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", 128),
		limit("OTEL_LOGRECORD_ATTRIBUTE_VALUE_DEPTH_LIMIT", 64),
	},
	otlpVariables("OTEL_EXPORTER_OTLP_"),
	otlpVariables("OTEL_EXPORTER_OTLP_TRACES_"),
	otlpVariables("OTEL_EXPORTER_OTLP_METRICS_"),
	otlpVariables("OTEL_EXPORTER_OTLP_LOGS_"),
)

// otlpVariables are those of the exporter, for all signals and for one.
func otlpVariables(prefix string) []variable {
	compression := enumeration(prefix+"COMPRESSION", "none", "gzip")
	compression.anyCase = false
	protocol := enumeration(prefix+"PROTOCOL", protocolHTTP, protocolGRPC)
	protocol.anyCase = false
	insecure := enumeration(prefix+"INSECURE", "false", "true")
	insecure.instead = "the scheme of the endpoint"
	timeout := number(prefix+"TIMEOUT", 0, maxMillis, 10000)
	timeout.exact = true
	return []variable{
		timeout,
		compression,
		protocol,
		insecure,
		{name: prefix + "HEADERS", check: checkHeaders, instead: "the elements that are", secret: true},
		{name: prefix + "CERTIFICATE", check: checkCertificates, instead: "those of the system"},
		{name: prefix + "CLIENT_CERTIFICATE", instead: "no certificate of the client", check: func(file string) error {
			_, err := keyPair(file, getenv(prefix+"CLIENT_KEY"))
			return err
		}},
		{name: prefix + "CLIENT_KEY", instead: "no certificate of the client", check: func(string) error {
			if !isSet(prefix + "CLIENT_CERTIFICATE") {
				return errors.New("without " + prefix + "CLIENT_CERTIFICATE")
			}
			return nil
		}},
	}
}

// find returns the variable of that name.
func find(name string) variable {
	return variables[slices.IndexFunc(variables, func(v variable) bool { return v.name == name })]
}

// integer returns the number in the variable, or what is used in its place.
func integer(name string) int {
	v := find(name)
	if n, err := strconv.Atoi(getenv(name)); err == nil && n >= v.min && n <= v.max {
		return n
	}
	return v.fallback
}

// millis returns the time in the variable, or what is used in its place.
func millis(name string) time.Duration { return time.Duration(integer(name)) * time.Millisecond }

// isSet reports whether the variable has a value, good or not.
func isSet(name string) bool { return getenv(name) != "" }

// problem returns an error if the variable's value is no good.
func (v variable) problem() error {
	value := getenv(v.name)
	if value == "" {
		return nil
	}
	if v.exact {
		value = os.Getenv(v.name)
	}
	instead := v.instead
	var err error
	switch {
	case v.number:
		if instead == "" {
			instead = strconv.Itoa(v.fallback)
		}
		if n, parseErr := strconv.Atoi(value); parseErr != nil || n < v.min || n > v.max {
			err = v.rangeError()
		}
	case v.values != nil:
		if instead == "" {
			instead = v.values[0]
		}
		if !slices.ContainsFunc(v.values, func(known string) bool { return value == known || v.anyCase && strings.EqualFold(value, known) }) {
			err = fmt.Errorf("unknown (known: %s)", strings.Join(v.values, ", "))
		}
	default:
		err = v.check(value)
	}
	switch {
	case err == nil:
		return nil
	case v.secret:
		return fmt.Errorf("telemetry: %s: %w; using %s", v.name, err, instead)
	default:
		return fmt.Errorf("telemetry: %s=%q: %w; using %s", v.name, value, err, instead)
	}
}

func (v variable) rangeError() error {
	switch {
	case v.min == math.MinInt:
		return errors.New("not a whole number")
	case v.max == maxMillis:
		return fmt.Errorf("not a whole number of milliseconds from %d on", v.min)
	default:
		return fmt.Errorf("not a whole number from %d to %d", v.min, v.max)
	}
}

func checkRatio(value string) error {
	// SDKs ignore it for samplers without one.
	if !strings.HasSuffix(strings.ToLower(getenv("OTEL_TRACES_SAMPLER")), "traceidratio") {
		return nil
	}
	if r, err := strconv.ParseFloat(value, 64); err != nil || !(r >= 0 && r <= 1) {
		return errors.New("not a number from 0 to 1")
	}
	return nil
}

// checkHeaders never repeats any of the value: all of it can be a credential.
func checkHeaders(value string) error {
	if _, bad := parseHeaders(value); len(bad) > 0 {
		return fmt.Errorf("elements %s are not of the form key=value", strings.Join(bad, ", "))
	}
	return nil
}

func checkCertificates(file string) error {
	_, err := certificates(file)
	return err
}

// parseHeaders returns the headers, and the numbers of the elements that are none.
func parseHeaders(value string) (headers map[string]string, bad []string) {
	headers = make(map[string]string)
	for i, element := range strings.Split(value, ",") {
		key, escaped, found := strings.Cut(element, "=")
		key = strings.TrimSpace(key)
		text, err := url.PathUnescape(escaped)
		text = strings.TrimSpace(text)
		if !found || !isToken(key) || err != nil || strings.ContainsFunc(text, isControl) {
			bad = append(bad, strconv.Itoa(i+1))
			continue
		}
		headers[key] = text
	}
	return headers, bad
}

// isToken reports whether a header can have that name: RFC 9110, section 5.6.2.
func isToken(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// checkVariables returns an error for each variable that is no good.
func checkVariables() []error {
	var errs []error
	for _, v := range variables {
		if err := v.problem(); err != nil {
			errs = append(errs, err)
		}
	}
	if queue, batch := integer(envBSPMaxQueueSize), integer(envBSPMaxBatchSize); batch > queue && isSet(envBSPMaxBatchSize) {
		errs = append(errs, fmt.Errorf("telemetry: %s=%q: more than the queue holds; using %d", envBSPMaxBatchSize, os.Getenv(envBSPMaxBatchSize), queue))
	}
	return errs
}

// otlp is what of the OTLP variables of a signal has to be given to its exporter as options, since the exporter
// would misread it. The exporter itself reads those that are zero.
type otlp struct {
	timeout     time.Duration
	replaced    bool              // the timeout
	compression bool              // is to be none
	insecure    bool              // although the exporter would take the variable for false
	headers     map[string]string // nil: from the variable
	client      *http.Client      // over HTTP
}

// otlpSettings returns what replaces the values that are no good.
func (s signal) otlpSettings() otlp {
	var o otlp
	timeout, bad := millis(s.otlpVars("OTEL_EXPORTER_OTLP_TIMEOUT")[1]), false
	for _, name := range s.otlpVars("OTEL_EXPORTER_OTLP_TIMEOUT") {
		bad = bad || find(name).problem() != nil
	}
	own := s.otlpVars("OTEL_EXPORTER_OTLP_TIMEOUT")[0]
	if isSet(own) && find(own).problem() == nil {
		timeout = millis(own)
	}
	o.timeout, o.replaced = timeout, bad
	for _, name := range s.otlpVars("OTEL_EXPORTER_OTLP_COMPRESSION") {
		if isSet(name) {
			o.compression = find(name).problem() != nil
			break
		}
	}
	for _, name := range s.otlpVars("OTEL_EXPORTER_OTLP_INSECURE") {
		if isSet(name) && find(name).problem() != nil {
			o.insecure = s.hasPlainEndpoint()
		}
	}
	for _, name := range s.otlpVars("OTEL_EXPORTER_OTLP_HEADERS") {
		if isSet(name) {
			if find(name).problem() != nil {
				o.headers, _ = parseHeaders(getenv(name))
			}
			break
		}
	}
	return o
}

// hasPlainEndpoint reports whether the scheme of the signal's endpoint is one without encryption.
func (s signal) hasPlainEndpoint() bool {
	for _, name := range s.otlpVars(envOTLPEndpoint) {
		if value := getenv(name); value != "" {
			u, err := url.Parse(value)
			return err == nil && (strings.EqualFold(u.Scheme, "http") || strings.EqualFold(u.Scheme, "unix"))
		}
	}
	return false
}
