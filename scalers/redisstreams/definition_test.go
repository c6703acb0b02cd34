package redisstreams

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
)

func TestContract(t *testing.T) {
	const password = "correct-horse-42"
	server := servers.MustRedis(t, servers.RedisOptions{Password: password})
	work(t, server.Client())
	for name, address := range map[string]string{"address": "address: ADDRESS", "hosts and ports": "hosts: HOST, ports: PORT"} {
		t.Run(name, func(t *testing.T) {
			scalertest.Run(t, scalertest.Suite{
				Definition: Definition,
				Address:    server.Addr(),
				Trigger:    "{type: redis-streams, " + address + ", passwordFrom: SECRET, stream: s, consumerGroup: g, target: 1}",
				Password:   password,
				Want:       5,
			})
		})
	}
}

// decode reads one trigger of a workload with these bounds.
func decode(t *testing.T, registry *scalers.Registry, minReplicas, trigger string) annotations.Result {
	t.Helper()
	return annotations.Decode(map[string]string{
		"autoscale.io/min-replicas": minReplicas,
		"autoscale.io/max-replicas": "10",
		"autoscale.io/trigger.t":    trigger,
	}, registry)
}

func newRegistry(t *testing.T, env scalers.Env) *scalers.Registry {
	t.Helper()
	registry, err := scalers.NewRegistry(Definition(env))
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

func TestFaults(t *testing.T) {
	const ok = "type: redis-streams, target: 5, stream: s, address: 'redis:6379', consumerGroup: g"
	const where = "type: redis-streams, target: 5, stream: s, consumerGroup: g"
	for _, test := range []struct {
		name, min, trigger string
		faults, warnings   []string
	}{
		{name: "whole", trigger: ok},
		{name: "several nodes", trigger: where + ", mode: cluster, address: 'a:1,b:2'"},
		{name: "several nodes as a list", trigger: where + ", mode: cluster, address: [a:1, 'b:2', '[::1]:3']"},
		{name: "sentinel", trigger: where + ", mode: sentinel, address: 'a:26379', sentinelMaster: m"},
		{name: "hosts and ports", trigger: where + ", hosts: 'redis', ports: 6379"},
		{name: "references", trigger: where + ", addressFromEnv: REDIS, passwordFrom: {secret: s, key: p}, username: u, tls: {caFrom: {configMap: c, key: ca.crt}}"},

		{name: "no address", trigger: where, faults: []string{"address: missing; want host:port, such as redis:6379"}},
		{name: "no stream", trigger: "type: redis-streams, target: 5, address: 'redis:6379', consumerGroup: g", faults: []string{"stream: missing; want a text"}},
		{name: "no port", trigger: where + ", address: redis", faults: []string{"address: got redis, want host:port, such as redis:6379"}},
		{name: "no host", trigger: where + ", address: ':6379'", faults: []string{"address: got :6379, want host:port, such as redis:6379"}},
		{name: "port too great", trigger: where + ", address: 'redis:66379'", faults: []string{"address: got redis:66379, want host:port, such as redis:6379"}},
		{name: "a URL", trigger: where + ", address: 'redis://:canary@redis:6379/0'", faults: []string{
			"address: got a URL or a path, want host:port, such as redis:6379; the user and the password go into username and password",
		}},
		{name: "a socket", trigger: where + ", address: /run/redis.sock", faults: []string{
			"address: got a URL or a path, want host:port, such as redis:6379; the user and the password go into username and password",
		}},
		{name: "two addresses of one server", trigger: where + ", address: 'a:1,b:2'", faults: []string{"address: got 2, want one; several are for mode cluster or sentinel"}},
		{name: "both forms", trigger: ok + ", hosts: redis, ports: 6379", faults: []string{"address: given beside hosts and ports; want one of the two forms"}},
		{name: "hosts alone", trigger: where + ", hosts: redis", faults: []string{"ports: missing; want as many ports as hosts"}},
		{name: "ports alone", trigger: where + ", ports: 6379", faults: []string{"hosts: missing; want as many hosts as ports"}},
		{name: "too few ports", trigger: where + ", mode: cluster, hosts: 'a,b', ports: 6379", faults: []string{"ports: got 1 for 2 hosts; want as many ports as hosts"}},
		{name: "a bad port", trigger: where + ", hosts: a, ports: x", faults: []string{"hosts: got a:x, want host:port, such as redis:6379"}},
		{name: "mode", trigger: ok + ", mode: ring", faults: []string{`mode: got "ring", want one of standalone, sentinel, cluster`}},
		{name: "no master", trigger: where + ", mode: sentinel, address: 'a:1'", faults: []string{"sentinelMaster: missing; want the name that the sentinels know the master by"}},
		{name: "sentinel parameters elsewhere", trigger: ok + ", sentinelMaster: m, sentinelUsername: u, sentinelPasswordFromEnv: P", faults: []string{
			"sentinelMaster: has no meaning in mode standalone; want mode: sentinel",
			"sentinelPassword: has no meaning in mode standalone; want mode: sentinel",
			"sentinelUsername: has no meaning in mode standalone; want mode: sentinel",
		}},
		{name: "database of a cluster", trigger: ok + ", mode: cluster, database: 3", faults: []string{"database: got 3, want 0; a cluster has no other"}},
		{name: "database below 0", trigger: ok + ", database: -1", faults: []string{`database: got "-1", want a whole number ≥ 0`}},
		{name: "user without password", trigger: ok + ", username: u", faults: []string{"password: missing; want the password of username"}},
		{name: "sentinel user without password", trigger: where + ", mode: sentinel, address: 'a:1', sentinelMaster: m, sentinelUsername: u", faults: []string{
			"sentinelPassword: missing; want the password of sentinelUsername",
		}},
		{name: "measure", trigger: ok + ", measure: entries", faults: []string{`measure: got "entries", want one of backlog, lag, pending, length`}},
		{name: "lag without group", trigger: "type: redis-streams, target: 5, stream: s, address: 'redis:6379', measure: lag", faults: []string{
			"consumerGroup: missing; measure lag counts the work of a consumer group",
		}},
		{name: "RS-08 pending from zero", min: "0", trigger: ok + ", measure: pending", faults: []string{
			"measure: got pending with a workload that may go to zero, which it could not wake: nothing becomes pending until somebody reads; want backlog, or min-replicas ≥ 1",
		}},
		{name: "RS-09 pending", trigger: ok + ", measure: pending", warnings: []string{
			"measure: pending never exceeds what the consumers hold, however many entries wait; backlog counts both",
		}},
		{name: "length by default", trigger: "type: redis-streams, target: 5, stream: s, address: 'redis:6379'", warnings: []string{
			"measure: length counts every entry that the stream keeps, read or not, and falls only when entries are deleted or trimmed; backlog counts the work of a consumerGroup",
		}},
		{name: "no verification", trigger: ok + ", tls: {insecureSkipVerify: true}", warnings: []string{
			"tls.insecureSkipVerify: any certificate is accepted; credentials go to whoever answers",
		}},
		{name: "certificate without key", trigger: ok + ", tls: {cert: x}", faults: []string{"tls.key: missing; want the private key of cert"}},
		{name: "misspelt", trigger: ok + ", lagcount: 3", faults: []string{"unknown parameter lagcount; did you mean lagCount?"}},
		{name: "timeout", trigger: ok + ", pendingTimeout: -1s", faults: []string{`pendingTimeout: got "-1s", want a duration such as 30s or 5m ≥ 0s`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.min == "" {
				test.min = "1"
			}
			result := decode(t, newRegistry(t, scalers.Env{}), test.min, "{"+test.trigger+"}")
			compareTexts(t, "faults", result.Faults, test.faults)
			compareTexts(t, "warnings", result.Warnings, test.warnings)
		})
	}
}

func compareTexts(t *testing.T, what string, got annotations.Faults, want []string) {
	t.Helper()
	var texts []string
	for _, text := range got.Texts() {
		texts = append(texts, strings.TrimPrefix(text, "autoscale.io/trigger.t: "))
	}
	if strings.Join(texts, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\ngot  %q\nwant %q", what, texts, want)
	}
}

// The metadata of KEDA's documentation can be pasted.
func TestKEDASpellings(t *testing.T) {
	const where = "address: 'redis.ns.svc:6379', stream: s, consumerGroup: g"
	for _, test := range []struct {
		name, trigger string
		measure       string
		target        float64
		activation    float64
		mode          string
	}{
		{"pending", "type: redis-streams, pendingEntriesCount: '10', " + where, "pending", 10, 0, ""},
		{"length", "type: redis-streams, streamLength: '7', address: 'redis.ns.svc:6379', stream: s", "length", 7, 0, ""},
		{"lag", "type: redis-streams, lagCount: '5', activationLagCount: '3', databaseIndex: '0', enableTLS: 'false', " + where, "lag", 5, 3, ""},
		{"a measure of ours beside", "type: redis-streams, lagCount: '5', measure: backlog, " + where, "backlog", 5, 0, ""},
		{"cluster", "type: redis-cluster-streams, lagCount: '5', addresses: 'a:1,b:2', stream: s, consumerGroup: g", "lag", 5, 0, "cluster"},
		{"sentinel", "type: redis-sentinel-streams, lagCount: '5', hosts: 'a,b', ports: '1,2', sentinelMaster: m, stream: s, consumerGroup: g", "lag", 5, 0, "sentinel"},
		{"TLS", "type: redis-streams, lagCount: '5', enableTLS: 'true', unsafeSsl: 'true', caFromEnv: CA, certFromEnv: C, keyFromEnv: K, " + where, "lag", 5, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := decode(t, newRegistry(t, scalers.Env{}), "1", "{"+test.trigger+"}")
			if len(result.Faults) > 0 {
				t.Fatal(result.Faults)
			}
			trigger := result.Workload.Triggers[0]
			if trigger.Type != "redis-streams" || trigger.Target != test.target || trigger.Activation != test.activation ||
				trigger.Given["measure"].Text != test.measure || trigger.Given["mode"].Text != test.mode {
				t.Errorf("got %+v", trigger)
			}
		})
	}
}

// texts resolves references by key.
type texts map[string]string

func (r texts) Resolve(_ context.Context, ref schema.Ref) (string, error) { return r[ref.Key], nil }

// What could not be seen at admission, because it is given by reference, is a fault of opening; a value from a Secret is not quoted.
func TestOpenFaults(t *testing.T) {
	registry := newRegistry(t, scalers.Env{Dial: scalertest.Dial})
	for _, test := range []struct {
		trigger, want string
		refs          texts
	}{
		{
			"stream: s, consumerGroup: g, addressFrom: {secret: s, key: a}", "address: got <redacted>, want host:port, such as redis:6379",
			texts{"a": "canary"},
		},
		{
			"stream: s, consumerGroup: g, addressFrom: {secret: s, key: a}",
			"address: got a URL or a path, want host:port, such as redis:6379; the user and the password go into username and password",
			texts{"a": "redis://:canary@redis:6379"},
		},
		{
			"stream: s, consumerGroup: g, address: 'redis:6379', tls: {caFrom: {configMap: c, key: ca}}",
			"tls.ca: holds no certificate; want PEM text that begins with -----BEGIN CERTIFICATE-----",
			texts{"ca": "canary"},
		},
		{
			"stream: s, consumerGroup: g, address: 'redis:6379', databaseFrom: {configMap: c, key: d}",
			"database: key d of ConfigMap c holds a value that does not fit; want a whole number ≥ 0",
			texts{"d": "canary"},
		},
	} {
		result := decode(t, registry, "1", "{type: redis-streams, target: 5, "+test.trigger+"}")
		if len(result.Faults) > 0 {
			t.Fatal(result.Faults)
		}
		_, err := registry.Open(t.Context(), scalers.Host{Namespace: "ns", MaxReplicas: 10}, result.Workload.Triggers[0], test.refs)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\ngot  %v\nwant %s", test.trigger, err, test.want)
		}
	}
}

// AU-10: everything that changes who asks, whom, or who is trusted, keeps clients apart; nothing else does.
func TestIdentity(t *testing.T) {
	base := func() *params {
		return &params{Address: []string{"a:1"}, Mode: Standalone, Username: "u", Password: "p", Stream: "s", ConsumerGroup: "g"}
	}
	key := func(change func(*params)) [32]byte {
		p := base()
		change(p)
		return p.identity(ClientOptions{
			Mode: p.Mode, Addresses: p.endpoints(), Username: p.Username, Password: p.Password, Database: int(p.Database),
			SentinelMaster: p.SentinelMaster, SentinelUsername: p.SentinelUsername, SentinelPassword: p.SentinelPassword,
		})
	}
	same := key(func(*params) {})
	on := true
	for name, change := range map[string]func(*params){
		"address":           func(p *params) { p.Address = []string{"b:1"} },
		"addresses":         func(p *params) { p.Address = []string{"a:1", "b:1"} },
		"mode":              func(p *params) { p.Mode = Cluster },
		"username":          func(p *params) { p.Username = "v" },
		"password":          func(p *params) { p.Password = "q" },
		"moved letter":      func(p *params) { p.Username, p.Password = "up", "" },
		"database":          func(p *params) { p.Database = 1 },
		"master":            func(p *params) { p.SentinelMaster = "m" },
		"sentinel user":     func(p *params) { p.SentinelUsername = "m" },
		"sentinel password": func(p *params) { p.SentinelPassword = "m" },
		"tls":               func(p *params) { p.TLS.Enabled = &on },
		"ca":                func(p *params) { p.TLS.CA = "x" },
		"cert":              func(p *params) { p.TLS.Cert = "x" },
		"key":               func(p *params) { p.TLS.Key = "x" },
		"server name":       func(p *params) { p.TLS.ServerName = "x" },
		"skip":              func(p *params) { p.TLS.InsecureSkipVerify = true },
	} {
		if key(change) == same {
			t.Errorf("%s: another one shares the client", name)
		}
	}
	for name, change := range map[string]func(*params){
		"stream":  func(p *params) { p.Stream = "other" },
		"group":   func(p *params) { p.ConsumerGroup = "other" },
		"measure": func(p *params) { p.Measure = Lag },
	} {
		if key(change) != same {
			t.Errorf("%s: does not share the client", name)
		}
	}
}

func TestLimitCoversTargetAndActivation(t *testing.T) {
	for _, test := range []struct {
		max                int32
		target, activation float64
		want               int64
	}{
		{10, 10, 0, 101}, {3, 0.5, 0, 3}, {10, 1, 500, 501}, {1, 1, 0.5, 2}, {1 << 30, 1e300, 0, 1<<63 - 1},
	} {
		host := scalers.Host{MaxReplicas: test.max, Trigger: annotations.Common{Target: test.target, Activation: test.activation}}
		if got := limit(host); got != test.want {
			t.Errorf("%+v: got %d", test, got)
		}
	}
}

// A host without a dot is a Service of the workload's namespace, in every form of address.
func TestHostsAreServicesOfTheNamespace(t *testing.T) {
	dialled := make(chan string, 10)
	registry := newRegistry(t, scalers.Env{Dial: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		dialled <- address
		return nil, fmt.Errorf("no route to %s", address)
	}})
	for trigger, want := range map[string]string{
		"address: 'redis:6379'":           "redis.shop.svc:6379",
		"hosts: redis, ports: 6379":       "redis.shop.svc:6379",
		"address: 'redis.other.svc:6379'": "redis.other.svc:6379",
		"address: '[::1]:6379'":           "[::1]:6379",
	} {
		result := decode(t, registry, "1", "{type: redis-streams, target: 5, stream: s, consumerGroup: g, "+trigger+"}")
		if len(result.Faults) > 0 {
			t.Fatal(result.Faults)
		}
		source, err := registry.Open(t.Context(), scalers.Host{Namespace: "shop", MaxReplicas: 10}, result.Workload.Triggers[0], texts{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = source.Read(within(t))
		if wantErr := `XINFO GROUPS on stream "s": no route to ` + want; err == nil || err.Error() != wantErr {
			t.Errorf("%s: got %v, want %s", trigger, err, wantErr)
		}
		if got := <-dialled; got != want {
			t.Errorf("%s: dialled %s, want %s", trigger, got, want)
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}
}
