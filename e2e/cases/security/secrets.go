package security

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
)

func secretCases() []world.Case {
	return []world.Case{
		{ID: "AU-03", Symptom: "a failure puts the password into the log, an event or a metric", Holds: "nobody finds it anywhere, whatever fails, at the most talkative log level", In: world.Test, Run: secretsStaySecret},
	}
}

// canary is what all secrets of the case hold beside characters that are escaped in a URL, so that it is found however the rest is written.
const (
	canary       = "Zq7xCanaryKw"
	canarySecret = "p@" + canary + "/%41#?&x"
)

// sources are the ways to give a secret to each scaler. HOST and PORT stand for the server's, TLS for what turns TLS on, and WAY for the way to fail.
func sources() map[string]string {
	const query = "target: 1, interval: 1s, query: select 1"
	return map[string]string{
		"redis":        `{type: redis-streams, address: "HOST:PORT", stream: s, target: 1, passwordFrom: {secret: canary, key: password}TLS}`,
		"redis-user":   `{type: redis-streams, address: "HOST:PORT", stream: s, target: 1, username: u, passwordFrom: {secret: canary, key: password}TLS}`,
		"sentinel":     `{type: redis-streams, mode: sentinel, sentinelMaster: m, address: "HOST:PORT", stream: s, target: 1, sentinelPasswordFrom: {secret: canary, key: password}, passwordFrom: {secret: canary, key: password}TLS}`,
		"cluster":      `{type: redis-streams, mode: cluster, address: "HOST:PORT", stream: s, target: 1, passwordFrom: {secret: canary, key: password}TLS}`,
		"postgres":     `{type: postgres, host: HOST, port: PORT, username: reader, passwordFrom: {secret: canary, key: password}, sslmode: disable, ` + query + `TLS}`,
		"postgres-url": `{type: postgres, connectionFrom: {secret: canary, key: WAY-postgres}, ` + query + `TLS}`,
		"postgres-bad": `{type: postgres, connectionFrom: {secret: canary, key: postgres-malformed}, ` + query + `}`,
		"mysql":        `{type: mysql, host: HOST, port: PORT, username: reader, passwordFrom: {secret: canary, key: password}, ` + query + `TLS}`,
		"mysql-dsn":    `{type: mysql, connectionFrom: {secret: canary, key: WAY-mysql}, ` + query + `TLS}`,
		"mysql-bad":    `{type: mysql, connectionFrom: {secret: canary, key: mysql-malformed}, ` + query + `}`,
	}
}

// leaky is the second autoscaler of the case, which says all that it can.
type leaky struct {
	*world.World
	scaler *product.Autoscaler
	// servers are the addresses by the part of the name of a source before the hyphen.
	servers map[string]string
	secret  map[string]string
	names   []string
}

func secretsStaySecret(t *testing.T, w *world.World) {
	redis := servers.MustRedis(t, servers.RedisOptions{Password: "right-and-unlike"})
	mysql := servers.MustMySQL(t, servers.MySQLOptions{})
	w.Exec(mysql.DB(), "create user reader identified by 'right-and-unlike'")
	l := &leaky{World: w, secret: map[string]string{"password": canarySecret, "postgres-malformed": "postgres://reader:" + canarySecret + "@h/d/e", "mysql-malformed": "reader:" + canarySecret + "@h"}}
	l.servers = map[string]string{"redis": redis.Addr(), "sentinel": redis.Addr(), "cluster": redis.Addr(), "postgres": w.Postgres(1).Addr(), "mysql": mysql.Addr()}
	var err error
	// A level says all that a quieter one says, so the most talkative stands for every one.
	l.scaler, err = w.Product.Start(t.Context(), "leaky", append(world.Flags(), "--class=leaky", "--log-level=debug", "--webhook=false")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.scaler.Stop(); err != nil {
			t.Error(err)
		}
	})
	l.fail("login", "", "")
	l.fail("refused", w.ClosedAddress(), "")
	l.fail("unknown", "nowhere.invalid:1234", "")
	l.fail("tls", "", ", tls: {enabled: true}")
	if _, err := w.Kube.CoreV1().Secrets(w.Namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "canary"}, StringData: l.secret}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range l.names {
		w.AwaitEvent(name, "TriggerUnknown", ".")
	}
	l.search(t)
	l.refusals(t)
}

// fail creates a workload for each source that fails in that way.
func (l *leaky) fail(way, address, tls string) {
	l.T.Helper()
	for name, trigger := range sources() {
		kind, _, _ := strings.Cut(name, "-")
		at := address
		if at == "" {
			at = l.servers[kind]
		}
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			l.T.Fatal(err)
		}
		mode := " sslmode=disable"
		if tls != "" {
			mode, trigger = "", strings.ReplaceAll(trigger, "sslmode: disable, ", "")
		}
		switch kind {
		case "postgres":
			l.secret[way+"-postgres"] = fmt.Sprintf("host=%s port=%s user=reader password='%s'%s", host, port, canarySecret, mode)
		case "mysql":
			l.secret[way+"-mysql"] = fmt.Sprintf("reader:%s@tcp(%s)/app", canarySecret, at)
		}
		object := way + "-" + name
		l.names = append(l.names, object)
		l.Create(object, 1, world.Quick(world.Settings{"class": "leaky", "trigger.source": strings.NewReplacer("HOST", host, "PORT", port, "TLS", tls, "WAY", way).Replace(trigger)}))
	}
}

// search looks through everything that the autoscaler has said and written.
func (l *leaky) search(t *testing.T) {
	t.Helper()
	log, err := os.ReadFile(l.scaler.Log())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), `"level":"DEBUG"`) {
		t.Error("the log has no line at the level debug, so nothing is proven")
	}
	metrics, err := l.scaler.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events, err := l.Kube.EventsV1().Events(l.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	deployments, err := l.Kube.AppsV1().Deployments(l.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for what, object := range map[string]any{"the log": string(log), "the metrics": metrics, "the events": events.Items, "the workloads": deployments.Items} {
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		wantNoCanary(t, what, string(text))
	}
	if others, err := os.ReadFile(l.World.Scaler.Log()); err != nil || strings.Contains(string(others), canary) {
		t.Errorf("the log of the other autoscaler has a secret, or cannot be read: %v", err)
	}
}

func wantNoCanary(t *testing.T, what, text string) {
	t.Helper()
	for _, line := range regexp.MustCompile(`(?i).*`+canary+`.*`).FindAllString(text, 3) {
		t.Errorf("%s: %s", what, line)
	}
}

// refusals are what the webhook says of annotations that hold the secret themselves.
func (l *leaky) refusals(t *testing.T) {
	t.Helper()
	for i, trigger := range []string{
		"{type: postgres, target: 1, query: select 1, connection: 'postgres://u:" + canarySecret + "@h/d', lagcount: 1}",
		"{type: postgres, target: 1, query: select 1, connection: 'host=h password=" + canary + "'}",
		"{type: mysql, target: 1, query: select 1, connection: 'u:" + canarySecret + "@unix(/s)/d'}",
		"{type: redis-streams, target: 1, stream: s, address: 'redis://:" + canarySecret + "@redis:6379'}",
		"{type: redis-streams, target: 1, stream: s, address: 'redis:6379', password: [" + canary + "]}",
	} {
		d := l.Deployment(fmt.Sprint("refused-", i), 1, world.Quick(world.Settings{"trigger.source": trigger}))
		_, err := l.Kube.AppsV1().Deployments(l.Namespace).Create(t.Context(), d, metav1.CreateOptions{})
		if err == nil {
			t.Errorf("%d was accepted; want it refused", i)
			continue
		}
		wantNoCanary(t, "the refusal", err.Error())
	}
}
