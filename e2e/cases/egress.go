package cases

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
	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
)

func egressCases() []Case {
	return []Case{
		{ID: "AU-04", Symptom: "an annotation names a file or a socket, and the autoscaler opens it with its own rights", Holds: "nothing that a tenant writes is opened", Run: tenantPaths},
		{ID: "AU-05", Symptom: "a trigger makes the autoscaler call internal services, and reads their answers in its errors", Holds: "loopback, link-local and the API server are refused; answers are not quoted", Run: forgedRequests},
		{ID: "AU-06", Symptom: "the autoscaler needs to read every Secret, and scales nothing without", Holds: "a trigger without Secrets works without rights to them; a Secret is read by name, where it is bound", Alone: true, Refused: true, Run: leastSecrets},
		{ID: "AU-09", Symptom: "a Secret is read from another namespace", Holds: "the own namespace is the only one that is read, whatever the name", Run: foreignSecrets},
		{ID: "AU-10", Symptom: "workloads of one host share a connection, and one reads with the other's login", Holds: "each reads with its own user, password and database", Run: sharedHost},
	}
}

// held creates a Deployment whose trigger cannot be read, and waits until it says so.
func (w *World) held(name, trigger, pattern string) {
	w.t.Helper()
	w.Create(name, 2, quick(Settings{"cooldown": "1s", "trigger.source": trigger}))
	w.AwaitEvent(name, "TriggerUnknown", pattern)
}

// secretOf creates a Secret of the case with the key dsn.
func (w *World) secretOf(name, connection string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"dsn": connection}}
	if _, err := w.kube.CoreV1().Secrets(w.Namespace).Create(w.t.Context(), secret, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// tenantPaths has a socket that counts who connects and a pipe that tells whether somebody has opened it, and names them in every way.
func tenantPaths(t *testing.T, w *World) {
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
		w.wantRefused(w.deployment(name, 2, quick(Settings{"trigger.source": trigger})), `autoscale.io/trigger.source: (connection|host|hosts|address|query): `)
	}
	// The one name that is looked up among files, those of the database of time zones.
	for i, zone := range []string{pipe, "../../../../../.." + pipe, "Europe/../../../../../.." + pipe} {
		w.wantRefused(w.deployment(fmt.Sprint("zone-", i), 2, quick(Settings{"schedule.office": fmt.Sprintf("{start: 0 8 * * *, end: 0 9 * * *, min: 1, timezone: %q}", zone)})),
			`autoscale.io/schedule.office: timezone: got .*, want a name of the IANA database`)
	}
	for name, connection := range map[string]string{
		"postgres-rootcert": "postgres://u:p@db/d?sslrootcert=" + pipe, "postgres-socket": "host=" + dir + " user=u", "postgres-service": "service=x servicefile=" + pipe + " host=db user=u",
		"mysql-socket": "u:p@unix(" + filepath.Join(dir, ".s.PGSQL.5432") + ")/d", "mysql-infile": "u:p@tcp(db:3306)/d?allowAllFiles=true",
	} {
		kind, _, _ := strings.Cut(name, "-")
		w.secretOf(name, connection)
		w.held(name, fmt.Sprintf("{type: %s, target: 1, query: select 1, connectionFrom: {secret: %s, key: dsn}}", kind, name), "connection: the connection string .* (refused|which is refused)")
	}
	w.held("ca", "{type: postgres, target: 1, query: select 1, host: db, username: u, tls: {ca: '"+pipe+"'}}", "tls.ca: holds no certificate; want PEM text")
	for _, name := range []string{"postgres-socket", "mysql-socket", "ca"} {
		w.AwaitDecisions(name, 2)
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
func forgedRequests(t *testing.T, w *World) {
	api, err := url.Parse(w.cluster.Config().Host)
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
			w.held(fmt.Sprint("forged-", i), trigger, regexp.QuoteMeta("connecting to "+address)+notAllowed)
		}
	}
	w.AwaitDecisions("forged-1", 2)
	w.WantCounts("forged-1", 2)
	w.WantCounts(fmt.Sprint("forged-", i), 2)
	loopback.WantUntouched(t)
	six.WantUntouched(t)
	w.reflected(t)
}

// reflected has a service of another kind, whose answers must show nowhere.
func (w *World) reflected(t *testing.T) {
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
		w.held(name+"-redis", fmt.Sprintf("{type: redis-streams, target: 1, stream: s, address: %q}", address), "what answers is no Redis server")
		w.held(name+"-postgres", fmt.Sprintf("{type: postgres, target: 1, query: select 1, username: u, sslmode: disable, host: %q, port: %s}", host, port), ".")
		w.held(name+"-mysql", fmt.Sprintf("{type: mysql, target: 1, query: select 1, username: u, host: %q, port: %s}", host, port), ".")
		for _, kind := range []string{"-redis", "-postgres", "-mysql"} {
			seen = append(seen, w.Get(name + kind).Annotations[annotations.StatusKey])
		}
	}
	events, err := w.kube.EventsV1().Events(w.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events.Items {
		seen = append(seen, event.Note)
	}
	metrics, err := w.scaler.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(w.scaler.Log())
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
func leastSecrets(t *testing.T, w *World) {
	w.wantAccess(map[string]bool{"get": true, "list": false, "watch": false, "update": false, "delete": false})
	bindings := w.kube.RbacV1().ClusterRoleBindings()
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
	w.await("no right to read Secrets", soon, func(context.Context) error { return w.access(w.secrets("get"), false) })

	// Its pods use Secrets that the trigger does not.
	stream, client := w.Stream("s"), w.redis.Client()
	w.group(client, stream, "0")
	w.add(client, stream, 20)
	d := w.deployment("worker", 1, quick(Settings{"trigger.jobs": w.trigger(stream, group)}))
	container := &d.Spec.Template.Spec.Containers[0]
	for i := range 5 {
		ref := corev1.LocalObjectReference{Name: fmt.Sprint("unused-", i)}
		container.Env = append(container.Env, corev1.EnvVar{Name: fmt.Sprint("E", i), ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: ref, Key: "k"}}})
		container.EnvFrom = append(container.EnvFrom, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: ref}})
	}
	w.create(d)
	w.AwaitReplicas("worker", 4, soon)

	server := w.postgres(3)
	w.secret("db", reads)
	w.held("needy", w.sqlTrigger(server.Addr(), countJobs), `password: read Secret `+w.Namespace+`/db: .*forbidden`)
	if _, err := w.kube.RbacV1().RoleBindings(w.Namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: binding.RoleRef, Subjects: binding.Subjects,
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReplicas("needy", 3, soon)
	w.WantCounts("needy", 2, 3)
}

// secrets is what is done to the Secrets of the case's namespace.
func (w *World) secrets(verb string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Namespace: w.Namespace, Verb: verb, Resource: "secrets", Name: "any"}
}

// access says whether the autoscaler's account has a right, as an error where that is not what is wanted.
func (w *World) access(right authorizationv1.ResourceAttributes, want bool) error {
	review, err := w.kube.AuthorizationV1().SubjectAccessReviews().Create(w.t.Context(), &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               "system:serviceaccount:" + product.Namespace + ":" + product.ServiceAccount,
		Groups:             []string{"system:serviceaccounts", "system:authenticated"},
		ResourceAttributes: &right,
	}}, metav1.CreateOptions{})
	if err == nil && review.Status.Allowed != want {
		err = fmt.Errorf("%s %s: allowed %v, want %v", right.Verb, right.Resource, review.Status.Allowed, want)
	}
	return err
}

func (w *World) wantAccess(verbs map[string]bool) {
	w.t.Helper()
	for verb, want := range verbs {
		if err := w.access(w.secrets(verb), want); err != nil {
			w.t.Error(err)
		}
	}
}

// foreignSecrets has a neighbour whose Secrets hold the passwords that would work.
func foreignSecrets(t *testing.T, w *World) {
	neighbour, err := w.cluster.Namespace(t.Context(), "au-09-neighbour")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.cluster.DeleteNamespace(context.Background(), neighbour); err != nil {
			t.Error(err)
		}
	})
	server := w.postgres(5)
	for namespace, secrets := range map[string]map[string]string{neighbour: {"db": reads, "only-there": reads}, w.Namespace: {"db": "not-the-password"}} {
		for name, password := range secrets {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"password": password}}
			if _, err := w.kube.CoreV1().Secrets(namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	reading := func(secret string) Settings {
		trigger := strings.Replace(w.sqlTrigger(server.Addr(), countJobs), "secret: db", fmt.Sprintf("secret: %q", secret), 1)
		return quick(Settings{"cooldown": "1s", "trigger.source": trigger})
	}
	w.Create("reach", 2, reading("only-there"))
	w.AwaitEvent("reach", "TriggerUnknown", regexp.QuoteMeta("password: read Secret "+w.Namespace+"/only-there: "))
	w.AwaitDecisions("reach", 2)
	w.WantCounts("reach", 2)
	for _, name := range []string{neighbour + "/only-there", "../" + neighbour + "/only-there", "../../" + neighbour + "/secrets/only-there", neighbour + "%2Fonly-there", "only-there?namespace=" + neighbour} {
		w.wantRefused(w.deployment("refused", 2, reading(name)), "autoscale.io/trigger.source: passwordFrom: secret is no name of an object; want one in the workload's own namespace, without the namespace before it")
	}
	w.held("same-name", w.sqlTrigger(server.Addr(), countJobs), "the server refused user reader or the password")
	w.WantCounts("same-name", 2)
	w.secret("db", reads)
	w.AwaitReplicas("same-name", 5, soon)
}

// sharedHost has workloads that differ in one thing each, in both orders of creation.
func sharedHost(t *testing.T, w *World) {
	server := servers.MustPostgres(t, servers.PostgresOptions{})
	w.exec(server.DB(), "create role reader login password '"+reads+"'", "create role writer login password 'another-horse'",
		"create schema reader authorization reader", "create schema writer authorization writer",
		"create table reader.jobs as select generate_series(1, 3)", "create table writer.jobs as select generate_series(1, 6)", "create database other owner reader",
		"grant select on reader.jobs to reader", "grant select on writer.jobs to writer")
	w.secret("db", reads)
	w.secret("other", "another-horse")
	reader := w.sqlTrigger(server.Addr(), countJobs)
	writer := strings.NewReplacer("username: reader", "username: writer", "secret: db", "secret: other").Replace(reader)
	wrong := strings.Replace(reader, "secret: db", "secret: other", 1)
	elsewhere := strings.Replace(reader, "database: postgres", "database: other", 1)
	w.held("wrong-before", wrong, "the server refused user reader or the password")
	w.Create("reader", 1, quick(Settings{"trigger.source": reader}))
	w.AwaitReplicas("reader", 3, soon)
	w.Create("writer", 1, quick(Settings{"trigger.source": writer}))
	w.AwaitReplicas("writer", 6, soon)
	w.held("wrong-after", wrong, "the server refused user reader or the password")
	w.held("elsewhere", elsewhere, `relation "jobs" does not exist`)
	// One is rotated, and the others go on.
	w.exec(server.DB(), "alter role writer password 'a-third-horse'", "insert into writer.jobs values (7)", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'writer'")
	w.awaitKnown("writer", "source", "0")
	w.secret("other", "a-third-horse")
	w.AwaitReplicas("writer", 7, soon)
	w.AwaitDecisions("reader", 2)
	for name, counts := range map[string][]int32{"reader": {1, 3}, "writer": {1, 6, 7}, "wrong-before": {2}, "wrong-after": {2}, "elsewhere": {2}} {
		w.WantCounts(name, counts...)
	}
}
