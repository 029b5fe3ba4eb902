package target

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// uri is a URL without its user info. Hosts and path are decoded; the path
// has no leading slash.
type uri struct {
	scheme string
	hosts  []endpoint
	path   string
	params params
}

// params has the parameters of a URL by their names in lower case.
type params struct {
	values map[string]string
	// late has the names of parameters that follow one with a secret, in which
	// an unescaped & may have started them.
	late map[string]bool
}

// cutScheme splits a URL after "://" and returns the scheme in lower case.
func cutScheme(dsn string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(dsn, "://")
	if !ok || scheme == "" {
		return "", dsn, false
	}
	for i := range len(scheme) {
		if c := scheme[i]; !isAlnum(c) && strings.IndexByte("+-.", c) < 0 {
			return "", dsn, false
		}
	}
	return strings.ToLower(scheme), rest, true
}

// parseURL reads a URL. Whatever the password is, what follows the @ is not
// part of it if that is the only one, and if neither a slash, nor a question
// mark, nor a number sign stands before it: net/url, libpq and the like look
// for the end of the authority and of the user info in different orders, and
// disagree on every other URL. Several hosts, separated by commas, are allowed.
func parseURL(dsn string) (u uri, ok bool) {
	scheme, rest, ok := cutScheme(dsn)
	if !ok || strings.ContainsAny(rest, `#\`) {
		return u, false
	}
	u.scheme = scheme
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, rest = rest[:i], rest[i:]
	} else {
		rest = ""
	}
	if strings.Contains(rest, "@") || strings.Count(authority, "@") > 1 {
		return u, false
	}
	if user, hosts, found := strings.Cut(authority, "@"); found {
		if !isUserInfo(user) {
			return u, false
		}
		authority = hosts
	}
	if authority != "" {
		for s := range strings.SplitSeq(authority, ",") {
			h, ok := splitHost(s)
			if !ok {
				return u, false
			}
			if h.name, ok = decode(h.name); !ok {
				return u, false
			}
			u.hosts = append(u.hosts, h)
		}
	}
	path, query, _ := strings.Cut(rest, "?")
	if u.path, ok = decode(strings.TrimPrefix(path, "/")); !ok {
		return u, false
	}
	u.params, ok = parseParams(query)
	return u, ok
}

// isUserInfo reports whether every character of s may stand in a URL's user
// info as it is. Any other was left unescaped.
func isUserInfo(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && strings.IndexByte("-._~!$&'()*+,;=:%", c) < 0 {
			return false
		}
	}
	_, ok := decode(s)
	return ok
}

// decode decodes percent-encoding. It returns false if that is broken or
// hides what is not text.
func decode(s string) (string, bool) {
	s, err := url.PathUnescape(s)
	return s, err == nil && utf8.ValidString(s)
}

// parseParams reads the query of a URL. A name that is there twice, also in
// another case, makes it fail, as does one with a space at an end, which libpq
// trims: drivers do not agree on which one counts.
func parseParams(query string) (params, bool) {
	p := params{values: map[string]string{}, late: map[string]bool{}}
	if query == "" {
		return p, true
	}
	secret := false
	for pair := range strings.SplitSeq(query, "&") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return p, false
		}
		name, err := url.QueryUnescape(name)
		if err != nil {
			return p, false
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return p, false
		}
		name = strings.ToLower(name)
		if _, twice := p.values[name]; twice || name != strings.TrimSpace(name) {
			return p, false
		}
		p.values[name] = value
		p.late[name] = secret
		secret = secret || isSecret(name)
	}
	return p, true
}

// isSecret reports whether the parameter of that name, in lower case, may hold
// credentials.
func isSecret(name string) bool {
	for _, word := range []string{"pass", "pwd", "secret", "token", "key", "cred", "auth", "user", "uid", "login"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// get returns the parameter that has one of the names, or the empty string. It
// returns false if there are several, or if it may be a part of a secret.
func (p params) get(names ...string) (value string, ok bool) {
	found := false
	for _, name := range names {
		v, there := p.values[name]
		if !there {
			continue
		}
		if found || p.late[name] {
			return "", false
		}
		value, found = v, true
	}
	return value, true
}

// has reports whether there is a parameter of one of the names.
func (p params) has(names ...string) bool {
	for _, name := range names {
		if _, ok := p.values[name]; ok {
			return true
		}
	}
	return false
}
