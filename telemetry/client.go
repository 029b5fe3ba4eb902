package telemetry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"
)

// httpClient returns a client for an exporter over HTTP, and what closes its connections. The exporters share a
// transport with each other and with those of the rest of the program, which keeps connections for a minute and a
// half after their shutdown.
func (s signal) httpClient(o otlp) (client *http.Client, release func()) {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       s.tlsConfig(),
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	return &http.Client{Transport: transport, Timeout: o.timeout}, transport.CloseIdleConnections
}

// tlsConfig returns the certificates that the variables set, nil if there are none.
func (s signal) tlsConfig() *tls.Config {
	var config *tls.Config
	set := func() *tls.Config {
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		return config
	}
	for _, name := range s.otlpVars("OTEL_EXPORTER_OTLP_CERTIFICATE") {
		if pool, err := certificates(getenv(name)); err == nil {
			set().RootCAs = pool
			break
		}
	}
	keys := s.otlpVars("OTEL_EXPORTER_OTLP_CLIENT_KEY")
	for i, name := range s.otlpVars("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE") {
		if pair, err := keyPair(getenv(name), getenv(keys[i])); err == nil {
			set().Certificates = []tls.Certificate{pair}
			break
		}
	}
	return config
}

var errNoCertificate = errors.New("the file holds no certificate")

// certificates reads a file of them.
func certificates(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, unreadable(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errNoCertificate
	}
	return pool, nil
}

// keyPair reads a certificate and its key. No error repeats what is in the files.
func keyPair(file, keyFile string) (tls.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return tls.Certificate{}, unreadable(err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("its key: %w", unreadable(err))
	}
	pair, err := tls.X509KeyPair(text, key)
	if err != nil {
		return tls.Certificate{}, errors.New("the files hold no certificate with its key")
	}
	return pair, nil
}

// unreadable returns why a file cannot be read, without its name, which is there already.
func unreadable(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		err = e.Err
	}
	return fmt.Errorf("the file cannot be read: %w", err)
}
