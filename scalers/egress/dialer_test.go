package egress_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"autoscale.io/scalers/egress"
	"autoscale.io/scalers/scalertest"
)

// refused is the text for host:port.
func refused(address string) string {
	return "connecting to " + address + " is not allowed: it is or leads to an address that scalers may not reach, such as one of the autoscaler's own host, a link-local one " +
		"or the API server; whoever runs the autoscaler can make exceptions with --egress-allow"
}

func wantRefused(t *testing.T, d *egress.Dialer, address string) {
	t.Helper()
	conn, err := d.DialContext(scalertest.Within(t), "tcp", address)
	if err == nil {
		_ = conn.Close()
		t.Errorf("%s: connected", address)
		return
	}
	var refusal *egress.RefusedError
	if !errors.As(err, &refusal) || err.Error() != refused(address) {
		t.Errorf("%s:\ngot  %v\nwant %s", address, err, refused(address))
	}
}

func wantConnected(t *testing.T, d *egress.Dialer, address string) {
	t.Helper()
	conn, err := d.DialContext(scalertest.Within(t), "tcp", address)
	if err != nil {
		t.Errorf("%s: %v", address, err)
		return
	}
	_ = conn.Close()
}

// names resolves a fixed list, and nothing else.
func names(t *testing.T, all map[string]string) *net.Resolver {
	t.Helper()
	return scalertest.MustResolver(t, func(name string, _ bool) []netip.Addr {
		var found []netip.Addr
		for text := range strings.SplitSeq(all[name], " ") {
			if address, err := netip.ParseAddr(text); err == nil {
				found = append(found, address)
			}
		}
		return found
	})
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestAddressesAreRefused(t *testing.T) {
	canary := scalertest.MustCanary(t, "127.0.0.1")
	p := port(t, canary.Addr())
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "0.0.0.0", "169.254.169.254", "224.0.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[fe80::1]", "[ff02::1]", "localhost",
	} {
		wantRefused(t, &egress.Dialer{}, host+":"+p)
	}
	// An empty host is this one.
	wantRefused(t, &egress.Dialer{}, ":"+p)
	canary.WantUntouched(t)
}

func TestOnlyTCP(t *testing.T) {
	for _, network := range []string{"unix", "unixpacket", "udp", "ip", ""} {
		path := t.TempDir() + "/s"
		if conn, err := new(egress.Dialer).DialContext(t.Context(), network, path); err == nil || err.Error() != refused(path) {
			t.Errorf("%s: got %v, %v", network, conn, err)
		}
	}
}

// The check comes after names are resolved, whatever kind of address they lead to.
func TestNamesAreRefused(t *testing.T) {
	canary := scalertest.MustCanary(t, "127.0.0.1")
	p := port(t, canary.Addr())
	d := &egress.Dialer{Resolver: names(t, map[string]string{
		"metadata.example.": "169.254.169.254", "loop.example.": "127.0.0.1", "six.example.": "::1", "mapped.example.": "::ffff:127.0.0.1", "both.example.": "127.0.0.1 ::1",
		"link.example.": "fe80::1", "nothing.example.": "0.0.0.0",
	})}
	for _, name := range []string{"metadata", "loop", "six", "mapped", "both", "link", "nothing"} {
		wantRefused(t, d, name+".example.:"+p)
	}
	canary.WantUntouched(t)
	// What fails for another reason says so.
	_, err := d.DialContext(scalertest.Within(t), "tcp", "absent.example.:"+p)
	var notFound *net.DNSError
	if !errors.As(err, &notFound) || !notFound.IsNotFound || notFound.Name != "absent.example." {
		t.Errorf("got %v, want that absent.example. does not exist", err)
	}
}

// A name of several addresses leads to the one that is permitted.
func TestPermittedAddressOfSeveral(t *testing.T) {
	inside := scalertest.MustCanary(t, "127.0.0.1")
	p := port(t, inside.Addr())
	listener, err := net.Listen("tcp", "127.0.0.2:"+p)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	d := &egress.Dialer{
		Policy:   egress.Policy{Allow: prefixes(t, "127.0.0.2/32")},
		Resolver: names(t, map[string]string{"several.example.": "127.0.0.1 127.0.0.2 ::1"}),
	}
	conn, err := d.DialContext(scalertest.Within(t), "tcp", "several.example.:"+p)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.RemoteAddr().String(); got != "127.0.0.2:"+p {
		t.Errorf("connected to %s", got)
	}
	inside.WantUntouched(t)
}

// DNS rebinding: a name that is harmless when somebody looks, and not when somebody connects.
func TestRebinding(t *testing.T) {
	inside := scalertest.MustCanary(t, "127.0.0.1")
	p := port(t, inside.Addr())
	listener, err := net.Listen("tcp", "127.0.0.2:"+p)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var asked atomic.Int64
	d := &egress.Dialer{
		Policy: egress.Policy{Allow: prefixes(t, "127.0.0.2/32")},
		Resolver: scalertest.MustResolver(t, func(_ string, ipv6 bool) []netip.Addr {
			if ipv6 {
				return nil
			}
			return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, byte(2 - asked.Add(1)%2)})}
		}),
	}
	outcomes := map[bool]int{}
	for range 10 {
		conn, err := d.DialContext(scalertest.Within(t), "tcp", "rebind.example.:"+p)
		if err == nil {
			_ = conn.Close()
		} else if err.Error() != refused("rebind.example.:"+p) {
			t.Error(err)
		}
		outcomes[err == nil]++
	}
	if outcomes[true] != 5 || outcomes[false] != 5 {
		t.Errorf("connected or refused: %v; want five each", outcomes)
	}
	inside.WantUntouched(t)
}

// The API server is refused by address and by name, on its own port alone, and no exception lets anybody in.
func TestNever(t *testing.T) {
	server, other := scalertest.MustCanary(t, "127.0.0.1"), scalertest.MustCanary(t, "127.0.0.1")
	api := netip.MustParseAddrPort(server.Addr())
	otherPort := port(t, other.Addr())
	resolver := names(t, map[string]string{"api.example.": "127.0.0.1", "alias.example.": "127.0.0.1", "elsewhere.example.": "192.0.2.1"})
	everything := prefixes(t, "0.0.0.0/0", "::/0")
	for _, host := range []string{"127.0.0.1", "api.example.", "::ffff:127.0.0.1"} {
		d := &egress.Dialer{Policy: egress.Policy{Allow: everything, Never: []egress.Endpoint{{Host: host, Port: api.Port()}}}, Resolver: resolver}
		p := port(t, server.Addr())
		// Every address of this host leads to a server that listens on all of them.
		for _, way := range []string{"127.0.0.1", "api.example.", "alias.example.", "[::ffff:127.0.0.1]", "127.0.0.2", "0.0.0.0", "[::1]", ""} {
			wantRefused(t, d, way+":"+p)
		}
		wantConnected(t, d, "127.0.0.1:"+otherPort)
	}
	server.WantUntouched(t)
	elsewhere := &egress.Dialer{Policy: egress.Policy{Allow: everything, Never: []egress.Endpoint{{Host: "elsewhere.example.", Port: api.Port()}}}, Resolver: resolver}
	wantConnected(t, elsewhere, server.Addr())
	unknown := &egress.Dialer{Policy: egress.Policy{Allow: everything, Never: []egress.Endpoint{{Host: "absent.example.", Port: api.Port()}}}, Resolver: resolver}
	const want = "not connected: the name of the API server, to which scalers may not connect, does not resolve at the moment"
	if _, err := unknown.DialContext(scalertest.Within(t), "tcp", server.Addr()); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	wantConnected(t, unknown, "127.0.0.1:"+otherPort)
}

func TestDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	// A net for documentation, where nobody answers, or no way leads to.
	start := time.Now()
	if _, err := new(egress.Dialer).DialContext(ctx, "tcp", "192.0.2.1:6379"); err == nil {
		t.Error("connected to an address that is nobody's")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}
