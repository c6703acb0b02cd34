package sql

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

	"autoscale.io/e2e/product"
	"autoscale.io/e2e/tree"
	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
)

func sqlCases() []world.Case {
	return []world.Case{
		{ID: "PG-07", Symptom: "a query that writes is accepted: every poll consumes the queue that it measures", Holds: "it is refused and nothing changes", In: world.Test, Run: writingQuery},
		{ID: "PG-11", Symptom: "a database that accepts and says nothing stops all scaling, or a frozen one looks idle", Holds: "the read ends in time and the count holds", In: world.Test, Run: silentDatabase},
		{ID: "SP-02", Symptom: "one bad source holds up the reads of everybody", Holds: "twenty silent ones make nobody late", In: world.Test, Weight: world.Everything, Run: silentBesideHealthy},
		{ID: "AU-01", Symptom: "a rotated password is not noticed until a restart", Holds: "the new one is used at once and nothing falls meanwhile", In: world.Test, Run: rotatedSecret},
		{ID: "PG-notify", Symptom: "a workload at zero waits for the next poll although the database knows that work has come", Holds: "a NOTIFY wakes it at once", In: world.Test, Run: notified},
		{ID: "PG-airflow", Symptom: "tasks wait in the database of a scheduler while its workers stay at zero", Holds: "rows of task_instance in Postgres drive the workers", In: world.Test, Run: airflowOnPostgres},
		{ID: "MY-airflow", Symptom: "the same with the database on MySQL", Holds: "rows of task_instance in MySQL drive the workers", In: world.Test, Run: airflowOnMySQL},
	}
}

func writingQuery(t *testing.T, w *world.World) {
	server := w.Postgres(7)
	w.Exec(server.DB(), "grant all on jobs to reader")
	w.Secret("db", world.Reads)
	w.WantRefused(w.Deployment("update", 1, world.Quick(world.Settings{"trigger.jobs": w.SQLTrigger(server.Addr(), "delete from jobs returning id")})),
		"autoscale.io/trigger.jobs: query: starts with DELETE; want one statement that reads.*")
	w.Create("worker", 3, world.Quick(world.Settings{"trigger.jobs": w.SQLTrigger(server.Addr(), "with gone as (delete from jobs returning id) select count(*) from gone")}))
	w.AwaitEvent("worker", "TriggerUnknown", "the query writes or locks")
	w.Create("several", 3, world.Quick(world.Settings{"trigger.jobs": w.SQLTrigger(server.Addr(), "select 1; delete from jobs")}))
	w.AwaitEvent("several", "TriggerUnknown", "more than one statement")
	w.AwaitDecisions("worker", 4)
	w.WantCounts("worker", 3)
	if n := w.Count(server.DB()); n != 7 {
		t.Errorf("%d of 7 jobs are left", n)
	}
}

func silentDatabase(t *testing.T, w *world.World) {
	server := w.Postgres(4)
	proxy := servers.MustProxy(t, server.Addr())
	w.Secret("db", world.Reads)
	w.Create("worker", 1, world.Quick(world.Settings{"trigger.jobs": w.SQLTrigger(proxy.Addr(), world.CountJobs)}))
	w.AwaitReplicas("worker", 4, world.Soon)
	for _, mode := range []servers.Mode{servers.Freeze, servers.Silent, servers.Refuse} {
		if err := proxy.Set(mode); err != nil {
			t.Fatal(err)
		}
		w.AwaitKnown("worker", "jobs", "0")
		w.AwaitDecisions("worker", 3)
		if err := proxy.Set(servers.Pass); err != nil {
			t.Fatal(err)
		}
		w.AwaitKnown("worker", "jobs", "1")
	}
	w.WantCounts("worker", 1, 4)
	w.Exec(server.DB(), "delete from jobs")
	w.AwaitReplicas("worker", 0, world.Soon)
}

func silentBesideHealthy(t *testing.T, w *world.World) {
	const bad, healthy = 20, 10
	server := w.Postgres(1)
	proxy := servers.MustProxy(t, server.Addr())
	if err := proxy.Set(servers.Silent); err != nil {
		t.Fatal(err)
	}
	w.Secret("db", world.Reads)
	for i := range bad {
		// A query each, so that none waits for another's answer.
		w.Create(fmt.Sprint("bad-", i), 2, world.Quick(world.Settings{"trigger.jobs": w.SQLTrigger(proxy.Addr(), fmt.Sprintf("%s where id <> %d", world.CountJobs, 100+i))}))
	}
	client := w.Redis.Client()
	for i := range healthy {
		name := fmt.Sprint("healthy-", i)
		w.Group(client, w.Stream(name), "0")
		w.Create(name, 0, world.Quick(world.Settings{"trigger.orders": w.Trigger(w.Stream(name), world.Group)}))
		w.AwaitValue(name, "orders", "0")
	}
	w.AwaitKnown("bad-0", "jobs", "0")
	// Decisions follow reads, half a second apart; what is five times as old is late.
	end := time.Now().Add(8 * time.Second)
	w.Await("eight seconds of decisions in time", time.Minute, func(ctx context.Context) error {
		for i := range healthy {
			name := fmt.Sprint("healthy-", i)
			text, err := w.Metric(ctx, "autoscale_workload_decision_timestamp_seconds", name)
			if err != nil {
				return err
			}
			var at float64
			if _, err := fmt.Sscan(text, &at); err != nil {
				return err
			}
			if late := float64(time.Now().UnixMilli())/1000 - at; late > 2.5 {
				w.T.Fatalf("the last decision about %s is %.1f s old", name, late)
			}
		}
		if time.Now().Before(end) {
			return fmt.Errorf("not over")
		}
		return nil
	})
	for i := range healthy {
		w.Add(client, w.Stream(fmt.Sprint("healthy-", i)), 6)
	}
	for i := range healthy {
		w.AwaitReplicas(fmt.Sprint("healthy-", i), 2, world.Soon)
	}
	w.WantCounts("bad-0", 2)
}

// rotatedSecret goes through the ways of changing a password: the old one is void at once, both are valid for a while, the Secret goes and comes back, and it
// comes late.
func rotatedSecret(t *testing.T, w *world.World) {
	bothValid(w, t)
	server := w.Postgres(4)
	w.Secret("db", world.Reads)
	w.Create("worker", 1, world.Quick(world.Settings{"trigger.jobs": w.SQLTrigger(server.Addr(), world.CountJobs)}))
	w.AwaitReplicas("worker", 4, world.Soon)
	for i := range 2 {
		// The old one is void at once, for connections that exist, too.
		password := fmt.Sprintf("another-horse-%d", i)
		w.Exec(server.DB(), "alter role reader password '"+password+"'", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reader'")
		w.Secret("db", password)
		w.Exec(server.DB(), fmt.Sprintf("insert into jobs values (%d)", 100+i))
		w.AwaitReplicas("worker", int32(5+i), world.Soon)
	}
	w.WantCounts("worker", 1, 4, 5, 6)

	late := strings.Replace(w.SQLTrigger(server.Addr(), world.CountJobs), "secret: db", "secret: late", 1)
	w.Create("late", 2, world.Quick(world.Settings{"trigger.jobs": late}))
	w.AwaitKnown("late", "jobs", "0")
	w.AwaitDecisions("late", 3)
	w.WantCounts("late", 2)
	w.Secret("late", "another-horse-1")
	w.AwaitReplicas("late", 6, world.Soon)
	w.WantCounts("late", 2, 6)
}

// notified has a query that is read once an hour, and a channel.
func notified(_ *testing.T, w *world.World) {
	server := w.Postgres(1)
	w.Exec(server.DB(), "delete from jobs")
	w.Secret("db", world.Reads)
	trigger := strings.Replace(w.SQLTrigger(server.Addr(), world.CountJobs), "interval: "+product.TestInterval, "interval: 1h, listen: jobs", 1)
	w.Create("worker", 0, world.Quick(world.Settings{"trigger.jobs": trigger}))
	w.AwaitKnown("worker", "jobs", "1")
	w.Await("the autoscaler listens", world.Soon, func(ctx context.Context) error {
		var n int
		err := server.DB().QueryRowContext(ctx, "select count(*) from pg_stat_activity where usename = 'reader' and query ilike 'listen%'").Scan(&n)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d connections listen", n)
		}
		return err
	})
	w.Exec(server.DB(), "insert into jobs select generate_series(1, 4)", "notify jobs")
	w.AwaitReplicas("worker", 4, 5*time.Second)
	w.WantCounts("worker", 0, 4)
}

// bothValid has a Redis that takes the old and the new password until the old one is removed, which the trigger must not notice.
func bothValid(w *world.World, t *testing.T) {
	t.Helper()
	server := servers.MustRedis(t, servers.RedisOptions{Users: []string{"reader on >" + world.Reads + " ~* +@all"}})
	client := server.Client()
	user := func(rules ...any) {
		t.Helper()
		if err := client.Do(t.Context(), append([]any{"acl", "setuser", "reader"}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	w.Group(client, "jobs", "0")
	w.Add(client, "jobs", 15)
	w.Secret("redis", world.Reads)
	w.Create("both", 1, world.Quick(world.Settings{"cooldown": "1s", "trigger.jobs": fmt.Sprintf(
		"{type: redis-streams, address: %q, stream: jobs, consumerGroup: workers, target: 5, username: reader, passwordFrom: {secret: redis, key: password}}", server.Addr())}))
	w.AwaitReplicas("both", 3, world.Soon)
	user(">another-horse") // both are valid
	w.Secret("redis", "another-horse")
	w.AwaitDecisions("both", 3)
	user("<" + world.Reads) // the old one is not, and who logged in with it is thrown out
	if err := client.Do(t.Context(), "client", "kill", "user", "reader").Err(); err != nil {
		t.Fatal(err)
	}
	w.Add(client, "jobs", 5)
	w.AwaitReplicas("both", 4, world.Soon)
	// The Secret goes, which does not matter to who is logged in, and comes back with another password; the login ends meanwhile.
	if err := w.Kube.CoreV1().Secrets(w.Namespace).Delete(t.Context(), "redis", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.AwaitDecisions("both", 3)
	user("resetpass", ">a-third-horse")
	if err := client.Do(t.Context(), "client", "kill", "user", "reader").Err(); err != nil {
		t.Fatal(err)
	}
	w.AwaitKnown("both", "jobs", "0")
	w.AwaitEvent("both", "TriggerUnknown", `secrets "redis" not found|WRONGPASS`)
	w.AwaitDecisions("both", 3)
	w.Secret("redis", "a-third-horse")
	w.Add(client, "jobs", 5)
	w.AwaitReplicas("both", 5, world.Soon)
	w.WantCounts("both", 1, 3, 4, 5)
}

// example reads a Deployment of docs/examples, in the case's namespace and in a hurry.
func example(w *world.World, file string) *appsv1.Deployment {
	w.T.Helper()
	root, err := tree.Root(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "examples", file))
	if err != nil {
		w.T.Fatal(err)
	}
	d := &appsv1.Deployment{}
	if err := yaml.UnmarshalStrict(text, d); err != nil {
		w.T.Fatal(err)
	}
	d.Namespace = w.Namespace
	for key, value := range world.Quick(world.Settings{"max-replicas": "20"}).Annotations() {
		d.Annotations[key] = value
	}
	const trigger = "autoscale.io/trigger.tasks"
	d.Annotations[trigger] += "interval: " + product.TestInterval + "\n"
	return d
}

// airflow drives the workers of an example by the rows of task_instance, sixteen to a worker.
func airflow(w *world.World, d *appsv1.Deployment, db *sql.DB) {
	w.T.Helper()
	zero := int32(0)
	d.Spec.Replicas = &zero
	w.CreateDeployment(d)
	w.AwaitKnown(d.Name, "tasks", "1")
	tasks := func(from, to int, state string) {
		var rows []string
		for i := from; i < to; i++ {
			rows = append(rows, fmt.Sprintf("(%d, '%s')", i, state))
		}
		w.Exec(db, "insert into task_instance values "+strings.Join(rows, ", "))
	}
	tasks(0, 5, "success")
	tasks(5, 6, "queued")
	w.AwaitReplicas(d.Name, 1, world.Soon)
	tasks(6, 45, "running")
	w.AwaitReplicas(d.Name, 3, world.Soon)
	w.Exec(db, "update task_instance set state = 'success'")
	w.AwaitReplicas(d.Name, 0, world.Soon)
	w.WantCounts(d.Name, 0, 1, 3, 1, 0)
}

func airflowSecret(w *world.World, values map[string]string) {
	w.T.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "airflow-metadata"}, StringData: values}
	if _, err := w.Kube.CoreV1().Secrets(w.Namespace).Create(w.T.Context(), secret, metav1.CreateOptions{}); err != nil {
		w.T.Fatal(err)
	}
}

func pem(w *world.World) servers.PEM {
	w.T.Helper()
	pem, err := servers.NewPEM(time.Time{})
	if err != nil {
		w.T.Fatal(err)
	}
	return pem
}

func airflowOnPostgres(t *testing.T, w *world.World) {
	pem := pem(w)
	server := servers.MustPostgres(t, servers.PostgresOptions{TLS: &pem})
	w.Exec(server.DB(), "create table task_instance (id int, state text)", "create role autoscaler login password '"+world.Reads+"'", "grant select on task_instance to autoscaler")
	airflowSecret(w, map[string]string{"connection": fmt.Sprintf("postgresql://autoscaler:%s@%s/postgres", world.Reads, server.Addr()), "ca.crt": pem.CA})
	airflow(w, example(w, "postgres.yaml"), server.DB())
}

func airflowOnMySQL(t *testing.T, w *world.World) {
	pem := pem(w)
	server := servers.MustMySQL(t, servers.MySQLOptions{TLS: &pem})
	w.Exec(server.DB(), "create database airflow", "create table airflow.task_instance (id int, state varchar(20))",
		"create user autoscaler identified by '"+world.Reads+"'", "grant select on airflow.task_instance to autoscaler")
	db, err := server.Open(servers.MySQLAdmin, servers.MySQLAdminPassword, "airflow")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the server goes, too
	airflowSecret(w, map[string]string{"password": world.Reads, "ca.crt": pem.CA})
	d := example(w, "mysql.yaml")
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	// No Service of the name runs here.
	const trigger = "autoscale.io/trigger.tasks"
	d.Annotations[trigger] = strings.Replace(d.Annotations[trigger], "host: mysql\n", fmt.Sprintf("host: %s\nport: %s\n", host, port), 1)
	airflow(w, d, db)
}
