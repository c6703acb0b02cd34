package certs

import (
	"io"
	"net"
	"sync"
	"testing"

	"autoscale.io/e2e/product"
)

// front stands where the Service would: each connection goes to the next replica that takes it.
type front struct {
	listener net.Listener

	mu   sync.Mutex
	to   []string
	next int
	open map[net.Conn]bool
}

func newFront(t *testing.T) *front {
	t.Helper()
	listener, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{listener: listener, open: map[net.Conn]bool{}}
	go f.serve()
	t.Cleanup(func() {
		_ = listener.Close()
		f.cut()
	})
	return f
}

func (f *front) address() string { return f.listener.Addr().String() }

// lead sends what comes from now on to these replicas.
func (f *front) lead(replicas []*product.Autoscaler) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = nil
	for _, a := range replicas {
		f.to = append(f.to, a.WebhookAddress())
	}
}

// cut ends all connections.
func (f *front) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.open {
		_ = conn.Close()
	}
}

func (f *front) serve() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		go f.pass(conn)
	}
}

func (f *front) pass(conn net.Conn) {
	f.hold(conn)
	defer f.drop(conn)
	upstream := f.dial()
	if upstream == nil {
		return
	}
	f.hold(upstream)
	defer f.drop(upstream)
	go func() {
		_, _ = io.Copy(upstream, conn)
		_ = upstream.Close()
	}()
	_, _ = io.Copy(conn, upstream)
}

// dial tries every replica once, beginning with the next.
func (f *front) dial() net.Conn {
	f.mu.Lock()
	to, first := f.to, f.next
	f.next++
	f.mu.Unlock()
	for n := range to {
		if conn, err := net.Dial("tcp", to[(first+n)%len(to)]); err == nil {
			return conn
		}
	}
	return nil
}

func (f *front) hold(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[conn] = true
}

func (f *front) drop(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, conn)
	_ = conn.Close()
}
