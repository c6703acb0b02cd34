package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"autoscale.io/scalers/scalertest/ports"
)

// Mode is what a Proxy does to the connections that pass through it.
type Mode int

const (
	// Pass forwards bytes both ways, as if the proxy were not there.
	Pass Mode = iota
	// Refuse closes every connection and the port: a connect is refused.
	Refuse
	// Reset cuts every connection, and new ones as soon as the client sends something.
	Reset
	// Silent accepts connections and swallows every byte, on connections that exist too. Those are lost when the mode ends.
	Silent
	// Freeze holds every byte back, on connections that exist too. When the mode ends, the bytes go on their way.
	Freeze
)

// Proxy is a TCP proxy on a loopback port that can fail in the ways that networks do.
type Proxy struct {
	proxy *toxiproxy.Proxy
	port  *ports.Port
}

// MustProxy is StartProxy for a test: it ends with the test.
func MustProxy(tb TB, upstream string) *Proxy {
	tb.Helper()
	proxy, err := StartProxy(upstream)
	return must(tb, proxy, err)
}

// StartProxy forwards a loopback port to the upstream host:port, in mode Pass. The upstream must be reachable whenever a client connects, in every mode
// but Refuse.
func StartProxy(upstream string) (*Proxy, error) {
	port, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &Proxy{proxy: toxiproxy.NewProxy(server, "proxy", port.String(), upstream), port: port}
	if err := p.proxy.Start(); err != nil {
		port.Release()
		return nil, fmt.Errorf("proxy to %s: %w", upstream, err)
	}
	return p, nil
}

// Addr is the host:port that clients connect to; it stays the same in every mode.
func (p *Proxy) Addr() string { return p.port.String() }

// Set changes the mode.
func (p *Proxy) Set(mode Mode) error {
	p.reset()
	switch mode {
	case Refuse:
		p.proxy.Stop()
		return nil
	case Reset:
		p.proxy.Stop()
		if err := p.toxic("reset_peer", "upstream", map[string]int64{"timeout": 0}); err != nil {
			return err
		}
		return p.listen()
	}
	if err := p.listen(); err != nil {
		return err
	}
	switch mode {
	case Silent:
		return p.both("timeout", map[string]int64{"timeout": 0})
	case Freeze:
		return p.both("latency", map[string]int64{"latency": (24 * time.Hour).Milliseconds()})
	}
	return nil
}

// SetLatency forwards bytes with this delay on the way back, in steps of a millisecond.
func (p *Proxy) SetLatency(delay time.Duration) error {
	p.reset()
	if err := p.listen(); err != nil {
		return err
	}
	return p.toxic("latency", "downstream", map[string]int64{"latency": delay.Milliseconds()})
}

// Stop closes the port and every connection. It may be called twice.
func (p *Proxy) Stop() {
	p.reset()
	p.proxy.Stop()
	p.port.Release()
}

func (p *Proxy) reset() { p.proxy.Toxics.ResetToxics(context.Background()) }

// listen opens the port if it is closed.
func (p *Proxy) listen() error {
	p.proxy.Lock()
	open := p.proxy.Enabled
	p.proxy.Unlock()
	if open {
		return nil
	}
	if err := p.proxy.Start(); err != nil {
		return fmt.Errorf("proxy on %s: %w", p.port, err)
	}
	return nil
}

func (p *Proxy) both(kind string, attributes map[string]int64) error {
	for _, stream := range []string{"upstream", "downstream"} {
		if err := p.toxic(kind, stream, attributes); err != nil {
			return err
		}
	}
	return nil
}

// toxic adds one of toxiproxy's faults to a direction; it is configured as JSON, as over toxiproxy's own API.
func (p *Proxy) toxic(kind, stream string, attributes map[string]int64) error {
	body, err := json.Marshal(map[string]any{"type": kind, "stream": stream, "attributes": attributes})
	if err != nil {
		return fmt.Errorf("proxy fault %s: %w", kind, err)
	}
	if _, err := p.proxy.Toxics.AddToxicJson(bytes.NewReader(body)); err != nil {
		return fmt.Errorf("proxy fault %s: %w", kind, err)
	}
	return nil
}
