package security

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
)

func egressCases() []world.Case {
	return []world.Case{
		{ID: "AU-04", Symptom: "an annotation names a file or a socket, and the autoscaler opens it with its own rights", Holds: "nothing that a tenant writes is opened", In: world.Test, Run: tenantPaths},
		{ID: "AU-05", Symptom: "a trigger makes the autoscaler call internal services, and reads their answers in its errors", Holds: "loopback, link-local and the API server are refused; answers are not quoted", In: world.Test, Run: forgedRequests},
		{ID: "AU-06", Symptom: "the autoscaler needs to read every Secret, and scales nothing without", Holds: "a trigger without Secrets works without rights to them; a Secret is read by name, where it is bound", In: world.Test, Alone: true, Refused: true, Run: leastSecrets},
		{ID: "AU-09", Symptom: "a Secret is read from another namespace", Holds: "the own namespace is the only one that is read, whatever the name", In: world.Test, Run: foreignSecrets},
		{ID: "AU-10", Symptom: "workloads of one host share a connection, and one reads with the other's login", Holds: "each reads with its own user, password and database", In: world.Test, Run: sharedHost},
	}
}

// held creates a Deployment whose trigger cannot be read, and waits until it says so.
func held(w *world.World, name, trigger, pattern string) {
	w.T.Helper()
	w.Create(name, 2, world.Quick(world.Settings{"cooldown": "1s", "trigger.source": trigger}))
	w.AwaitEvent(name, "TriggerUnknown", pattern)
}

// secretOf creates a Secret of the case with the key dsn.
func secretOf(w *world.World, name, connection string) {
	w.T.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"dsn": connection}}
	if _, err := w.Kube.CoreV1().Secrets(w.Namespace).Create(w.T.Context(), secret, metav1.CreateOptions{}); err != nil {
		w.T.Fatal(err)
	}
}

// tenantPaths has a socket that counts who connects and a pipe that tells whether somebody has opened it, and names them in every way.
func tenantPaths(t *testing.T, w *world.World) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	connected := listenUnix(t, filepath.Join(dir, ".s.PGSQL.5432"))
	const postgres, mysql = "{type: postgres, target: 1, query: select 1, ", "{type: mysql, target: 1, query: select 1, "
	for name, trigger := range map[string]string{
		"rootcert": postgres + "connection: 'postgres://u:p@db/d?sslrootcert=" + pipe + "'}",
		"service":  postgres + "connection: 'host=db user=u servicefile=" + pipe + " service=x'}",
		"passfile": postgres + "connection: 'host=db user=u passfile=" + pipe + "'}",
		"pgsocket": postgres + "connection: 'host=" + dir + " user=u'}",
		"pghost":   postgres + "username: u, host: " + dir + "}",
		"mysocket": mysql + "connection: 'u:p@unix(" + filepath.Join(dir, ".s.PGSQL.5432") + ")/d'}",
		"infile":   mysql + "connection: 'u:p@tcp(db:3306)/d?allowAllFiles=true'}",
		"outfile":  "{type: mysql, target: 1, host: db, username: u, query: \"select 1 into outfile '" + pipe + "'\"}",
		"redis":    "{type: redis-streams, target: 1, stream: s, address: 'unix://" + filepath.Join(dir, ".s.PGSQL.5432") + "'}",
		"redis2":   "{type: redis-streams, target: 1, stream: s, hosts: ['" + dir + "'], ports: ['6379']}",
	} {
		w.WantRefused(w.Deployment(name, 2, world.Quick(world.Settings{"trigger.source": trigger})), `autoscale.io/trigger.source: (connection|host|hosts|address|query): `)
	}
	// The one name that is looked up among files, those of the database of time zones.
	for i, zone := range []string{pipe, "../../../../../.." + pipe, "Europe/../../../../../.." + pipe} {
		w.WantRefused(w.Deployment(fmt.Sprint("zone-", i), 2, world.Quick(world.Settings{"schedule.office": fmt.Sprintf("{start: 0 8 * * *, end: 0 9 * * *, min: 1, timezone: %q}", zone)})),
			`autoscale.io/schedule.office: timezone: got .*, want a name of the IANA database`)
	}
	for name, connection := range map[string]string{
		"postgres-rootcert": "postgres://u:p@db/d?sslrootcert=" + pipe, "postgres-socket": "host=" + dir + " user=u", "postgres-service": "service=x servicefile=" + pipe + " host=db user=u",
		"mysql-socket": "u:p@unix(" + filepath.Join(dir, ".s.PGSQL.5432") + ")/d", "mysql-infile": "u:p@tcp(db:3306)/d?allowAllFiles=true",
	} {
		kind, _, _ := strings.Cut(name, "-")
		secretOf(w, name, connection)
		held(w, name, fmt.Sprintf("{type: %s, target: 1, query: select 1, connectionFrom: {secret: %s, key: dsn}}", kind, name), "connection: the connection string .* (refused|which is refused)")
	}
	held(w, "ca", "{type: postgres, target: 1, query: select 1, host: db, username: u, tls: {ca: '"+pipe+"'}}", "tls.ca: holds no certificate; want PEM text")
	refused := []string{"postgres-socket", "mysql-socket", "ca"}
	w.AwaitDecisionsOf(2, refused...)
	for _, name := range refused {
		w.WantCounts(name, 2)
	}
	if n := connected(); n > 0 {
		t.Errorf("%d connections to a socket that an annotation names", n)
	}
	// A pipe that nobody reads cannot be opened for writing without waiting.
	if file, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); !errors.Is(err, syscall.ENXIO) {
		if err == nil {
			_ = file.Close()
		}
		t.Errorf("a file that an annotation names was opened: %v", err)
	}
}

// listenUnix counts who has connected to a socket, itself excepted.
func listenUnix(t *testing.T, path string) func() int {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{}, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- struct{}{}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return func() int {
		// What was accepted before our own connection is known once it was accepted, too.
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1))
		return len(accepted) - 1
	}
}

const notAllowed = " is not allowed: it is or leads to an address that scalers may not reach"

// forgedRequests runs where 127.0.0.1 alone is allowed, since the servers of the cases are there; the rest of loopback is as in an install.
func forgedRequests(t *testing.T, w *world.World) {
	api, err := url.Parse(w.Cluster.Config().Host)
	if err != nil {
		t.Fatal(err)
	}
	loopback, six := scalertest.MustCanary(t, "127.0.0.2"), scalertest.MustCanary(t, "::1")
	_, loopbackPort, _ := net.SplitHostPort(loopback.Addr())
	i := 0
	for _, address := range []string{
		loopback.Addr(), six.Addr(), "[::ffff:127.0.0.2]:" + loopbackPort, "0.0.0.0:" + loopbackPort, "169.254.169.254:80", "[fe80::1]:80", "[fd00:ec2::254]:80", api.Host,
	} {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		for _, trigger := range []string{
			fmt.Sprintf("{type: redis-streams, target: 1, stream: s, address: %q}", address),
			fmt.Sprintf("{type: redis-streams, target: 1, stream: s, mode: cluster, address: %q}", address),
			fmt.Sprintf("{type: redis-streams, target: 1, stream: s, mode: sentinel, sentinelMaster: m, address: %q}", address),
			fmt.Sprintf("{type: postgres, target: 1, query: select 1, username: u, sslmode: disable, host: %q, port: %s}", host, port),
			fmt.Sprintf("{type: mysql, target: 1, query: select 1, username: u, host: %q, port: %s}", host, port),
		} {
			i++
			held(w, fmt.Sprint("forged-", i), trigger, regexp.QuoteMeta("connecting to "+address)+notAllowed)
		}
	}
	w.AwaitDecisions("forged-1", 2)
	w.WantCounts("forged-1", 2)
	w.WantCounts(fmt.Sprint("forged-", i), 2)
	loopback.WantUntouched(t)
	six.WantUntouched(t)
	reflected(w, t)
}

// reflected has a service of another kind, whose answers must show nowhere.
func reflected(w *world.World, t *testing.T) {
	const answer = "canary-6b1f"
	var seen []string
	service := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		_, _ = io.WriteString(response, answer)
	}))
	defer service.Close()
	talkative := scalertest.MustSay(t, "HTTP/1.1 200 "+answer+"\r\n\r\n"+answer)
	for name, address := range map[string]string{"http": service.Listener.Addr().String(), "talkative": talkative} {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		held(w, name+"-redis", fmt.Sprintf("{type: redis-streams, target: 1, stream: s, address: %q}", address), "what answers is no Redis server")
		held(w, name+"-postgres", fmt.Sprintf("{type: postgres, target: 1, query: select 1, username: u, sslmode: disable, host: %q, port: %s}", host, port), ".")
		held(w, name+"-mysql", fmt.Sprintf("{type: mysql, target: 1, query: select 1, username: u, host: %q, port: %s}", host, port), ".")
		for _, kind := range []string{"-redis", "-postgres", "-mysql"} {
			seen = append(seen, w.Get(name + kind).Annotations[annotations.StatusKey])
		}
	}
	events, err := w.Kube.EventsV1().Events(w.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events.Items {
		seen = append(seen, event.Note)
	}
	metrics, err := w.Scaler.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(w.Scaler.Log())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(seen, metrics, string(log)) {
		if at := strings.Index(text, answer); at >= 0 {
			t.Errorf("an answer is quoted: %s", text[max(0, at-300):min(len(text), at+100)])
		}
	}
}

// leastSecrets takes the rights to Secrets away, and gives them back for one namespace.
func leastSecrets(t *testing.T, w *world.World) {
	wantAccess(w, map[string]bool{"get": true, "list": false, "watch": false, "update": false, "delete": false})
	bindings := w.Kube.RbacV1().ClusterRoleBindings()
	const name = "autoscaler-references"
	binding, err := bindings.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := bindings.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		binding.ResourceVersion, binding.UID = "", ""
		if _, err := bindings.Create(context.Background(), binding, metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
	})
	w.Await("no right to read Secrets", world.Soon, func(context.Context) error { return w.Access(secrets(w, "get"), false) })

	// Its pods use Secrets that the trigger does not.
	stream, client := w.Stream("s"), w.Redis.Client()
	w.Group(client, stream, "0")
	w.Add(client, stream, 20)
	d := w.Deployment("worker", 1, world.Quick(world.Settings{"trigger.jobs": w.Trigger(stream, world.Group)}))
	container := &d.Spec.Template.Spec.Containers[0]
	for i := range 5 {
		ref := corev1.LocalObjectReference{Name: fmt.Sprint("unused-", i)}
		container.Env = append(container.Env, corev1.EnvVar{Name: fmt.Sprint("E", i), ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: ref, Key: "k"}}})
		container.EnvFrom = append(container.EnvFrom, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: ref}})
	}
	w.CreateDeployment(d)
	w.AwaitReplicas("worker", 4, world.Soon)

	server := w.Postgres(3)
	w.Secret("db", world.Reads)
	held(w, "needy", w.SQLTrigger(server.Addr(), world.CountJobs), `password: read Secret `+w.Namespace+`/db: .*forbidden`)
	if _, err := w.Kube.RbacV1().RoleBindings(w.Namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: binding.RoleRef, Subjects: binding.Subjects,
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("needy", 3, world.Soon)
	w.WantCounts("needy", 2, 3)
}

// secrets is what is done to the Secrets of the case's namespace.
func secrets(w *world.World, verb string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Namespace: w.Namespace, Verb: verb, Resource: "secrets", Name: "any"}
}

func wantAccess(w *world.World, verbs map[string]bool) {
	w.T.Helper()
	for verb, want := range verbs {
		if err := w.Access(secrets(w, verb), want); err != nil {
			w.T.Error(err)
		}
	}
}

// foreignSecrets has a neighbour whose Secrets hold the passwords that would work.
func foreignSecrets(t *testing.T, w *world.World) {
	neighbour, err := w.Cluster.Namespace(t.Context(), "au-09-neighbour")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Cluster.DeleteNamespace(context.Background(), neighbour); err != nil {
			t.Error(err)
		}
	})
	server := w.Postgres(5)
	for namespace, secrets := range map[string]map[string]string{neighbour: {"db": world.Reads, "only-there": world.Reads}, w.Namespace: {"db": "not-the-password"}} {
		for name, password := range secrets {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"password": password}}
			if _, err := w.Kube.CoreV1().Secrets(namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	reading := func(secret string) world.Settings {
		trigger := strings.Replace(w.SQLTrigger(server.Addr(), world.CountJobs), "secret: db", fmt.Sprintf("secret: %q", secret), 1)
		return world.Quick(world.Settings{"cooldown": "1s", "trigger.source": trigger})
	}
	w.Create("reach", 2, reading("only-there"))
	w.AwaitEvent("reach", "TriggerUnknown", regexp.QuoteMeta("password: read Secret "+w.Namespace+"/only-there: "))
	w.AwaitDecisions("reach", 2)
	w.WantCounts("reach", 2)
	for _, name := range []string{neighbour + "/only-there", "../" + neighbour + "/only-there", "../../" + neighbour + "/secrets/only-there", neighbour + "%2Fonly-there", "only-there?namespace=" + neighbour} {
		w.WantRefused(w.Deployment("refused", 2, reading(name)), "autoscale.io/trigger.source: passwordFrom: secret is no name of an object; want one in the workload's own namespace, without the namespace before it")
	}
	held(w, "same-name", w.SQLTrigger(server.Addr(), world.CountJobs), "the server refused user reader or the password")
	w.WantCounts("same-name", 2)
	w.Secret("db", world.Reads)
	w.AwaitReplicas("same-name", 5, world.Soon)
}

// sharedHost has workloads that differ in one thing each, in both orders of creation.
func sharedHost(t *testing.T, w *world.World) {
	server := servers.MustPostgres(t, servers.PostgresOptions{})
	w.Exec(server.DB(), "create role reader login password '"+world.Reads+"'", "create role writer login password 'another-horse'",
		"create schema reader authorization reader", "create schema writer authorization writer",
		"create table reader.jobs as select generate_series(1, 3)", "create table writer.jobs as select generate_series(1, 6)", "create database other owner reader",
		"grant select on reader.jobs to reader", "grant select on writer.jobs to writer")
	w.Secret("db", world.Reads)
	w.Secret("other", "another-horse")
	reader := w.SQLTrigger(server.Addr(), world.CountJobs)
	writer := strings.NewReplacer("username: reader", "username: writer", "secret: db", "secret: other").Replace(reader)
	wrong := strings.Replace(reader, "secret: db", "secret: other", 1)
	elsewhere := strings.Replace(reader, "database: postgres", "database: other", 1)
	held(w, "wrong-before", wrong, "the server refused user reader or the password")
	w.Create("reader", 1, world.Quick(world.Settings{"trigger.source": reader}))
	w.AwaitReplicas("reader", 3, world.Soon)
	w.Create("writer", 1, world.Quick(world.Settings{"trigger.source": writer}))
	w.AwaitReplicas("writer", 6, world.Soon)
	held(w, "wrong-after", wrong, "the server refused user reader or the password")
	held(w, "elsewhere", elsewhere, `relation "jobs" does not exist`)
	// One is rotated, and the others go on.
	w.Exec(server.DB(), "alter role writer password 'a-third-horse'", "insert into writer.jobs values (7)", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'writer'")
	w.AwaitKnown("writer", "source", "0")
	w.Secret("other", "a-third-horse")
	w.AwaitReplicas("writer", 7, world.Soon)
	w.AwaitDecisions("reader", 2)
	for name, counts := range map[string][]int32{"reader": {1, 3}, "writer": {1, 6, 7}, "wrong-before": {2}, "wrong-after": {2}, "elsewhere": {2}} {
		w.WantCounts(name, counts...)
	}
}
