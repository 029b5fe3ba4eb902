package errs

import (
	"net"
	"strings"
	"syscall"
)

// noteType adds what the type of err tells.
func (t *trail) noteType(err error, info *typeInfo) {
	switch e := err.(type) {
	case *net.OpError:
		if e == nil {
			return
		}
		t.raise(rankType, Class{Kind: KindConnection})
		t.remote = true
		t.dialing = t.dialing || e.Op == "dial"
		t.dial = t.dialing
	case *net.DNSError:
		if e == nil {
			return
		}
		class := Class{Kind: KindConnection, Retryable: !e.IsNotFound && (e.IsTemporary || e.IsTimeout)}
		if e.IsTimeout {
			class.Kind = KindTimeout
		}
		t.raise(rankErrno, class)
		t.dial = false // its own word is more exact than that of the dialer
		return
	case *net.AddrError, *net.ParseError, net.UnknownNetworkError, net.InvalidAddrError:
		t.raise(rankErrno, Class{Kind: KindConnection})
		t.dial = false // there will be no such address the next time either
	case syscall.Errno:
		if kind := errnoKind(e); kind != KindNone {
			t.raise(rankErrno, Class{Kind: kind})
		}
	}
	if info.origin == originStd {
		if kind := standardKind(info.name); kind != KindNone {
			t.raise(rankType, Class{Kind: kind})
		}
	}
	if info.name == errorString && isConversion(err) {
		t.raise(rankType, Class{Kind: KindData})
	}
	if info.times && timedOut(err) {
		t.raise(rankTimeout, Class{Kind: KindTimeout})
	}
}

// standardKind returns the kind of a type of the standard library by its name.
func standardKind(name string) Kind {
	if kind, ok := standardKinds[name]; ok {
		return kind
	}
	switch pkg, _, _ := strings.Cut(strings.TrimPrefix(name, "*"), "."); pkg {
	case "tls", "x509":
		return KindConnection
	}
	return KindNone
}

// standardKinds holds types of the standard library by name, so that their
// packages need not be imported.
var standardKinds = map[string]Kind{
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
// for those that say nothing to a reader of telemetry. The numbers from 10000 on
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
