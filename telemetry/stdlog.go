package telemetry

import (
	"context"
	"log"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
)

// slog's default handler prints by the package log, and slog.SetDefault makes log print by the handler that it is
// given. A handler around the default one, set as default, would go round in circles, with log's lock held. slog
// itself prevents that for the bare default handler only. So records that come from log, and would go there, are
// written to where log wrote before.

// A logSource is where a record comes from.
type logSource int

const (
	fromProgram logSource = iota
	fromLog               // the package log, to which the program printed
	fromItself            // the package log, to which this handler's next one printed
)

// Names of functions on the stack of a record.
const (
	handlerWriterName = "log/slog.(*handlerWriter).Write"
	logHandlerName    = "/telemetry.(*logHandler).Handle"
)

// source finds out where the record comes from that the calling Handle has: its context does not have it.
func source() logSource {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	found := fromProgram
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == handlerWriterName:
			found = fromLog
		case found == fromLog && strings.HasSuffix(frame.Function, logHandlerName):
			return fromItself
		}
		if !more {
			return found
		}
	}
}

// standardLog prints as the package log does now.
func standardLog() *log.Logger {
	return log.New(log.Writer(), log.Prefix(), log.Flags()&^(log.Lshortfile|log.Llongfile))
}

var handlerType = reflect.TypeFor[slog.Handler]()

// printsToLog reports whether slog's default handler is among the handlers that h consists of.
func printsToLog(h slog.Handler) bool {
	return h != nil && findDefaultHandler(reflect.ValueOf(h), 0)
}

// findDefaultHandler looks into what a handler is made of as far as that can be handlers: other values may change
// meanwhile.
func findDefaultHandler(v reflect.Value, depth int) bool {
	const deepest = 16
	if depth > deepest || !v.IsValid() {
		return false
	}
	t := v.Type()
	switch t.Kind() {
	case reflect.Interface, reflect.Pointer:
		if t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "log/slog" && t.Elem().Name() == "defaultHandler" {
			return true
		}
		return !v.IsNil() && findDefaultHandler(v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if findDefaultHandler(v.Index(i), depth+1) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); canHoldHandler(f.Type()) && findDefaultHandler(f, depth+1) {
				return true
			}
		}
	}
	return false
}

// canHoldHandler reports whether a field of that type can be a handler, a logger, or several handlers.
func canHoldHandler(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return canHoldHandler(t.Elem())
	case reflect.Interface, reflect.Pointer, reflect.Struct:
		return t.Implements(handlerType) || reflect.PointerTo(t).Implements(handlerType) || t == reflect.TypeFor[*slog.Logger]()
	default:
		return false
	}
}

// isOwn reports whether a record is about OpenTelemetry itself.
func isOwn(ctx context.Context) bool { return ctx.Value(ownKey{}) != nil }
