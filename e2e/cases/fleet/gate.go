package fleet

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"autoscale.io/scalers/scalertest"
)

// gate is a way to a server that can be closed: connections end, and who comes then is sent away at once and counted. Of a port that is closed nobody could count who
// knocks.
type gate struct {
	address, upstream string

	mu     sync.Mutex
	closed time.Time
	live   map[net.Conn]bool
	// away are those who were sent away.
	away []time.Time
}

func newGate(t *testing.T, upstream string) *gate {
	t.Helper()
	g := &gate{upstream: upstream, live: map[net.Conn]bool{}}
	g.address = scalertest.MustServe(t, g.pass)
	return g
}

func (g *gate) pass(client net.Conn) {
	if !g.enter(client) {
		return
	}
	defer g.leave(client)
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", g.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // however it ends
			_ = way[0].Close()
		})
	}
	both.Wait()
}

func (g *gate) enter(client net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed.IsZero() {
		g.away = append(g.away, time.Now())
		return false
	}
	g.live[client] = true
	return true
}

func (g *gate) leave(client net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.live, client)
}

// close begins an outage.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.away = time.Now(), nil
	for client := range g.live {
		_ = client.Close() // the other side ends with it
	}
}

// open ends it, and returns how many came in each of its seconds.
func (g *gate) open() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	seconds := make([]int, 1+int(time.Since(g.closed)/time.Second))
	for _, at := range g.away {
		seconds[int(at.Sub(g.closed)/time.Second)]++
	}
	g.closed = time.Time{}
	return seconds
}
