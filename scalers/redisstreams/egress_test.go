package redisstreams

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"autoscale.io/scalers"
	"autoscale.io/scalers/egress"
	"autoscale.io/scalers/scalertest"
)

// opened opens a trigger with the dialer.
func opened(t *testing.T, dial scalers.DialContext, trigger string) *scalers.Source {
	t.Helper()
	registry := newRegistry(t, scalers.Env{Dial: dial})
	result := decode(t, registry, "1", "{type: redis-streams, target: 5, stream: s, consumerGroup: g, "+trigger+"}")
	if len(result.Faults) > 0 {
		t.Fatalf("%s: %v", trigger, result.Faults)
	}
	source, err := registry.Open(t.Context(), scalers.Host{Namespace: "ns", MaxReplicas: 10}, result.Workload.Triggers[0], texts{})
	if err != nil {
		t.Fatalf("%s: %v", trigger, err)
	}
	return source
}

// attempt opens a trigger, reads it once and closes it.
func attempt(t *testing.T, dial scalers.DialContext, trigger string) error {
	t.Helper()
	source := opened(t, dial, trigger)
	defer scalertest.Close(t, source)
	_, err := source.Read(within(t))
	return err
}

// recorder dials as the product does, and knows what became of it.
type recorder struct {
	mu       sync.Mutex
	failures map[string]string
}

func (r *recorder) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := scalertest.Fenced(ctx, network, address)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures == nil {
		r.failures = map[string]string{}
	}
	r.failures[address] = fmt.Sprint(err)
	return conn, err
}

// failure is how the last dial of an address ended; empty when there was none.
func (r *recorder) failure(address string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures[address]
}

func refusal(address string) string { return (&egress.RefusedError{Address: address}).Error() }

// A scaler that was given no dialer has the strictest.
func TestZeroEnvReachesNoLoopback(t *testing.T) {
	canary := scalertest.MustCanary(t, "127.0.0.1")
	for _, mode := range []string{"standalone", "cluster", "sentinel, sentinelMaster: m"} {
		err := attempt(t, nil, fmt.Sprintf("mode: %s, address: %q", mode, canary.Addr()))
		if err == nil || !strings.Contains(err.Error(), refusal(canary.Addr())) {
			t.Errorf("%s: got %v", mode, err)
		}
	}
	canary.WantUntouched(t)
}

// AU-05: the nodes that a server names are no more trusted than what the annotation names.
func TestNodesThatAServerNames(t *testing.T) {
	canary := scalertest.MustCanary(t, "127.0.0.2")
	_, port, err := net.SplitHostPort(canary.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.2", "169.254.169.254", "::1", "::ffff:127.0.0.2", "0.0.0.0", "/var/run/redis.sock"} {
		named := net.JoinHostPort(host, port)
		unknown := "-ERR unknown command\r\n"
		slots := func(host, port string) string {
			return array(array(":0\r\n", ":16383\r\n", array(bulk(host), ":"+port+"\r\n", bulk("id"))))
		}
		var own atomic.Value // a client of the turn before may still ask
		redirecting := func(redirect string) func(string) string {
			return func(command string) string {
				switch {
				case command == "cluster slots":
					host, port, _ := net.SplitHostPort(own.Load().(string))
					return slots(host, port)
				case strings.HasPrefix(strings.ToLower(command), "xinfo"):
					return "-" + redirect + " 1 " + named + "\r\n"
				}
				return unknown
			}
		}
		for name, server := range map[string]struct {
			mode   string
			answer func(command string) string
		}{
			"slots": {"cluster", func(command string) string {
				if command == "cluster slots" {
					return slots(host, port)
				}
				return unknown
			}},
			"moved": {"cluster", redirecting("MOVED")},
			"ask":   {"cluster", redirecting("ASK")},
			"master": {"sentinel, sentinelMaster: m", func(command string) string {
				if strings.HasPrefix(command, "sentinel get-master-addr-by-name") {
					return array(bulk(host), bulk(port))
				}
				return unknown
			}},
		} {
			own.Store(fake(t, server.answer))
			dials := &recorder{}
			err := attempt(t, dials.dial, fmt.Sprintf("mode: %s, address: %q", server.mode, own.Load()))
			if err == nil {
				t.Errorf("%s of %s: read from nowhere", name, named)
			}
			// A path is no host; as a socket it is refused, and as a name it does not resolve.
			if got, want := dials.failure(named), refusal(named); got != want && !strings.HasPrefix(host, "/") {
				t.Errorf("%s of %s:\ngot  %s\nwant %s", name, named, got, want)
			}
		}
	}
	canary.WantUntouched(t)
}

// Sentinels that a sentinel names are asked when the first one is gone.
func TestSentinelsThatASentinelNames(t *testing.T) {
	canary := scalertest.MustCanary(t, "127.0.0.2")
	host, port, err := net.SplitHostPort(canary.Addr())
	if err != nil {
		t.Fatal(err)
	}
	named := make(chan struct{}, 100)
	own := fake(t, func(command string) string {
		switch {
		case strings.HasPrefix(command, "sentinel get-master-addr-by-name"):
			select {
			case <-named:
				// It has told of the other, and now it knows nothing any more.
				return "*-1\r\n"
			default:
				return array(bulk("169.254.169.254"), bulk(port))
			}
		case strings.HasPrefix(command, "sentinel sentinels"):
			named <- struct{}{}
			named <- struct{}{}
			named <- struct{}{}
			return array(array(bulk("ip"), bulk(host), bulk("port"), bulk(port)))
		}
		return "-ERR unknown command\r\n"
	})
	source := opened(t, scalertest.Fenced, fmt.Sprintf("mode: sentinel, sentinelMaster: m, address: %q", own))
	defer scalertest.Close(t, source)
	asked := false
	for range 4 {
		_, err := source.Read(within(t))
		if err == nil {
			t.Fatal("read from nowhere")
		}
		asked = asked || strings.Contains(err.Error(), refusal(canary.Addr()))
	}
	if !asked {
		t.Error("the named sentinel was never tried; the test proves nothing")
	}
	canary.WantUntouched(t)
}

// AU-05: what answers without being a Redis server is not quoted.
func TestForeignAnswersAreNotQuoted(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 400 canary\r\n\r\ncanary", "220 canary ESMTP\r\n", "SSH-2.0-canary\r\n", "*canary\r\n", ":canary\r\n", "$canary\r\n", "+canary\r\n", "%canary\r\n",
		"#canary\r\n", ",canary\r\n", "(canary\r\n", "*1\r\n*1\r\n+canary\r\n", "=10\r\ncanarycana\r\n",
	} {
		address := fake(t, func(string) string { return answer })
		for _, mode := range []string{"standalone", "cluster", "sentinel, sentinelMaster: m"} {
			err := attempt(t, scalertest.Dial, fmt.Sprintf("mode: %s, address: %q", mode, address))
			if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "HTTP") {
				t.Errorf("%q, %s: got %v", answer, mode, err)
			}
		}
	}
	const want = `XINFO GROUPS on stream "s": what answers is no Redis server; want the address of one`
	err := attempt(t, scalertest.Dial, fmt.Sprintf("address: %q", fake(t, func(string) string { return "HTTP/1.1 400 canary\r\n\r\n" })))
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
