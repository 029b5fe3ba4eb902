package errs_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"database/sql/driver"
	"encoding/asn1"
	"encoding/base64"
	"encoding/csv"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	htmltemplate "html/template"
	"io"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/taskspan/taskspan/errs"
)

// standardErrors are what the standard library says of a value of plain letters.
var standardErrors = map[string]func(v string) error{
	"template: parse":    func(v string) error { return second(template.New(v).Parse("{{" + v)) },
	"template: function": func(v string) error { return second(template.New("t").Parse("{{" + v + " 1}}")) },
	"template: variable": func(v string) error { return second(template.New(v).Parse("{{$" + v + "}}")) },
	"template: execute": func(v string) error {
		return template.Must(template.New(v).Parse("{{."+v+".X}}")).Execute(io.Discard, 1)
	},
	"template: not there": func(v string) error { return template.New("t").ExecuteTemplate(io.Discard, v, nil) },
	"template: index": func(v string) error {
		return template.Must(template.New("t").Parse(`{{index . "`+v+`"}}`)).Execute(io.Discard, []int{1})
	},
	"template: file": func(v string) error { return second(template.ParseFiles(v)) },
	"template: glob": func(v string) error { return second(template.ParseGlob(v + "*")) },
	"HTML template":  func(v string) error { return second(htmltemplate.New(v).Parse("{{" + v)) },
	"HTML template: end": func(v string) error {
		return htmltemplate.Must(htmltemplate.New(v).Parse("<a href='{{.}}")).Execute(io.Discard, 1)
	},
	"HTML template: empty": func(v string) error { return htmltemplate.New(v).Execute(io.Discard, 1) },
	"HTML template: none":  func(v string) error { return htmltemplate.New("t").ExecuteTemplate(io.Discard, v, 1) },
	"flag: unknown":        func(v string) error { return flags().Parse([]string{"-" + v}) },
	"flag: value":          func(v string) error { return flags().Parse([]string{"-n", v}) },
	"flag: bool":           func(v string) error { return flags().Parse([]string{"-b=" + v}) },
	"flag: duration":       func(v string) error { return flags().Parse([]string{"-d", v}) },
	"flag: syntax":         func(v string) error { return flags().Parse([]string{"---" + v}) },
	"flag: set":            func(v string) error { return flags().Set(v, v) },
	"mail: address":        func(v string) error { return second(mail.ParseAddress(v)) },
	"mail: phrase":         func(v string) error { return second(mail.ParseAddress(v + " " + v + " x@")) },
	"mail: comment":        func(v string) error { return second(mail.ParseAddress("x@y (" + v)) },
	"mail: list":           func(v string) error { return second(mail.ParseAddressList("<" + v + ">, " + v)) },
	"mail: date":           func(v string) error { return second(mail.ParseDate(v)) },
	"mail: message":        func(v string) error { return second(mail.ReadMessage(strings.NewReader(v + "\n" + v))) },
	"netip: address":       func(v string) error { return second(netip.ParseAddr(v)) },
	"netip: zone":          func(v string) error { return second(netip.ParseAddr("1.2.3.4%" + v)) },
	"netip: port":          func(v string) error { return second(netip.ParseAddrPort("1.2.3.4:" + v)) },
	"netip: prefix":        func(v string) error { return second(netip.ParsePrefix("1.2.3.4/" + v)) },
	"net: CIDR":            func(v string) error { _, _, err := net.ParseCIDR(v); return err },
	"net: MAC":             func(v string) error { return second(net.ParseMAC(v)) },
	"net: host and port":   func(v string) error { _, _, err := net.SplitHostPort(v); return err },
	"net: brackets":        func(v string) error { _, _, err := net.SplitHostPort("[" + v); return err },
	"net: port":            func(v string) error { return second(net.ResolveTCPAddr("tcp", "127.0.0.1:"+v)) },
	"net: network":         func(v string) error { return second(net.Dial(v, v)) },
	"net: dial port":       func(v string) error { return second(net.Dial("tcp", "127.0.0.1:"+v)) },
	"net: socket":          func(v string) error { return second(net.Dial("unix", v)) },
	"net: listen":          func(v string) error { return second(net.Listen("tcp", v)) },
	"net: listen socket":   func(v string) error { return second(net.Listen("unix", v+"/"+v)) },
	"net: host":            func(v string) error { return &net.DNSError{Err: "no such host", Name: v, Server: v, IsNotFound: true} },
	"net: address":         func(v string) error { return &net.AddrError{Err: "mismatched local address type", Addr: v} },
	"net: parse":           func(v string) error { return &net.ParseError{Type: "IP address", Text: v} },
	"net: interface":       func(v string) error { return second(net.InterfaceByName(v)) },
	"xml: syntax":          func(v string) error { return xml.Unmarshal([]byte("<"+v+"></x>"), new(struct{})) },
	"xml: space":           func(v string) error { return xml.Unmarshal([]byte("<a:x xmlns:a='"+v+"'></b:x>"), new(struct{})) },
	"xml: entity":          func(v string) error { return xml.Unmarshal([]byte("<a>&"+v+";</a>"), new(struct{})) },
	"xml: attribute":       func(v string) error { return xml.Unmarshal([]byte("<a "+v+"></a>"), new(struct{})) },
	"xml: element":         func(v string) error { return xml.Unmarshal([]byte("<"+v+"/>"), new(xmlName)) },
	"xml: value":           func(v string) error { return xml.Unmarshal([]byte("<a><N>"+v+"</N></a>"), new(xmlName)) },
	"xml: encoding": func(v string) error {
		return xml.Unmarshal([]byte(`<?xml version="1.0" encoding="`+v+`"?><a/>`), new(struct{}))
	},
	"xml: name": func(v string) error {
		return xml.NewEncoder(io.Discard).EncodeToken(xml.EndElement{Name: xml.Name{Local: v}})
	},
	"json: syntax":    func(v string) error { return json.Unmarshal([]byte("{"+v), new(any)) },
	"json: type":      func(v string) error { return json.Unmarshal([]byte(`{"N":"`+v+`"}`), new(struct{ N int })) },
	"json: key":       func(v string) error { return json.Unmarshal([]byte(`{"`+v+`":1}`), new(map[int]int)) },
	"json: field":     func(v string) error { return strict(`{"` + v + `":1}`) },
	"json: number":    func(v string) error { return second(json.Marshal(json.Number(v))) },
	"json: marshaler": func(v string) error { return second(json.Marshal(failing{v})) },
	"exec: not found": func(v string) error { return exec.CommandContext(context.Background(), v).Run() },
	"exec: no file":   func(v string) error { return exec.CommandContext(context.Background(), "/nowhere/"+v).Run() },
	"exec: folder": func(v string) error {
		c := exec.CommandContext(context.Background(), "/bin/sh")
		c.Dir = v
		return c.Run()
	},
	"os: open":        func(v string) error { return second(os.Open(v)) },
	"os: rename":      func(v string) error { return os.Rename(v, v+v) },
	"os: mkdir":       func(v string) error { return os.Mkdir(v+"/"+v, 0o700) },
	"os: chdir":       func(v string) error { return os.Chdir(v) },
	"os: read folder": func(v string) error { return second(os.ReadDir(v)) },
	"os: link":        func(v string) error { return second(os.Readlink(v)) },
	"os: invalid":     func(v string) error { return second(os.Open(v + "\x00")) },
	"os: root":        func(v string) error { return second(os.OpenInRoot(os.TempDir(), "../"+v)) },
	"os: user":        func(v string) error { return second(user.Lookup(v)) },
	"os: group":       func(v string) error { return second(user.LookupGroup(v)) },
	"tls: files":      func(v string) error { return second(tls.LoadX509KeyPair(v, v)) },
	"tls: keys":       func(v string) error { return second(tls.X509KeyPair([]byte(v), []byte(v))) },
	"x509: host":      func(v string) error { return certificate(v).VerifyHostname("x" + v) },
	"x509: no names":  func(v string) error { return (&x509.Certificate{Raw: []byte{1}}).VerifyHostname(v) },
	"x509: authority": func(v string) error { return x509.UnknownAuthorityError{Cert: certificate(v)} },
	"x509: constraint": func(v string) error {
		return x509.CertificateInvalidError{Cert: certificate(v), Reason: x509.CANotAuthorizedForThisName, Detail: v}
	},
	"x509: verify": func(v string) error {
		return second(certificate(v).Verify(x509.VerifyOptions{DNSName: "y" + v, Roots: x509.NewCertPool()}))
	},
	"strconv: int":        func(v string) error { return second(strconv.Atoi(v)) },
	"strconv: bool":       func(v string) error { return second(strconv.ParseBool(v)) },
	"time: parse":         func(v string) error { return second(time.Parse(time.RFC3339, v)) },
	"time: extra":         func(v string) error { return second(time.Parse(time.DateOnly, "2024-01-01"+v)) },
	"time: duration":      func(v string) error { return second(time.ParseDuration(v)) },
	"time: unit":          func(v string) error { return second(time.ParseDuration("1" + v)) },
	"time: zone":          func(v string) error { return second(time.LoadLocation(v)) },
	"time: JSON":          func(v string) error { return new(time.Time).UnmarshalJSON([]byte(`"` + v + `"`)) },
	"url: parse":          func(v string) error { return second(url.Parse("http://" + v + "%zz")) },
	"url: port":           func(v string) error { return second(url.Parse("http://h:" + v)) },
	"url: escape":         func(v string) error { return second(url.QueryUnescape("%" + v)) },
	"http: method":        func(v string) error { return second(http.NewRequest(v+" "+v, "http://h", nil)) },
	"http: scheme":        func(v string) error { return second(http.Get(v + "://" + v)) },
	"http: header":        func(v string) error { return second(http.DefaultTransport.RoundTrip(request("a", v+"\n"))) },
	"http: header's name": func(v string) error { return second(http.DefaultTransport.RoundTrip(request(v+" "+v, "a"))) },
	"http: response": func(v string) error {
		return second(http.ReadResponse(bufio.NewReader(strings.NewReader(v+" "+v+"\r\n\r\n")), nil))
	},
	"http: request": func(v string) error {
		return second(http.ReadRequest(bufio.NewReader(strings.NewReader(v + "\r\n\r\n"))))
	},
	"http: version": func(v string) error {
		return second(http.ReadRequest(bufio.NewReader(strings.NewReader("GET / " + v + "\r\n\r\n"))))
	},
	"http: cookie":        func(v string) error { return (&http.Cookie{Name: "a", Value: v, Domain: v + ";"}).Valid() },
	"http: parse cookie":  func(v string) error { return second(http.ParseSetCookie(v)) },
	"textproto: header":   func(v string) error { return second(lines(v + "\r\n\r\n").ReadMIMEHeader()) },
	"textproto: response": func(v string) error { _, _, err := lines(v + "\r\n").ReadResponse(2); return err },
	"textproto: code":     func(v string) error { _, _, err := lines("500 " + v + "\r\n").ReadResponse(2); return err },
	"mime: media type":    func(v string) error { _, _, err := mime.ParseMediaType("a/b; " + v); return err },
	"mime: duplicate":     func(v string) error { _, _, err := mime.ParseMediaType("a/b; " + v + "=1; " + v + "=2"); return err },
	"mime: word":          func(v string) error { return second(new(mime.WordDecoder).Decode("=?" + v + "?q?x?=")) },
	"regexp":              func(v string) error { return second(regexp.Compile(v + "(")) },
	"regexp: class":       func(v string) error { return second(regexp.Compile("[[:" + v + ":]]")) },
	"csv":                 func(v string) error { return second(csv.NewReader(strings.NewReader("a\"" + v)).Read()) },
	"base64":              func(v string) error { return second(base64.StdEncoding.DecodeString(v + "!")) },
	"gob":                 func(v string) error { return gob.NewDecoder(strings.NewReader(v)).Decode(new(int)) },
	"gzip":                func(v string) error { return second(gzip.NewReader(strings.NewReader(v + v))) },
	"asn1":                func(v string) error { return second(asn1.Unmarshal([]byte(v), new(int))) },
	"big: text":           func(v string) error { return new(big.Int).UnmarshalText([]byte(v)) },
	"big: float":          func(v string) error { _, _, err := big.ParseFloat(v, 10, 10, 0); return err },
	"big: rat":            func(v string) error { return new(big.Rat).UnmarshalText([]byte(v)) },
	"fmt: scan":           func(v string) error { return second(fmt.Sscan(v, new(int))) },
	"fmt: verb":           func(v string) error { return second(fmt.Sscanf(v, "%d", new(int))) },
	"filepath: pattern":   func(v string) error { return second(filepath.Match("["+v, v)) },
	"filepath: relative":  func(v string) error { return second(filepath.Rel("/"+v, v)) },
	"rsa": func(v string) error {
		return rsa.VerifyPKCS1v15(&rsa.PublicKey{N: big.NewInt(5), E: 3}, 0, []byte(v), []byte(v))
	},
	"sql: driver": func(v string) error { return second(sql.Open(v, v)) },
	"sql: bool":   func(v string) error { return second(driver.Bool.ConvertValue(v)) },
	"sql: int":    func(v string) error { return second(driver.Int32.ConvertValue(v)) },
	"sql: scan":   func(v string) error { return scan(v, new(int)) },
	"sql: null":   func(v string) error { return new(sql.NullInt64).Scan(v) },
	"sql: Valuer": func(v string) error { return second(sql.OpenDB(oneValue{}).Query("x", failing{v})) },
}

func second[T any](_ T, err error) error { return err }

func flags() *flag.FlagSet {
	f := flag.NewFlagSet("f", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Int("n", 0, "")
	f.Bool("b", false, "")
	f.Duration("d", 0, "")
	return f
}

// failing has methods that fail with its text in a place where values stand.
type failing struct{ v string }

func (f failing) MarshalJSON() ([]byte, error) { return nil, fmt.Errorf("no JSON of %q", f.v) }

func (f failing) Value() (driver.Value, error) { return nil, fmt.Errorf("no value of %s", f.v) }

type xmlName struct {
	XMLName xml.Name `xml:"a"`
	N       int
}

func strict(text string) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(new(struct{}))
}

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{Raw: []byte{1}, DNSNames: []string{name}, Subject: pkix.Name{CommonName: name}, Issuer: pkix.Name{CommonName: name, Organization: []string{name}}}
}

func request(key, value string) *http.Request {
	return &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Header: http.Header{key: {value}}}
}

func lines(text string) *textproto.Reader {
	return textproto.NewReader(bufio.NewReader(bytes.NewReader([]byte(text))))
}

// What the standard library says of a value, it says without it, however its error comes
// back.
func TestStandardErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	const value = "zanzibar"
	silent := 0
	for name, fail := range standardErrors {
		err := fail(value)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if !strings.Contains(err.Error(), value) {
			silent++
		}
		quoted, _ := json.Marshal(err.Error())
		for _, err := range []error{
			err, fmt.Errorf("load: %w", err), fmt.Errorf("load: %v", err), fmt.Errorf("load: %q", err), fmt.Errorf("load: %s, giving up", err),
			errors.New(`load: {"error": ` + string(quoted) + `}`), errors.Join(errors.New("load"), err), fmt.Errorf("load order_import: %v\n\tfor today", err),
			errors.New(err.Error()), &errs.PanicError{Value: err}, fmt.Errorf("a: %v; b: %v", err, err), fmt.Errorf("load (%v): %w", err, err),
		} {
			if got := errs.Message(err); strings.Contains(got, value) {
				t.Errorf("%s: %q\n  leaves as %q", name, err, got)
			}
			if class := errs.Classify(err); strings.Contains(class.Type+class.Code, value) {
				t.Errorf("%s: %+v", name, class)
			}
			checkText(t, errs.Message(err))
		}
	}
	if silent > len(standardErrors)/3 {
		t.Errorf("%d of %d errors have no value", silent, len(standardErrors))
	}
}
