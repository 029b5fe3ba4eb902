package telemetry

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"regexp"
	"sync"
	"testing"
	"time"
)

// annotating is a handler of a program around another: it adds an attribute, and changes the context.
type annotating struct{ inner slog.Handler }

type annotatingKey struct{}

func (h annotating) Enabled(ctx context.Context, l slog.Level) bool { return h.inner.Enabled(ctx, l) }
func (h annotating) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.Bool("annotated", true))
	return h.inner.Handle(context.WithValue(ctx, annotatingKey{}, true), r)
}
func (h annotating) WithAttrs(a []slog.Attr) slog.Handler { return annotating{h.inner.WithAttrs(a)} }
func (h annotating) WithGroup(n string) slog.Handler      { return annotating{h.inner.WithGroup(n)} }

// hidden is a handler that keeps another where nobody can see it.
type hidden struct{ get func() slog.Handler }

func (h hidden) Enabled(ctx context.Context, l slog.Level) bool  { return h.get().Enabled(ctx, l) }
func (h hidden) Handle(ctx context.Context, r slog.Record) error { return h.get().Handle(ctx, r) }
func (h hidden) WithAttrs(a []slog.Attr) slog.Handler {
	inner := h.get().WithAttrs(a)
	return hidden{func() slog.Handler { return inner }}
}
func (h hidden) WithGroup(string) slog.Handler { return h }

// Around slog's default handler, in any nesting, nothing blocks, and each record is printed and exported once.
func TestLogHandlerAroundDefault(t *testing.T) {
	standard := slog.Default().Handler()
	for name, test := range map[string]struct {
		handler func() slog.Handler
		prints  bool // log.Print works as well
	}{
		"alone":           {func() slog.Handler { return NewLogHandler(standard) }, true},
		"with attributes": {func() slog.Handler { return NewLogHandler(standard.WithAttrs([]slog.Attr{slog.Int("a", 1)})) }, true},
		"twice":           {func() slog.Handler { return NewLogHandler(NewLogHandler(standard)) }, true},
		"inside another":  {func() slog.Handler { return annotating{NewLogHandler(standard)} }, true},
		"around another":  {func() slog.Handler { return NewLogHandler(annotating{standard}) }, true},
		"several": {func() slog.Handler {
			return NewLogHandler(slog.NewMultiHandler(slog.NewTextHandler(io.Discard, nil), standard))
		}, true},
		"of a logger":       {func() slog.Handler { return NewLogHandler(slog.New(annotating{standard}).Handler()) }, true},
		"around and inside": {func() slog.Handler { return annotating{NewLogHandler(annotating{NewLogHandler(annotating{standard})})} }, true},
		"hidden":            {func() slog.Handler { return NewLogHandler(hidden{func() slog.Handler { return standard }}) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			writer, flags, previous := log.Writer(), log.Flags(), slog.Default()
			t.Cleanup(func() {
				slog.SetDefault(previous)
				log.SetOutput(writer)
				log.SetFlags(flags)
			})
			var out lockedBuffer
			// As if made by a program whose log goes there.
			kept := &keptRecords{}
			keepLogger(t, kept)
			h := redirected(test.handler(), &out)
			slog.SetDefault(slog.New(h))
			done := make(chan struct{})
			go func() {
				defer close(done)
				slog.Info("one", "k", "v")
				if test.prints {
					log.Print("two")
				}
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Fatal("logging blocks")
			}
			want := `^INFO one[^\n]* k=v[^\n]*\n$`
			if test.prints {
				want = `^INFO one[^\n]* k=v[^\n]*\ntwo\n$`
			}
			if !regexp.MustCompile(want).MatchString(out.String()) {
				t.Errorf("printed %q", out.String())
			}
			exported := 1
			if test.prints {
				exported = 2
			}
			if name == "twice" || name == "around and inside" {
				exported = 3 // by each, and what log prints by the outer one
			}
			if len(kept.records) != exported {
				t.Errorf("%d records exported, want %d", len(kept.records), exported)
			}
		})
	}
}

// redirected makes the log handlers in h write to w instead of to where log does.
func redirected(h slog.Handler, w io.Writer) slog.Handler {
	switch h := h.(type) {
	case *logHandler:
		h.log = log.New(w, "", 0)
		redirected(h.next, w)
	case annotating:
		redirected(h.inner, w)
	}
	return h
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A record about OpenTelemetry is not exported by it.
func TestOwnErrorsAreNotExported(t *testing.T) {
	kept := &keptRecords{}
	keepLogger(t, kept)
	var out bytes.Buffer
	previous := slog.Default()
	writer, flags := log.Writer(), log.Flags()
	t.Cleanup(func() {
		slog.SetDefault(previous)
		log.SetOutput(writer)
		log.SetFlags(flags)
	})
	slog.SetDefault(slog.New(NewLogHandler(slog.NewTextHandler(&out, nil))))
	errorHandler{}.Handle(errHandler)
	if out.Len() == 0 || len(kept.records) != 0 {
		t.Errorf("printed %q, exported %d", out.String(), len(kept.records))
	}
}
