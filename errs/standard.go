package errs

import (
	"io/fs"
	"net"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// standardText is the text of an error of the standard library. Such errors quote
// what they were given: names of files, addresses, URLs with their queries, the text
// that could not be parsed. The errors that they wrap are kept, and the operation.
func standardText(n *node, f *finding, wrapped safeText) safeText {
	var doing string
	switch e := n.err.(type) {
	case *net.OpError:
		doing = words(e.Op, network(e.Net))
	case *url.Error:
		doing = words(e.Op)
	case *fs.PathError:
		doing = words(e.Op)
	case *os.LinkError:
		doing = words(e.Op)
	case *os.SyscallError:
		doing = words(e.Syscall)
	case *strconv.NumError:
		if doing = words(e.Func); doing != "" {
			doing = "strconv." + doing
		}
	case *net.DNSError:
		return safeText{safe: dnsText(e)}
	case syscall.Errno: // texts of the operating system, the same for each number
		return safeText{safe: n.raw}
	case runtime.Error:
		return safeText{safe: runtimeText(n, f)}
	case interface{ ExitCode() int }: // *exec.ExitError
		if status, ok := strings.CutPrefix(n.raw, "exit status "); ok && len(status) <= 3 && isDigits(status) {
			return safeText{safe: n.raw}
		}
	}
	if doing != "" && wrapped.tail != "" {
		return safeText{safe: doing + ": " + wrapped.tail}
	}
	return wrapped
}

func dnsText(e *net.DNSError) string {
	switch {
	case e.IsNotFound:
		return "lookup: no such host"
	case e.IsTimeout:
		return "lookup: timeout"
	case e.IsTemporary:
		return "lookup: temporary failure"
	}
	return "lookup: failure"
}

// runtimeText is the text of an error with which the runtime panicked: all of it but
// the numbers of an index, which are values.
func runtimeText(n *node, f *finding) string {
	switch n.info.name {
	case "runtime.errorString", "runtime.plainError", "*runtime.TypeAssertionError", "*runtime.PanicNilError":
		return n.raw
	case "runtime.boundsError":
		return "runtime error: index or bounds out of range"
	}
	return f.opaque(n.info)
}

// panicText is the text of a recovered panic: never the value, and of one that is an
// error its safe text.
func panicText(n *node, inner string) string {
	p, ok := n.err.(*PanicError)
	if !ok || p == nil || p.Value == nil {
		return "panic"
	}
	safe := "panic (" + valueType(p.Value) + ")"
	if inner != "" {
		safe += ": " + inner
	}
	return safe
}

// network returns the name of a network if it is one. A driver may have taken it
// for one out of a DSN that it could not read, and with it a part of the password.
func network(name string) string {
	switch name {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "ip", "ip4", "ip6", "unix", "unixgram", "unixpacket", "pipe":
		return name
	}
	return ""
}

// words returns those of its arguments that are words, such as the name of an
// operation or of a network.
func words(list ...string) string {
	kept := list[:0]
	for _, w := range list {
		if isWord(w) {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, " ")
}

func isWord(s string) bool {
	return len(s) <= 16 && strings.ContainsAny(s, lowercase+uppercase) && consistsOf(s, lowercase+uppercase+digits+"_")
}

// valueType is the name of the type of a value.
func valueType(v any) string {
	t := reflect.TypeOf(v)
	if name := typeName(t); name != "_OTHER" {
		return name
	}
	return t.Kind().String()
}

// isNil reports whether err is a nil pointer.
func isNil(err error, info *typeInfo) bool {
	return info.pointer && reflect.ValueOf(err).IsNil()
}
