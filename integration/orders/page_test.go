package orders

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	tclog "github.com/testcontainers/testcontainers-go/log"
	"go.uber.org/goleak"

	"github.com/taskspan/taskspan/errs"
	"github.com/taskspan/taskspan/worker/tasktest"
)

func TestMain(m *testing.M) {
	// The clean-up of testcontainers is a container of its own, which would have
	// to come from a registry.
	for name, value := range map[string]string{"TESTCONTAINERS_RYUK_DISABLED": "true", "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1"} {
		if os.Getenv(name) == "" {
			_ = os.Setenv(name, value)
		}
	}
	tclog.SetDefault(discard{})
	os.Exit(m.Run())
}

type discard struct{}

func (discard) Printf(string, ...any) {}

// blocks returns the blocks of the page that are fenced so.
func blocks(t *testing.T, kind string) (all []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile("(?ms)^```"+kind+"\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		all = append(all, match[1])
	}
	return all
}

// TestPage: the programs of the page are those of this package.
func TestPage(t *testing.T) {
	programs := blocks(t, "go")
	for _, name := range []string{"store_test.go", "drivers_test.go"} {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(programs, string(file)) {
			t.Errorf("the page has no block that is %s", name)
		}
	}
	store, err := os.ReadFile("store.go")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(programs, func(p string) bool { return strings.HasSuffix(string(store), "\n"+p) }) {
		t.Error("the page has no block that is Invoice of store.go")
	}
}

// failing is the testing.TB of a test that is expected to fail.
type failing struct {
	testing.TB
	messages []string
}

func (*failing) Helper() {}

func (f *failing) Errorf(format string, args ...any) {
	f.messages = append(f.messages, fmt.Sprintf(format, args...))
}

// varying is what differs from run to run.
var varying = regexp.MustCompile(` *\b[0-9.]+(ns|µs|ms|s)\b *|[0-9a-f]{32}|[^\s(]*/|\.go:[0-9]+`)

// same returns the lines of a message, sorted: a report lists its statements by how
// long they took.
func same(s string) string {
	lines := strings.Split(varying.ReplaceAllString(strings.TrimSpace(s), "_"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestMessages: each assertion fails where it should, with the message that the page
// shows, and with no other.
func TestMessages(t *testing.T) {
	shown := blocks(t, "text")
	for i := range shown {
		shown[i] = same(shown[i])
	}
	for name, mistake := range map[string]func(*tasktest.Harness, *Store){
		"Succeeds": func(h *tasktest.Harness, s *Store) {
			h.Run("orders.invoice", func(ctx context.Context) error { return s.Invoice(ctx, "Ada") })
			h.Run("orders.invoice", func(ctx context.Context) error { return s.Invoice(ctx, "Ada") }).Succeeds()
		},
		"Fails": func(h *tasktest.Harness, s *Store) {
			h.Run("orders.invoice", func(ctx context.Context) error { return s.Invoice(ctx, "Ada") })
			h.Run("orders.invoice", func(ctx context.Context) error { return s.Invoice(ctx, "Ada") }).Fails(errs.KindDeadlock, "")
		},
		"MaxStatements": func(h *tasktest.Harness, s *Store) {
			h.Run("orders.invoice", func(ctx context.Context) error { return s.Invoice(ctx, "Ada") }).MaxStatements(1)
		},
		"NoRepeats": func(h *tasktest.Harness, s *Store) {
			h.Run("orders.discount", func(ctx context.Context) error { return discountOneByOne(ctx, s) }).NoRepeats()
		},
		"NoLeaks": func(h *tasktest.Harness, s *Store) {
			h.Run("orders.first", func(ctx context.Context) error { return firstWithoutClose(ctx, s) }).NoLeaks()
		},
		"NoStatementsOutside": func(h *tasktest.Harness, s *Store) {
			h.Run("orders.count", func(context.Context) error { return countElsewhere(s) }) //nolint:contextcheck // which is the mistake
			h.NoStatementsOutside()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &failing{TB: t}
			h := tasktest.New(f)
			mistake(h, prepare(t, h.Open("sqlite3", filepath.Join(t.TempDir(), "orders.db"))))
			if len(f.messages) != 1 {
				t.Fatalf("%d messages: %q", len(f.messages), f.messages)
			}
			if !slices.Contains(shown, same(f.messages[0])) {
				t.Errorf("the page does not show\n%s", f.messages[0])
			}
		})
	}
	if want := 6; len(shown) != want {
		t.Errorf("the page shows %d messages, want %d", len(shown), want)
	}
}

// TestNothingIsLeft: a test that passes leaves no goroutine.
func TestNothingIsLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("invoice", func(t *testing.T) { testInvoice(t, "sqlite3", filepath.Join(t.TempDir(), "orders.db")) })
}
