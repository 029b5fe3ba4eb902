package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/examples/internal/receiver"
	"github.com/taskspan/taskspan/worker"
)

// asProgram makes the test binary behave as the program that it tests.
const asProgram = "HTTP_TEST_AS_PROGRAM"

// canary stands for the password in a DSN.
const canary = "hunter2-canary"

// deadline is for what should take no time at all.
const deadline = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// environment is that of the test, without what it says about telemetry.
func environment(add ...string) []string {
	return append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") }), add...)
}

// request sends a request and returns the answer's status and body.
func request(t *testing.T, method, url, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	check(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}
	res, err := client.Do(r)
	check(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	return res.StatusCode, string(text)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// traceOf returns the names of a trace's spans, by the name of their parent.
func traceOf(c *receiver.Receiver, id string) map[string][]string {
	spans, _ := c.Spans()
	names := make(map[string]string)
	for _, s := range spans {
		names[hex.EncodeToString(s.GetSpanId())] = s.GetName()
	}
	children := make(map[string][]string)
	for _, s := range spans {
		if hex.EncodeToString(s.GetTraceId()) == id {
			parent := names[hex.EncodeToString(s.GetParentSpanId())]
			children[parent] = append(children[parent], s.GetName())
		}
	}
	return children
}

// TestEndToEnd runs the program as an operator does: a process of its own, a
// socket, a collector, and SIGTERM.
func TestEndToEnd(t *testing.T) {
	c := receiver.New(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-addr", "127.0.0.1:0")
	cmd.Env = environment(asProgram+"=1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+c.URL+"/v1/traces")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	var url string
	if _, err := fmt.Fscanf(stdout, "listening on %s\n", &url); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}

	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	traced := []string{"traceparent", "00-" + traceID + "-00f067aa0ba902b7-01"}
	const failedID = "5bf92f3577b34da6a3ce929d0e0e4736"
	failed := []string{"traceparent", "00-" + failedID + "-00f067aa0ba902b7-01"}
	for _, step := range []struct {
		method, path, body string
		header             []string
		code               int
		answer             string
	}{
		{"GET", "/healthz", "", nil, 204, ""},
		{"PUT", "/products/tea", `{"stock": 3}`, nil, 204, ""},
		{"PUT", "/orders/1", `{"product": "tea", "quantity": 2}`, traced, 201, `"id":"1"`},
		{"PUT", "/orders/1", `{"product": "tea", "quantity": 1}`, failed, 409, failedID},
		{"PUT", "/orders/2", `{"product": "tea", "quantity": 2}`, nil, 409, "in conflict"},
		{"PUT", "/orders/3", `{"product": "coffee", "quantity": 1}`, nil, 404, "not found"},
		{"PUT", "/orders/4", `{"product": "tea", "quantity": 0}`, nil, 400, "positive"},
		{"PUT", "/orders/4", `{"product": "tea", "number": 1}`, nil, 400, "body"},
		{"PUT", "/orders/4", `{} {}`, nil, 400, "one value"},
		{"PUT", "/orders/4", strings.Repeat(" ", maxBody) + `{}`, nil, 400, "body"},
		{"PUT", "/products/%0a", `{"stock": 3}`, nil, 400, "name"},
		{"PUT", "/products/tea", `{"stock": -1}`, nil, 409, "in conflict"},
		{"GET", "/orders/1", "", nil, 200, `"quantity":2`},
		{"GET", "/orders/9", "", nil, 404, "not found"},
		{"DELETE", "/orders/1", "", nil, 405, ""},
		{"GET", "/", "", nil, 404, ""},
	} {
		code, answer := request(t, step.method, url+step.path, step.body, step.header...)
		if code != step.code || !strings.Contains(answer, step.answer) {
			t.Errorf("%s %s %s: %d %q", step.method, step.path, step.body, code, answer)
		}
	}
	_, served := request(t, "GET", url+"/metrics", "", "Accept", "application/openmetrics-text; version=1.0.0")
	for _, want := range []string{
		`worker_task_duration_seconds_count{`, `worker_task_name="orders.place"`, `worker_task_result="skip"`, `error_type="1555"`,
		`db_client_operation_duration_seconds_bucket{`, `http_server_request_duration_seconds_bucket{`, `trace_id="` + traceID + `"`,
		`db_client_connection_max{`,
	} {
		if !strings.Contains(served, want) {
			t.Errorf("the metrics have no %s", want)
		}
	}

	check(t, cmd.Process.Signal(syscall.SIGTERM))
	check(t, cmd.Wait())

	// Everything has been flushed by now.
	want := map[string][]string{
		"":                 {"PUT /orders/{id}"},
		"PUT /orders/{id}": {"orders.confirm", "orders.place"},
		"orders.place":     {"BEGIN", "COMMIT", "INSERT shop_orders", "UPDATE shop_products"},
		"orders.confirm":   {"UPDATE shop_orders"},
	}
	got := traceOf(c, traceID)
	for parent, names := range got {
		// Which of the two tasks opens a second connection depends.
		names = slices.DeleteFunc(names, func(n string) bool { return n == "CONNECT" })
		slices.Sort(names)
		got[parent] = names
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the trace is %v, and should be %v", got, want)
	}
	logged := records(t, stderr.String())
	if !slices.ContainsFunc(logged, func(r map[string]any) bool {
		return r["msg"] == "task failed" && r["trace_id"] == failedID && r["worker.task.name"] == "orders.place" && r["exception.type"] == "1555"
	}) {
		t.Errorf("no record has the failed task's trace:\n%s", &stderr)
	}
	if n := len(slices.DeleteFunc(logged, func(r map[string]any) bool { return r["msg"] != "task failed" })); n != 3 {
		t.Errorf("%d tasks failed by the log, and three did:\n%s", n, &stderr)
	}
}

// records parses a log, of which every line must be JSON.
func records(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Errorf("%v in %q", err, line)
		}
		all = append(all, r)
	}
	return all
}

// TestShutdown: a request that is under way is answered, new ones are refused,
// and nothing is left running.
func TestShutdown(t *testing.T) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"-addr", "127.0.0.1:0"}, write, &stderr) }()
	line, err := bufio.NewReader(read).ReadString('\n')
	check(t, err)
	addr := strings.TrimSpace(strings.TrimPrefix(line, "listening on http://"))

	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", addr)
	check(t, err)
	defer conn.Close()
	check(t, conn.SetDeadline(time.Now().Add(deadline)))
	const body = `{"stock": 1}`
	_, err = fmt.Fprintf(conn, "PUT /products/tea HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	check(t, err)
	answers := bufio.NewReader(conn)
	line, err = answers.ReadString('\n') // the handler waits for the body
	check(t, err)
	if !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("got %q", line)
	}
	_, err = answers.ReadString('\n')
	check(t, err)

	cancel()
	for {
		c, err := dialer.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			break
		}
		check(t, c.Close())
	}
	_, err = io.WriteString(conn, body)
	check(t, err)
	res, err := http.ReadResponse(answers, nil)
	check(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		t.Errorf("the request under way got %s", res.Status)
	}
	if got := <-code; got != exitOK {
		t.Errorf("exit code %d\n%s", got, &stderr)
	}
}

// TestMistakes: what is wrong with the arguments is told in a line that does not
// repeat them.
func TestMistakes(t *testing.T) {
	busy, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	defer busy.Close()
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-help"}, exitOK, ""},
		{[]string{"-dns", canary}, exitUsage, "no flag of this program"},
		{[]string{"-dsn"}, exitUsage, "needs an argument"},
		{[]string{"postgres://u:" + canary + "@h/d"}, exitUsage, "too many"},
		{[]string{"-dsn", "mysql://u:" + canary + "@h/d"}, exitUsage, "postgres://"},
		{[]string{"-dsn", "postgres://u:" + canary + "@h:port/d"}, exitUsage, "not a valid"},
		{[]string{"-addr", canary}, exitUsage, "-addr"},
		{[]string{"-addr", "localhost:http"}, exitUsage, "-addr"},
		{[]string{"-grace", canary}, exitUsage, "-grace"},
		{[]string{"-grace", "-1s"}, exitUsage, "-grace"},
		{[]string{"-addr", busy.Addr().String()}, exitFailure, "address already in use"},
		{[]string{"-addr", "127.0.0.1:0", "-dsn", "postgres://u:" + canary + "@127.0.0.1:1/d"}, exitFailure, "prepare the database"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		cmd := exec.CommandContext(ctx, os.Args[0], test.args...)
		cmd.Env = environment(asProgram + "=1")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		cancel()
		if got := cmd.ProcessState.ExitCode(); got != test.code || !strings.Contains(stderr.String(), test.says) {
			t.Errorf("%q: exit code %d, %s", test.args, got, &stderr)
		}
		if strings.Contains(stdout.String()+stderr.String(), canary) {
			t.Errorf("%q: the canary is out: %s%s", test.args, &stdout, &stderr)
		}
		// What the log says is JSON; besides it there is one line, and the usage.
		plain := 0
		for line := range strings.Lines(stderr.String()) {
			if !strings.HasPrefix(line, "{") {
				plain++
			}
		}
		if most := map[int]int{exitOK: 0, exitFailure: 1, exitUsage: 2}[test.code]; plain != most {
			t.Errorf("%q: %d lines\n%s", test.args, plain, &stderr)
		}
	}
}

// TestStatus: each kind of error has its status.
func TestStatus(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{fmt.Errorf("decode: %w", badRequest("x")), 400},
		{fmt.Errorf("read: %w", errNotFound), 404},
		{worker.ErrDraining, 503},
		{&pgconn.PgError{Code: "23505"}, 409},
		{&pgconn.PgError{Code: "22003"}, 422},
		{&pgconn.PgError{Code: "40001"}, 503},
		{&pgconn.PgError{Code: "53300"}, 503},
		{context.DeadlineExceeded, 504},
		{context.Canceled, 503},
		{errors.New("any"), 500},
	} {
		if got, _ := status(test.err); got != test.want {
			t.Errorf("%v is answered with %d, and should be with %d", test.err, got, test.want)
		}
	}
}

// TestPanic: a task that panics is answered like one that fails, and its value
// is told to nobody.
func TestPanic(t *testing.T) {
	var logged bytes.Buffer
	runner, err := worker.New(worker.WithRecoverPanics(), worker.WithLogger(slog.New(slog.NewJSONHandler(&logged, nil))))
	check(t, err)
	defer func() { check(t, runner.Drain(t.Context())) }()
	s := newService(nil)
	s.put = worker.Wrap("products.put", func(context.Context, product) (product, error) { panic(canary) }, worker.WithRunner(runner))
	mux := http.NewServeMux()
	s.routes(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "PUT", "/products/tea", strings.NewReader(`{"stock": 1}`)))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), canary) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if text := logged.String(); !strings.Contains(text, `"worker.task.result":"panic"`) || strings.Contains(text, canary) {
		t.Errorf("the log has %s", text)
	}
}
