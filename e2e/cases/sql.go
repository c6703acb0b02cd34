package cases

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"autoscale.io/e2e/tree"
	"autoscale.io/scalers/scalertest/servers"
)

func sqlCases() []Case {
	return []Case{
		{ID: "PG-07", Symptom: "a query that writes is accepted: every poll consumes the queue that it measures", Holds: "it is refused and nothing changes", Run: writingQuery},
		{ID: "PG-11", Symptom: "a database that accepts and says nothing stops all scaling, or a frozen one looks idle", Holds: "the read ends in time and the count holds", Run: silentDatabase},
		{ID: "SP-02", Symptom: "one bad source holds up the reads of everybody", Holds: "twenty silent ones make nobody late", Run: silentBesideHealthy},
		{ID: "AU-01", Symptom: "a rotated password is not noticed until a restart", Holds: "the new one is used at once and nothing falls meanwhile", Run: rotatedSecret},
		{ID: "PG-notify", Symptom: "a workload at zero waits for the next poll although the database knows that work has come", Holds: "a NOTIFY wakes it at once", Run: notified},
		{ID: "PG-airflow", Symptom: "tasks wait in the database of a scheduler while its workers stay at zero", Holds: "rows of task_instance in Postgres drive the workers", Run: airflowOnPostgres},
		{ID: "MY-airflow", Symptom: "the same with the database on MySQL", Holds: "rows of task_instance in MySQL drive the workers", Run: airflowOnMySQL},
	}
}

// reads is what the user of the triggers logs in with.
const reads = "correct-horse-42"

// exec runs statements as whoever the pool is.
func (w *World) exec(db *sql.DB, statements ...string) {
	w.t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(w.t.Context(), statement); err != nil {
			w.t.Fatalf("%s: %v", statement, err)
		}
	}
}

// postgres starts a server with a table of jobs and a user who may read it.
func (w *World) postgres(jobs int) *servers.Postgres {
	w.t.Helper()
	server := servers.MustPostgres(w.t, servers.PostgresOptions{})
	w.exec(server.DB(), "create table jobs (id int)", fmt.Sprintf("insert into jobs select generate_series(1, %d)", jobs),
		"create role reader login password '"+reads+"'", "grant select on jobs to reader")
	return server
}

// sqlTrigger is a trigger on a server with a target of 1, read every second as the user reader with the password of the Secret db.
func (w *World) sqlTrigger(address, query string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("{type: postgres, host: %s, port: %s, username: reader, database: postgres, sslmode: disable, passwordFrom: {secret: db, key: password}, target: 1, interval: 1s, query: %q}",
		host, port, query)
}

const countJobs = "select count(*) from jobs"

func (w *World) count(db *sql.DB) (n int) {
	w.t.Helper()
	if err := db.QueryRowContext(w.t.Context(), countJobs).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func writingQuery(t *testing.T, w *World) {
	server := w.postgres(7)
	w.exec(server.DB(), "grant all on jobs to reader")
	w.secret("db", reads)
	w.wantRefused(w.deployment("update", 1, quick(Settings{"trigger.jobs": w.sqlTrigger(server.Addr(), "delete from jobs returning id")})),
		"autoscale.io/trigger.jobs: query: starts with DELETE; want one statement that reads.*")
	w.Create("worker", 3, quick(Settings{"trigger.jobs": w.sqlTrigger(server.Addr(), "with gone as (delete from jobs returning id) select count(*) from gone")}))
	w.AwaitEvent("worker", "TriggerUnknown", "the query writes or locks")
	w.Create("several", 3, quick(Settings{"trigger.jobs": w.sqlTrigger(server.Addr(), "select 1; delete from jobs")}))
	w.AwaitEvent("several", "TriggerUnknown", "more than one statement")
	w.AwaitDecisions("worker", 4)
	w.WantCounts("worker", 3)
	if n := w.count(server.DB()); n != 7 {
		t.Errorf("%d of 7 jobs are left", n)
	}
}

func silentDatabase(t *testing.T, w *World) {
	server := w.postgres(4)
	proxy := servers.MustProxy(t, server.Addr())
	w.secret("db", reads)
	w.Create("worker", 1, quick(Settings{"trigger.jobs": w.sqlTrigger(proxy.Addr(), countJobs)}))
	w.AwaitReplicas("worker", 4, soon)
	for _, mode := range []servers.Mode{servers.Freeze, servers.Silent, servers.Refuse} {
		if err := proxy.Set(mode); err != nil {
			t.Fatal(err)
		}
		w.awaitKnown("worker", "jobs", "0")
		w.AwaitDecisions("worker", 3)
		if err := proxy.Set(servers.Pass); err != nil {
			t.Fatal(err)
		}
		w.awaitKnown("worker", "jobs", "1")
	}
	w.WantCounts("worker", 1, 4)
	w.exec(server.DB(), "delete from jobs")
	w.AwaitReplicas("worker", 0, soon)
}

func silentBesideHealthy(t *testing.T, w *World) {
	const bad, healthy = 20, 10
	server := w.postgres(1)
	proxy := servers.MustProxy(t, server.Addr())
	if err := proxy.Set(servers.Silent); err != nil {
		t.Fatal(err)
	}
	w.secret("db", reads)
	for i := range bad {
		// A query each, so that none waits for another's answer.
		w.Create(fmt.Sprint("bad-", i), 2, quick(Settings{"trigger.jobs": w.sqlTrigger(proxy.Addr(), fmt.Sprintf("%s where id <> %d", countJobs, 100+i))}))
	}
	client := w.redis.Client()
	for i := range healthy {
		name := fmt.Sprint("healthy-", i)
		w.group(client, w.Stream(name), "0")
		w.Create(name, 0, quick(Settings{"trigger.orders": w.trigger(w.Stream(name), group)}))
		w.awaitValue(name, "orders", "0")
	}
	w.awaitKnown("bad-0", "jobs", "0")
	// Decisions follow reads, a second apart; what is older than two is late.
	end := time.Now().Add(8 * time.Second)
	w.await("eight seconds of decisions in time", time.Minute, func(ctx context.Context) error {
		for i := range healthy {
			name := fmt.Sprint("healthy-", i)
			text, err := w.metric(ctx, "autoscale_workload_decision_timestamp_seconds", name)
			if err != nil {
				return err
			}
			var at float64
			if _, err := fmt.Sscan(text, &at); err != nil {
				return err
			}
			if late := float64(time.Now().UnixMilli())/1000 - at; late > 2.5 {
				w.t.Fatalf("the last decision about %s is %.1f s old", name, late)
			}
		}
		if time.Now().Before(end) {
			return fmt.Errorf("not over")
		}
		return nil
	})
	for i := range healthy {
		w.add(client, w.Stream(fmt.Sprint("healthy-", i)), 6)
	}
	for i := range healthy {
		w.AwaitReplicas(fmt.Sprint("healthy-", i), 2, soon)
	}
	w.WantCounts("bad-0", 2)
}

// rotatedSecret goes through the ways of changing a password: the old one is void at once, both are valid for a while, the Secret goes and comes back, and it
// comes late.
func rotatedSecret(t *testing.T, w *World) {
	w.bothValid(t)
	server := w.postgres(4)
	w.secret("db", reads)
	w.Create("worker", 1, quick(Settings{"trigger.jobs": w.sqlTrigger(server.Addr(), countJobs)}))
	w.AwaitReplicas("worker", 4, soon)
	for i := range 2 {
		// The old one is void at once, for connections that exist, too.
		password := fmt.Sprintf("another-horse-%d", i)
		w.exec(server.DB(), "alter role reader password '"+password+"'", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader'")
		w.secret("db", password)
		w.exec(server.DB(), fmt.Sprintf("insert into jobs values (%d)", 100+i))
		w.AwaitReplicas("worker", int32(5+i), soon)
	}
	w.WantCounts("worker", 1, 4, 5, 6)

	late := strings.Replace(w.sqlTrigger(server.Addr(), countJobs), "secret: db", "secret: late", 1)
	w.Create("late", 2, quick(Settings{"trigger.jobs": late}))
	w.awaitKnown("late", "jobs", "0")
	w.AwaitDecisions("late", 3)
	w.WantCounts("late", 2)
	w.secret("late", "another-horse-1")
	w.AwaitReplicas("late", 6, soon)
	w.WantCounts("late", 2, 6)
}

// notified has a query that is read once an hour, and a channel.
func notified(_ *testing.T, w *World) {
	server := w.postgres(1)
	w.exec(server.DB(), "delete from jobs")
	w.secret("db", reads)
	trigger := strings.Replace(w.sqlTrigger(server.Addr(), countJobs), "interval: 1s", "interval: 1h, listen: jobs", 1)
	w.Create("worker", 0, quick(Settings{"trigger.jobs": trigger}))
	w.awaitKnown("worker", "jobs", "1")
	w.await("the autoscaler listens", soon, func(ctx context.Context) error {
		var n int
		err := server.DB().QueryRowContext(ctx, "select count(*) from pg_stat_activity where usename = 'reader' and query ilike 'listen%'").Scan(&n)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d connections listen", n)
		}
		return err
	})
	w.exec(server.DB(), "insert into jobs select generate_series(1, 4)", "notify jobs")
	w.AwaitReplicas("worker", 4, 5*time.Second)
	w.WantCounts("worker", 0, 4)
}

// bothValid has a Redis that takes the old and the new password until the old one is removed, which the trigger must not notice.
func (w *World) bothValid(t *testing.T) {
	t.Helper()
	server := servers.MustRedis(t, servers.RedisOptions{Users: []string{"reader on >" + reads + " ~* +@all"}})
	client := server.Client()
	user := func(rules ...any) {
		t.Helper()
		if err := client.Do(t.Context(), append([]any{"acl", "setuser", "reader"}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	w.group(client, "jobs", "0")
	w.add(client, "jobs", 15)
	w.secret("redis", reads)
	w.Create("both", 1, quick(Settings{"cooldown": "1s", "trigger.jobs": fmt.Sprintf(
		"{type: redis-streams, address: %q, stream: jobs, consumerGroup: workers, target: 5, username: reader, passwordFrom: {secret: redis, key: password}}", server.Addr())}))
	w.AwaitReplicas("both", 3, soon)
	user(">another-horse") // both are valid
	w.secret("redis", "another-horse")
	w.AwaitDecisions("both", 3)
	user("<" + reads) // the old one is not, and who logged in with it is thrown out
	if err := client.Do(t.Context(), "client", "kill", "user", "reader").Err(); err != nil {
		t.Fatal(err)
	}
	w.add(client, "jobs", 5)
	w.AwaitReplicas("both", 4, soon)
	// The Secret goes, which does not matter to who is logged in, and comes back with another password; the login ends meanwhile.
	if err := w.kube.CoreV1().Secrets(w.Namespace).Delete(t.Context(), "redis", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.AwaitDecisions("both", 3)
	user("resetpass", ">a-third-horse")
	if err := client.Do(t.Context(), "client", "kill", "user", "reader").Err(); err != nil {
		t.Fatal(err)
	}
	w.awaitKnown("both", "jobs", "0")
	w.AwaitEvent("both", "TriggerUnknown", `secrets "redis" not found|WRONGPASS`)
	w.AwaitDecisions("both", 3)
	w.secret("redis", "a-third-horse")
	w.add(client, "jobs", 5)
	w.AwaitReplicas("both", 5, soon)
	w.WantCounts("both", 1, 3, 4, 5)
}

// example reads a Deployment of docs/examples, in the case's namespace and in a hurry.
func (w *World) example(file string) *appsv1.Deployment {
	w.t.Helper()
	root, err := tree.Root(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "examples", file))
	if err != nil {
		w.t.Fatal(err)
	}
	d := &appsv1.Deployment{}
	if err := yaml.UnmarshalStrict(text, d); err != nil {
		w.t.Fatal(err)
	}
	d.Namespace = w.Namespace
	for key, value := range quick(Settings{"max-replicas": "20"}).annotations() {
		d.Annotations[key] = value
	}
	const trigger = "autoscale.io/trigger.tasks"
	d.Annotations[trigger] += "interval: 1s\n"
	return d
}

// airflow drives the workers of an example by the rows of task_instance, sixteen to a worker.
func (w *World) airflow(d *appsv1.Deployment, db *sql.DB) {
	w.t.Helper()
	zero := int32(0)
	d.Spec.Replicas = &zero
	w.create(d)
	w.awaitKnown(d.Name, "tasks", "1")
	tasks := func(from, to int, state string) {
		var rows []string
		for i := from; i < to; i++ {
			rows = append(rows, fmt.Sprintf("(%d, '%s')", i, state))
		}
		w.exec(db, "insert into task_instance values "+strings.Join(rows, ", "))
	}
	tasks(0, 5, "success")
	tasks(5, 6, "queued")
	w.AwaitReplicas(d.Name, 1, soon)
	tasks(6, 45, "running")
	w.AwaitReplicas(d.Name, 3, soon)
	w.exec(db, "update task_instance set state = 'success'")
	w.AwaitReplicas(d.Name, 0, soon)
	w.WantCounts(d.Name, 0, 1, 3, 1, 0)
}

func (w *World) airflowSecret(values map[string]string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "airflow-metadata"}, StringData: values}
	if _, err := w.kube.CoreV1().Secrets(w.Namespace).Create(w.t.Context(), secret, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *World) pem() servers.PEM {
	w.t.Helper()
	pem, err := servers.NewPEM(time.Time{})
	if err != nil {
		w.t.Fatal(err)
	}
	return pem
}

func airflowOnPostgres(t *testing.T, w *World) {
	pem := w.pem()
	server := servers.MustPostgres(t, servers.PostgresOptions{TLS: &pem})
	w.exec(server.DB(), "create table task_instance (id int, state text)", "create role autoscaler login password '"+reads+"'", "grant select on task_instance to autoscaler")
	w.airflowSecret(map[string]string{"connection": fmt.Sprintf("postgresql://autoscaler:%s@%s/postgres", reads, server.Addr()), "ca.crt": pem.CA})
	w.airflow(w.example("postgres.yaml"), server.DB())
}

func airflowOnMySQL(t *testing.T, w *World) {
	pem := w.pem()
	server := servers.MustMySQL(t, servers.MySQLOptions{TLS: &pem})
	w.exec(server.DB(), "create database airflow", "create table airflow.task_instance (id int, state varchar(20))",
		"create user autoscaler identified by '"+reads+"'", "grant select on airflow.task_instance to autoscaler")
	db, err := server.Open(servers.MySQLAdmin, servers.MySQLAdminPassword, "airflow")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the server goes, too
	w.airflowSecret(map[string]string{"password": reads, "ca.crt": pem.CA})
	d := w.example("mysql.yaml")
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	// No Service of the name runs here.
	const trigger = "autoscale.io/trigger.tasks"
	d.Annotations[trigger] = strings.Replace(d.Annotations[trigger], "host: mysql\n", fmt.Sprintf("host: %s\nport: %s\n", host, port), 1)
	w.airflow(d, db)
}
