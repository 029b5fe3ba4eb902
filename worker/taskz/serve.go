package taskz

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

//go:embed assets
var files embed.FS

// policy allows the page's own style sheet and script, its own refreshing, and
// the form that filters.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// asset is a file that the page refers to.
type asset struct{ kind, etag, body string }

// assets are the files by their names. Nothing else is served.
var assets = map[string]asset{
	"style.css": newAsset("style.css", "text/css; charset=utf-8"),
	"script.js": newAsset("script.js", "text/javascript; charset=utf-8"),
}

func newAsset(name, kind string) asset {
	body, err := files.ReadFile("assets/" + name)
	if err != nil {
		body = nil // it is embedded: a test reads it
	}
	return asset{kind, fmt.Sprintf(`"%x"`, sha256.Sum256(body))[:18] + `"`, string(body)}
}

// ServeHTTP implements http.Handler. It looks at the query of the URL, and not at
// its path.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are allowed", http.StatusMethodNotAllowed)
		return
	}
	values := r.URL.Query()
	if name := values.Get("asset"); name != "" {
		serveAsset(w, r, name)
		return
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
	kind, write := format(values.Get("format"), r.Header.Values("Accept"))
	q, ok := parseQuery(values)
	status := http.StatusOK
	var v *view
	if ok {
		v, ok = p.view(q)
	}
	if !ok {
		status = http.StatusNotFound
		v = &view{Title: p.config.title, View: viewNone, query: query{view: viewNone}}
	}
	var b bytes.Buffer
	if err := write(&b, v); err != nil {
		http.Error(w, "the page cannot be written", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = w.Write(b.Bytes()) // nobody is left to report an error to
	}
}

// viewNone stands for a view or a run that is not there.
const viewNone = "none"

func serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	a, ok := assets[name]
	if !ok {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.etag)
	if r.Header.Get("If-None-Match") == a.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", a.kind)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte(a.body)) // as above
	}
}

type writeFunc func(*bytes.Buffer, *view) error

// formats are what a page can be, the one for clients that do not care first.
var formats = []struct {
	name, media, kind string
	write             writeFunc
}{
	{"text", "text/plain", "text/plain; charset=utf-8", writeText},
	{"html", "text/html", "text/html; charset=utf-8", writeHTML},
	{"json", "application/json", "application/json", writeJSON},
}

// format returns the content type and what writes it: that of the name, or the one
// that the headers like best.
func format(name string, accept []string) (string, writeFunc) {
	best, quality := 0, 0.0
	for i, f := range formats {
		if f.name == name {
			return f.kind, f.write
		}
		if q := accepted(f.media, accept); q > quality {
			best, quality = i, q
		}
	}
	return formats[best].kind, formats[best].write
}

// accepted returns the quality of a media type by the most specific range of the
// headers.
func accepted(media string, accept []string) (quality float64) {
	group, _, _ := strings.Cut(media, "/")
	closest := 0
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		how := 0
		switch strings.ToLower(strings.TrimSpace(name)) {
		case media:
			how = 3
		case group + "/*":
			how = 2
		case "*/*":
			how = 1
		}
		if how <= closest {
			continue
		}
		closest, quality = how, 1
		for parameter := range strings.SplitSeq(parameters, ";") {
			if s, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q="); ok {
				if q, err := strconv.ParseFloat(s, 64); err == nil {
					quality = q
				}
			}
		}
	}
	return quality
}

func writeJSON(b *bytes.Buffer, v *view) error {
	if v.View == viewNone {
		b.WriteString(`{"error":"there is no such view or run"}` + "\n")
		return nil
	}
	e := json.NewEncoder(b)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
