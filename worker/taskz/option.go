package taskz

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Option is an option of [New]. A nil Option is ignored.
type Option interface{ apply(*config) }

type config struct {
	title   string
	refresh time.Duration
}

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// defaultRefresh is how often an open page is refreshed.
const defaultRefresh = 5 * time.Second

func newConfig(opts []Option) config {
	c := config{title: filepath.Base(os.Args[0]), refresh: defaultRefresh}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	return c
}

// WithTitle sets the heading of the page: the service, for example. The default is
// the name of the program's file.
func WithTitle(title string) Option {
	return optionFunc(func(c *config) { c.title = strings.ToValidUTF8(title, "\uFFFD") })
}

// WithRefresh sets how often a page that is open in a browser is refreshed, in
// whole seconds. The default is five seconds. With zero or less it is not
// refreshed.
func WithRefresh(d time.Duration) Option {
	return optionFunc(func(c *config) { c.refresh = d.Round(time.Second) })
}
