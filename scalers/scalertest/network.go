package scalertest

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"autoscale.io/scalers/egress"
)

// Dial opens connections as the product does, but to servers of the tests as well, which listen on loopback. It is the one exception that tests make.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return fenced("127.0.0.0/8", "::1/128").DialContext(ctx, network, address)
}

// Fenced opens connections as the product does, but to 127.0.0.1 as well. The rest of loopback stays out of reach.
func Fenced(ctx context.Context, network, address string) (net.Conn, error) {
	return fenced("127.0.0.1/32").DialContext(ctx, network, address)
}

func fenced(allowed ...string) *egress.Dialer {
	policy := egress.Policy{}
	for _, prefix := range allowed {
		policy.Allow = append(policy.Allow, netip.MustParsePrefix(prefix))
	}
	return &egress.Dialer{Policy: policy}
}

// MustServe listens on loopback until the test ends, and calls serve for each connection, in a goroutine of its own. Connections are closed when serve returns and
// when the test ends.
func MustServe(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ending, end := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer context.AfterFunc(ending, func() { _ = conn.Close() })()
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		end()
		serving.Wait()
	})
	return listener.Addr().String()
}

// Canary listens where nothing may connect to, and answers nothing.
type Canary struct {
	listener net.Listener
	accepted chan net.Addr
}

// MustCanary listens on any port of a loopback address until the test ends.
func MustCanary(t *testing.T, ip string) *Canary {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatalf("listen on %s: %v; on macOS the address is made with: ifconfig lo0 alias %s", ip, err, ip)
	}
	c := &Canary{listener: listener, accepted: make(chan net.Addr, 1000)}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.accepted <- conn.RemoteAddr()
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		accepting.Wait()
	})
	return c
}

// Addr is host:port.
func (c *Canary) Addr() string { return c.listener.Addr().String() }

// WantUntouched fails the test when anybody has connected. Connections are accepted in the order in which they were made, so one of our own ends the wait.
func (c *Canary) WantUntouched(t *testing.T) {
	t.Helper()
	own, err := new(net.Dialer).DialContext(Within(t), "tcp", c.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for from := range c.accepted {
		if from.String() == own.LocalAddr().String() {
			return
		}
		t.Errorf("%s connected to the canary %s", from, c.Addr())
	}
}

// MustResolver is a resolver that asks a server of its own, which answers with the addresses of a name, and none for a name that does not exist. answer is called
// once for each question, which is for those of IPv4 or of IPv6; addresses of the other kind are left out.
func MustResolver(t *testing.T, answer func(name string, ipv6 bool) []netip.Addr) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		question := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			if reply, err := reply(question[:n], answer); err == nil {
				// Who is not answered asks again.
				_, _ = server.WriteTo(reply, from)
			}
		}
	})
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func reply(question []byte, answer func(name string, ipv6 bool) []netip.Addr) ([]byte, error) {
	var asked dnsmessage.Message
	if err := asked.Unpack(question); err != nil {
		return nil, err
	}
	for _, q := range asked.Questions {
		ipv6 := q.Type == dnsmessage.TypeAAAA
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		for _, address := range answer(q.Name.String(), ipv6) {
			switch {
			case ipv6 && address.Is6():
				asked.Answers = append(asked.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
			case !ipv6 && address.Is4():
				asked.Answers = append(asked.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
			}
		}
	}
	asked.Response, asked.RecursionAvailable, asked.Additionals = true, true, nil
	return asked.Pack()
}
