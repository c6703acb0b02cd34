package mysql

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"autoscale.io/scalers"
	"autoscale.io/scalers/egress"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/sqltest"
)

// A scaler that was given no dialer has the strictest; each spelling of an address is one.
func TestLoopbackIsRefused(t *testing.T) {
	canary := scalertest.MustCanary(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(canary.Addr())
	b := scalertest.NewBenchIn(t, Definition, scalers.Env{})
	for _, host := range []string{"127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"} {
		address := net.JoinHostPort(host, port)
		want := (&egress.RefusedError{Address: address}).Error()
		for _, parameters := range []string{
			fmt.Sprintf("host: %q, port: %s, username: u, ", host, port), fmt.Sprintf("connection: 'u:p@tcp(%s)/d', ", address),
		} {
			if err := b.Attempt(t, trigger(parameters+query("select 1")), nil); err == nil || err.Error() != want {
				t.Errorf("%s:\ngot  %v\nwant %s", parameters, err, want)
			}
		}
	}
	canary.WantUntouched(t)
}

func TestNamesAreRefused(t *testing.T) {
	canary := scalertest.MustCanary(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(canary.Addr())
	dialer := &egress.Dialer{Resolver: scalertest.MustResolver(t, func(string, bool) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
	})}
	b := scalertest.NewBenchIn(t, Definition, scalers.Env{Dial: dialer.DialContext})
	source := open(t, b, fmt.Sprintf("host: db.example., port: %s, username: u, %s", port, query("select 1")), nil)
	scalertest.WantError(t, source, (&egress.RefusedError{Address: "db.example.:" + port}).Error())
	canary.WantUntouched(t)
}

// AU-04: a string that names a socket, a file or a registered key is refused before anything is opened.
func TestNoFileIsOpened(t *testing.T) {
	b := scalertest.NewBenchIn(t, Definition, scalers.Env{Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, net.ErrClosed
	}})
	for text, want := range map[string]error{
		"u:p@unix(/var/run/mysqld/mysqld.sock)/d":                errSocket,
		"u:p@/var/run/mysqld/mysqld.sock":                        errForm,
		"u:p@unixgram(/var/run/x)/d":                             errSocket,
		"u:p@tcp(h)/d?allowAllFiles=true":                        errFiles,
		"u:p@tcp(h)/d?tls=true&allowAllFiles=1":                  errFiles,
		"u:p@tcp(h)/d?serverPubKey=/etc/passwd":                  errForm,
		"u:p@tcp(/var/run/mysqld/mysqld.sock)/d":                 errForm,
		"u:p@tcp(h)/d?charset=utf8&loc=../../../etc/passwd":      errForm,
		"u:p@tcp(h)/d?ssl-ca=/etc/passwd&tls=/etc/passwd":        errTLS,
		"u:p@tcp(h)/d?local_infile=1&secure_file_priv=%2Fetc%2F": errParams,
	} {
		err := b.Attempt(t, trigger("connectionFrom: {secret: s, key: dsn}, "+query("select 1")), scalertest.Texts{"dsn": text})
		if err == nil || err.Error() != "connection: "+want.Error() {
			t.Errorf("%s:\ngot  %v\nwant connection: %v", text, err, want)
		}
	}
}

// AU-05: what answers without being a database is not quoted.
func TestForeignAnswersAreNotQuoted(t *testing.T) {
	for _, more := range []string{"", "tls: {enabled: true}, "} {
		scalertest.WantForeignUnquoted(t, Definition, func(address string) string { return trigger(at(address) + more + query("select 1")) }, sqltest.WithPassword())
	}
}
