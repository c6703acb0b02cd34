package ports

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

func reserve(t *testing.T) *Port {
	t.Helper()
	p, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return p
}

// What a search for a free port finds is never one that is reserved, whoever searches.
func TestNobodyIsGivenAReservedPort(t *testing.T) {
	const each = 1000
	taken := map[int]string{}
	take := func(number int, by string) {
		if before := taken[number]; before != "" {
			t.Fatalf("port %d: %s and %s", number, before, by)
		}
		taken[number] = by
	}
	for range each {
		take(reserve(t).Number(), "reserved")
	}
	for range each {
		l, err := net.Listen("tcp", net.JoinHostPort(Loopback, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		take(l.Addr().(*net.TCPAddr).Port, "found by a listener")
	}
	server := listen(t, reserve(t))
	for range each {
		c, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		take(c.LocalAddr().(*net.TCPAddr).Port, "found by a connection")
	}
}

func listen(t *testing.T, p *Port) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", p.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestTheServerOfAReservedPortComesAndGoes(t *testing.T) {
	p := reserve(t)
	for range 3 {
		refused(t, p)
		l := listen(t, p)
		if _, err := net.Listen("tcp", p.String()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("two at once: %v", err)
		}
		c, err := net.Dial("tcp", p.String())
		if err != nil {
			t.Fatal(err)
		}
		// The server closes first, so what lingers of the connection is on its port.
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(accepted.Close(), c.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
	}
	p.Release()
	p.Release()
	refused(t, p)
}

func refused(t *testing.T, p *Port) {
	t.Helper()
	if c, err := net.Dial("tcp", p.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v, %v", c, err)
	}
}
