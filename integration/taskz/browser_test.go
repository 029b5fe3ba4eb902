package taskz

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser is a tab of Chromium.
type browser struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the browser's console has, such as breaches of the policy
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("Chromium is needed: %v", err)
		}
		t.Skip("there is no Chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		// A page that comes out of that cache is not loaded again, which is what chromedp waits for.
		chromedp.Flag("disable-features", "BackForwardCache,Translate,BlinkGenPropertyTrees"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	timeout, cancelTimeout := context.WithTimeout(context.Background(), 3*time.Minute)
	allocator, cancelAllocator := chromedp.NewExecAllocator(timeout, options...)
	b := &browser{T: t}
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithListener(func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.problems = append(b.problems, e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			b.problems = append(b.problems, e.Entry.Text+" "+e.Entry.URL)
		}
	}))
	t.Cleanup(func() {
		check(t, chromedp.Cancel(ctx))
		cancel()
		cancelAllocator()
		cancelTimeout()
	})
	b.ctx = ctx
	b.do(command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.problems {
			t.Errorf("the browser reports: %s", p)
		}
	})
	return b
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	check(b.T, chromedp.Do(b.ctx, actions...))
}

// command returns a command of the protocol as an action.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// evaluate returns the value of an expression.
func evaluate[T any](b *browser, expression string) T {
	b.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	check(b.T, err)
	return value
}

// says returns what a person sees of the elements that match.
func (b *browser) says(selector string) []string {
	b.Helper()
	script := fmt.Sprintf("[...document.querySelectorAll(%q)].map(e => e.innerText.replace(/\\s+/g, ' ').trim())", selector)
	return evaluate[[]string](b, script)
}

// awaits waits until an expression is true, be it on the next page.
func (b *browser) awaits(expression string) {
	b.Helper()
	late := time.After(20 * time.Second)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if err == nil && ok {
			return
		}
		select {
		case <-again.C:
		case <-late:
			b.Fatalf("%s does not come true: %v; the page says %q", expression, err, b.says("main"))
		}
	}
}

// click clicks the element whose text is that.
func (b *browser) click(selector, text string) {
	b.Helper()
	xpath := fmt.Sprintf("//%s[normalize-space(.)=%q]", selector, text)
	b.do(chromedp.Click(xpath))
}

// awaitHeading waits until the page's heading begins with that text.
func (b *browser) awaitHeading(text string) {
	b.Helper()
	b.awaits(fmt.Sprintf("document.readyState === 'complete' && document.querySelector('h1').innerText.startsWith(%q)", text))
}

// shoot takes pictures of the page at two widths, light and dark.
func (b *browser) shoot(name string) {
	b.Helper()
	dir := b.ArtifactDir()
	for _, width := range []int64{1280, 420} {
		for _, scheme := range []string{"light", "dark"} {
			b.do(
				chromedp.EmulateViewport(width, 800),
				command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				}),
			)
			picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			check(b.T, err)
			inside := evaluate[bool](b, "document.documentElement.scrollWidth <= innerWidth")
			if !inside {
				b.Errorf("%s is wider than a screen of %d pixels", name, width)
			}
			check(b.T, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), picture, 0o600))
		}
	}
	b.do(chromedp.EmulateViewport(1280, 800))
}

// row returns the first row of a table that begins with that text, or else the first that has
// it, cell by cell.
func (b *browser) row(text string) []string {
	b.Helper()
	cells := evaluate[[]string](b, fmt.Sprintf(`(rows => [...((rows.find(r => r.innerText.trim().startsWith(%[1]q)) ??
		rows.find(r => r.innerText.includes(%[1]q)))?.cells ?? [])])([...document.querySelectorAll("tbody tr")])
		.map(c => c.innerText.replace(/\s+/g, " ").trim())`, text))
	if len(cells) == 0 {
		b.Fatalf("no row has %q: %q", text, b.says("tbody tr"))
	}
	return cells
}

// has fails the test unless each of the texts is a part of s.
func (b *browser) has(s string, texts ...string) {
	b.Helper()
	for _, text := range texts {
		if !strings.Contains(s, text) {
			b.Errorf("no %q in %q", text, s)
		}
	}
}

// press presses keys.
func (b *browser) press(keys string) {
	b.Helper()
	b.do(chromedp.KeyEvent(keys))
}

const tab = kb.Tab
