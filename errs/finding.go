package errs

import (
	"net"
	"strings"
	"syscall"
)

// rank is how specific a finding is. A finding replaces another one if its rank
// is higher.
type rank uint8

const (
	rankNone     rank = iota
	rankType          // a well-known type
	rankTimeout       // a type that reports a timeout
	rankErrno         // a number of the operating system, or an answer of the DNS
	rankValue         // a well-known value
	rankContext       // an error of a context
	rankDatabase      // a code of a database
	rankOwn           // the error's own word
)

// finding is what is known of an error and of those that it wraps.
type finding struct {
	class    Class // without Type as long as rank is below rankValue
	rank     rank
	name     string // the most specific Go type
	strength strength

	found    bool
	panicked bool // a panic was recovered
	remote   bool // an error of a driver or of the network
	dialing  bool // an attempt to connect failed, which may succeed later
	exact    bool // and an inner error decides whether it may
	unsent   bool // the driver reports that it had sent nothing
	lost     bool // one of several connections broke that was in use
}

// raise records a class unless a better one is there already.
func (f *finding) raise(r rank, class Class) {
	if r > f.rank {
		f.rank, f.class = r, class
	}
}

// note returns the finding of n itself, without the errors that it wraps.
func (n *node) note() finding {
	err, info := n.err, n.info
	f := finding{found: true, name: info.name, strength: info.strength, remote: info.origin == originDriver || info.shape != shapeNone}
	if info.origin == originPanic {
		f.panicked = true
		return f
	}
	if info.classified {
		if class, ok := try(err.(Classified).ErrorClass); ok {
			f.raise(rankOwn, class.normal(info.name))
			return f
		}
	}
	if n.failed {
		f.raise(rankDatabase, Class{Kind: n.failure.kind, Type: n.failure.code, Code: n.failure.code, Retryable: n.failure.retry})
	}
	if class, ok := valueClass(err, n.raw, info); ok {
		r := rankValue
		if class.Type == typeCanceled || class.Type == typeDeadline {
			r = rankContext
		}
		f.raise(r, class)
	}
	f.unsent = info.retrier && confirms(err.(interface{ SafeToRetry() bool }).SafeToRetry) // pgconn's
	f.noteType(n)
	return f
}

// noteType adds the finding of the type of n.
func (f *finding) noteType(n *node) {
	switch e := n.err.(type) {
	case *net.OpError:
		if e == nil {
			return
		}
		f.raise(rankType, Class{Kind: KindConnection})
		f.remote, f.dialing = true, e.Op == "dial"
	case *net.DNSError:
		if e == nil {
			return
		}
		class := Class{Kind: KindConnection, Retryable: !e.IsNotFound && (e.IsTemporary || e.IsTimeout)}
		if e.IsTimeout {
			class.Kind = KindTimeout
		}
		f.raise(rankErrno, class)
		f.exact = true // its own word is more exact than that of the dialer
		return
	case *net.AddrError, *net.ParseError, net.UnknownNetworkError, net.InvalidAddrError:
		f.raise(rankErrno, Class{Kind: KindConnection})
		f.exact = true // there will be no such address the next time either
	case syscall.Errno:
		if kind := errnoKind(e); kind != KindNone {
			f.raise(rankErrno, Class{Kind: kind})
		}
	}
	if kind := typeKind(n.info); kind != KindNone {
		f.raise(rankType, Class{Kind: kind})
	}
	if n.info.worded && isConversion(n.raw) {
		f.raise(rankType, Class{Kind: KindData})
	}
	if n.info.times && confirms(n.err.(interface{ Timeout() bool }).Timeout) {
		f.raise(rankTimeout, Class{Kind: KindTimeout})
	}
}

// enclose adds to f, of one error, the best finding of those that it wraps. Among
// equals f wins.
func (f *finding) enclose(inner finding) {
	if !inner.found {
		return
	}
	if f.remote && isEnd(inner.class.Type) && inner.class.Kind == KindOther {
		inner.class.Kind = KindConnection // the server hung up
	}
	if inner.strength >= f.strength {
		f.name, f.strength = inner.name, inner.strength
	}
	f.raise(inner.rank, inner.class)
	f.lost = inner.lost && !f.dialing && !f.unsent
	f.panicked = f.panicked || inner.panicked
	f.remote = f.remote || inner.remote
	f.dialing = f.dialing || inner.dialing
	f.exact = f.exact || inner.exact
	f.unsent = f.unsent || inner.unsent
}

// join adds to f the finding of one more error beside it. The first of the best
// stays.
func (f *finding) join(other *finding) {
	if !f.found {
		*f = *other
		return
	}
	lost := f.breaks() || other.breaks()
	if other.beats(f) {
		*f = *other
	}
	f.lost = lost
}

func (f *finding) beats(other *finding) bool {
	switch {
	case f.panicked != other.panicked:
		return f.panicked
	case f.rank != other.rank:
		return f.rank > other.rank
	default: // nothing but types: the more specific one
		return f.rank == rankNone && f.strength > other.strength
	}
}

// breaks reports whether f is of a connection that broke while it was in use.
func (f *finding) breaks() bool {
	class := f.result()
	return f.lost || class.Kind == KindConnection && !class.Retryable && !f.dialing && f.rank < rankDatabase
}

// result is the class of f.
func (f *finding) result() Class {
	class := f.class
	if f.rank < rankValue {
		class.Type = f.name
	}
	if f.rank < rankContext {
		if f.dialing && !f.exact {
			switch class.Kind {
			case KindNotFound: // of a unix socket: there is no server
				class.Kind, class.Retryable = KindConnection, true
			case KindConnection, KindTimeout:
				class.Retryable = true
			}
		}
		if f.unsent {
			class.Retryable = true
			if class.Kind == KindNone || class.Kind == KindOther {
				class.Kind = KindConnection
			}
		}
	}
	if f.lost && f.rank < rankDatabase { // which reports by itself that nothing was done
		class.Retryable = false
	}
	if f.panicked { // and nothing that panicked is worth a second try
		class.Kind, class.Retryable = KindPanic, false
	}
	if class.Kind == KindNone {
		class.Kind = KindOther
	}
	return class
}

// opaque is the text of an error of which nothing else may be exported.
func (f *finding) opaque(info *typeInfo) string {
	return f.result().Kind.String() + " (" + info.name + ")"
}

// typeKind returns the kind of an error by its type alone, so that the packages of
// the types need not be imported.
func typeKind(info *typeInfo) Kind {
	if !info.isLibrary() {
		return KindNone
	}
	if kind, ok := libraryKinds[info.name]; ok {
		return kind
	}
	pkg, _, _ := strings.Cut(strings.TrimPrefix(info.name, "*"), ".")
	if info.origin == originStd && (pkg == "tls" || pkg == "x509") {
		return KindConnection
	}
	return KindNone
}

// libraryKinds holds types of the standard library and of drivers by name.
var libraryKinds = map[string]Kind{
	"pgx.ScanArgError":            KindData,
	"*textproto.Error":            KindConnection,
	"*strconv.NumError":           KindData,
	"*time.ParseError":            KindData,
	"*json.SyntaxError":           KindData,
	"*json.UnmarshalTypeError":    KindData,
	"*json.MarshalerError":        KindData,
	"*xml.SyntaxError":            KindData,
	"*csv.ParseError":             KindData,
	"base64.CorruptInputError":    KindData,
	"hex.InvalidByteError":        KindData,
	"*url.EscapeError":            KindData,
	"url.EscapeError":             KindData,
	"url.InvalidHostError":        KindData,
	"*exec.Error":                 KindOther,
	"*exec.ExitError":             KindOther,
	"*http.MaxBytesError":         KindData,
	"*json.InvalidUnmarshalError": KindOther,
}

// errnoKind returns the kind of a number of the operating system, and KindNone
// for those that mean nothing to a reader of telemetry. The numbers from 10000 on
// are those of Windows sockets.
func errnoKind(e syscall.Errno) Kind {
	switch e {
	case syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
		syscall.ENOTCONN, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETUNREACH,
		syscall.ENETDOWN, syscall.ENETRESET, syscall.ESHUTDOWN, syscall.EADDRNOTAVAIL,
		10049, 10050, 10051, 10052, 10053, 10054, 10057, 10058, 10061, 10064, 10065:
		return KindConnection
	case syscall.ETIMEDOUT, 10060:
		return KindTimeout
	case syscall.EACCES, syscall.EPERM, syscall.EROFS, 10013:
		return KindPermission
	case syscall.ENOENT:
		return KindNotFound
	case syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EDQUOT,
		syscall.ENOBUFS, syscall.EFBIG, syscall.EIO, 10024, 10055:
		return KindResource
	}
	return KindNone
}
