package postgres

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"autoscale.io/scalers"
	"autoscale.io/scalers/egress"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
	"autoscale.io/scalers/scalertest/sqltest"
)

func refusal(address string) string { return (&egress.RefusedError{Address: address}).Error() }

// A scaler that was given no dialer has the strictest.
func TestZeroEnvReachesNoLoopback(t *testing.T) {
	canary := scalertest.MustCanary(t, "127.0.0.1")
	b := scalertest.NewBenchIn(t, Definition, scalers.Env{})
	err := b.Attempt(t, trigger(at(canary.Addr())+plainly+query("select 1")), sqltest.WithPassword())
	if want := canary.Addr() + " (127.0.0.1): dial error: " + refusal(canary.Addr()); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	canary.WantUntouched(t)
}

// AU-05: each host of several is looked at, also for the connection that listens; one that is permitted still answers.
func TestHostsOfSeveralAreRefused(t *testing.T) {
	canary := scalertest.MustCanary(t, "127.0.0.2")
	_, port, _ := net.SplitHostPort(canary.Addr())
	b := scalertest.NewBenchIn(t, Definition, scalers.Env{Dial: scalertest.Fenced})
	hosts := []string{"127.0.0.2", "169.254.169.254", "::1", "::ffff:127.0.0.2", "0.0.0.0", "127.0.0.2"}
	parameters := fmt.Sprintf("connection: 'host=%s port=%s user=reader dbname=postgres password=%s sslmode=disable', listen: jobs, ", strings.Join(hosts, ","), port, secret)
	source := open(t, b, parameters+query("select 1"), nil)
	var want []string
	for _, host := range hosts {
		address := net.JoinHostPort(host, port)
		want = append(want, fmt.Sprintf("%s (%s): dial error: %s", address, host, refusal(address)))
	}
	scalertest.WantError(t, source, strings.Join(want, "; "))
	w := startWatch(t, source)
	scalertest.Await(t, func() string {
		if got := strings.Join(w.faults(), "|"); got != strings.Join(want, "; ") {
			return fmt.Sprintf("got  %s\nwant %s", got, strings.Join(want, "; "))
		}
		return ""
	})
	w.stop()
	canary.WantUntouched(t)

	server := withJobs(t, servers.PostgresOptions{})
	_, serverPort, _ := net.SplitHostPort(server.Addr())
	parameters = fmt.Sprintf("connection: 'host=127.0.0.2,127.0.0.1 port=%s,%s user=reader dbname=postgres password=%s sslmode=disable', ", port, serverPort, secret)
	scalertest.WantValue(t, open(t, b, parameters+query("select count(*) from jobs"), nil), 7)
	canary.WantUntouched(t)
}

// The driver looks no name up by itself, so what is checked is what is connected to.
func TestNamesAreRefused(t *testing.T) {
	canary := scalertest.MustCanary(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(canary.Addr())
	dialer := &egress.Dialer{Resolver: scalertest.MustResolver(t, func(string, bool) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
	})}
	b := scalertest.NewBenchIn(t, Definition, scalers.Env{Dial: dialer.DialContext})
	address := "db.example.:" + port
	source := open(t, b, fmt.Sprintf("host: db.example., port: %s, username: reader, database: d, sslmode: disable, %s", port, query("select 1")), nil)
	scalertest.WantError(t, source, address+" (db.example.): dial error: "+refusal(address))
	canary.WantUntouched(t)
}

// AU-04: files and sockets that this process could read are named by nothing, neither by a string nor by a parameter.
func TestNoFileIsOpened(t *testing.T) {
	b := scalertest.NewBenchIn(t, Definition, scalers.Env{Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, net.ErrClosed
	}})
	for _, option := range []string{"sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "sslkeylogfile", "passfile", "service", "servicefile"} {
		for _, text := range []string{"host=h user=u " + option + "=/etc/passwd", "postgres://u@h/d?" + option + "=/etc/passwd"} {
			err := b.Attempt(t, trigger("connectionFrom: {secret: s, key: dsn}, "+query("select 1")), scalertest.Texts{"dsn": text})
			if err == nil || err.Error() != "connection: "+errFile.Error() {
				t.Errorf("%s:\ngot  %v\nwant connection: %v", text, err, errFile)
			}
		}
	}
	for _, host := range []string{"/var/run/postgresql", "@abstract", "h,/var/run/postgresql"} {
		err := b.Attempt(t, trigger("connectionFrom: {secret: s, key: dsn}, "+query("select 1")), scalertest.Texts{"dsn": "user=u host=" + host})
		if err == nil || err.Error() != "connection: "+errFile.Error() {
			t.Errorf("host=%s:\ngot  %v\nwant connection: %v", host, err, errFile)
		}
		if faults, _ := b.Faults(trigger(fmt.Sprintf("host: %q, username: u, %s", host, query("select 1")))); faults != "host: not a host name; want a name or an IP address, with the port in port and the user in username" {
			t.Errorf("host: %s: %s", host, faults)
		}
	}
	// Where PEM text is wanted, a path is none.
	err := b.Attempt(t, trigger("host: h, username: u, tls: {caFrom: {secret: s, key: ca}}, "+query("select 1")), scalertest.Texts{"ca": "/etc/ssl/certs/ca-certificates.crt"})
	if want := "tls.ca: holds no certificate; want PEM text that begins with -----BEGIN CERTIFICATE-----"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// AU-05: what answers without being a database is not quoted.
func TestForeignAnswersAreNotQuoted(t *testing.T) {
	for _, more := range []string{plainly, "sslmode: require, "} {
		scalertest.WantForeignUnquoted(t, Definition, func(address string) string { return trigger(at(address) + more + query("select 1")) }, sqltest.WithPassword())
	}
	const want = "what answers is no PostgreSQL server; want the address of one"
	err := kit().Bench(t).Attempt(t, trigger(at(scalertest.MustSay(t, "HTTP/1.1 400 canary"))+plainly+query("select 1")), sqltest.WithPassword())
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
