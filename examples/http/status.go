package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/worker"
)

// badRequest is a mistake of the client's; its text is for the client.
type badRequest string

func (e badRequest) Error() string { return string(e) }

// status returns the status code for what a task returned, and the text for the
// client. The cause is in the logs and the traces only.
func status(err error) (code int, text string) {
	var mistake badRequest
	switch {
	case errors.As(err, &mistake):
		return http.StatusBadRequest, mistake.Error()
	case errors.Is(err, errNotFound):
		return http.StatusNotFound, "not found"
	case errors.Is(err, worker.ErrDraining):
		return http.StatusServiceUnavailable, "shutting down"
	}
	switch class := errs.Classify(err); class.Kind {
	case errs.KindConstraint:
		return http.StatusConflict, "in conflict with what is there"
	case errs.KindData:
		return http.StatusUnprocessableEntity, "a value is out of range"
	case errs.KindTimeout:
		return http.StatusGatewayTimeout, "took too long"
	case errs.KindSerialization, errs.KindDeadlock, errs.KindLockTimeout, errs.KindConnection, errs.KindResource, errs.KindCanceled:
		return http.StatusServiceUnavailable, "try again later"
	default:
		return http.StatusInternalServerError, "internal error"
	}
}

// answer is the body of a failed request.
type answer struct {
	Error string `json:"error"`
	// Trace is for whoever runs the service.
	Trace string `json:"trace_id,omitempty"`
}

// fail answers a request with an error.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	code, text := status(err)
	a := answer{Error: text}
	if sc := trace.SpanContextFromContext(r.Context()); sc.IsValid() {
		a.Trace = sc.TraceID().String()
	}
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	reply(w, code, a)
}

// reply answers a request with a value.
func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// The client may be gone, which is nobody's failure here.
	_ = json.NewEncoder(w).Encode(v)
}

// maxBody is how long the body of a request may be.
const maxBody = 64 << 10

// decode reads the body of a request.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badRequest("the body is not what it should be")
	}
	if d.More() {
		return badRequest("the body has more than one value")
	}
	return nil
}

// isName reports whether s may be kept as a name or an id.
func isName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '\uFFFD' })
}
