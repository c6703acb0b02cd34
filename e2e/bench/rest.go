package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/servers"
)

const postgresPassword = servers.PostgresAdminPassword

// atRest is what an autoscaler costs while nothing changes.
type atRest struct {
	cpu, rss, writes float64
}

// rest measures for a while. The profiles that are taken afterwards have the name.
func (l *lab) rest(ctx context.Context, a *product.Autoscaler, name string, long time.Duration) (r atRest, err error) {
	pause(ctx, l.pace.calm)
	writesBefore, err := l.writes()
	if err != nil {
		return r, err
	}
	before, err := cpuOf(a.PID())
	if err != nil {
		return r, err
	}
	for end := time.Now().Add(long); time.Now().Before(end) && ctx.Err() == nil; {
		pause(ctx, 5*time.Second)
		rss, err := rssOf(a.PID())
		if err != nil {
			return r, err
		}
		r.rss = max(r.rss, rss)
	}
	after, err := cpuOf(a.PID())
	if err != nil {
		return r, err
	}
	if err := l.profile(ctx, name); err != nil {
		return r, err
	}
	writesAfter, err := l.writes()
	r.cpu, r.writes = after.percent(before), float64(writesAfter-writesBefore)
	return r, err
}

// writes is how many the autoscaler has made so far, leases left out. That there are none at all is an error, as it has written a status to each workload.
func (l *lab) writes() (int, error) {
	if err := l.audit.follow(); err != nil {
		return 0, err
	}
	if l.audit.writes == 0 {
		return 0, fmt.Errorf("the API server's audit log has no write of the autoscaler, not even of a status, so there is nothing to count by")
	}
	return l.audit.writes, nil
}

// connections of the autoscaler to Redis.
func (l *lab) connections(ctx context.Context) (n int, err error) {
	text, err := l.redis.Client().ClientList(ctx).Result()
	return strings.Count(text, " name=autoscale.io "), err
}

// streams makes a fleet on Redis, one half at zero without work, the other at one replica with one entry that somebody works on. It returns the names at zero.
// missed says that they are to be adopted.
func (l *lab) streams(ctx context.Context, class string, n int, missed bool) (*fleet, []string, error) {
	all := names("stream"+class, n)
	asleep, awake := all[:n/2], all[n/2:]
	if err := l.groups(ctx, all...); err != nil {
		return nil, nil, err
	}
	if err := l.hold(ctx, awake...); err != nil {
		return nil, nil, err
	}
	f, err := l.create(ctx, class, n, func(i int) member {
		m := l.onStream(all[i], 0)
		m.missed = missed
		if i >= n/2 {
			m.replicas = 1
		}
		return m
	})
	return f, asleep, err
}

// thousand measures a thousand workloads on Redis: at rest, waking, restarting, and beside broken servers.
func (l *lab) thousand(ctx context.Context) error {
	const n = 1000
	l.say("%d workloads, each with a stream of its own", n)
	f, asleep, err := l.streams(ctx, "thousand", n, true)
	if err != nil {
		return err
	}
	began := time.Now()
	return l.with(ctx, f.class, func(a *product.Autoscaler) error {
		if err := polled(ctx, a, n, 2*time.Minute); err != nil {
			return err
		}
		l.report.add("adopt/1000/seconds", time.Since(began).Seconds(), "from the start of a process until each is adopted and decided on, beside the pods that start")
		if err := l.podsReady(ctx, f, n-n/2); err != nil { // until then their workloads change, and it is not at rest
			return err
		}
		l.say("at rest for %s", l.pace.rest)
		r, err := l.rest(ctx, a, f.class, l.pace.rest)
		if err != nil {
			return err
		}
		connections, err := l.connections(ctx)
		if err != nil {
			return err
		}
		l.report.add("rest/1000/cpu-percent", r.cpu, "")
		l.report.add("rest/1000/rss-mib", r.rss, "")
		l.report.add("rest/1000/redis-connections", float64(connections), "")
		l.report.add("rest/1000/api-writes", r.writes, fmt.Sprintf("in %s, by the audit log, leases left out", l.pace.rest))
		if err := l.isolation(ctx, a, f); err != nil {
			return err
		}
		if err := l.restart(ctx, a, f, asleep[:50]); err != nil {
			return err
		}
		return l.reactionsLoaded(ctx, f, asleep[50:], asleep[:50])
	})
}

// crowd measures many workloads on Redis: the costs at rest, and how long a new process takes to read each of them.
func (l *lab) crowd(ctx context.Context, n int, long time.Duration) error {
	l.say("%d workloads, each with a stream of its own", n)
	f, _, err := l.streams(ctx, "crowd"+strconv.Itoa(n), n, false)
	if err != nil {
		return err
	}
	if err := l.podsReady(ctx, f, n-n/2); err != nil { // or the API server is busy with them
		return err
	}
	err = l.with(ctx, f.class, func(a *product.Autoscaler) error {
		if err := polled(ctx, a, n, 5*time.Minute); err != nil { // it writes a first status to each
			return err
		}
		l.say("at rest for %s", long)
		r, err := l.rest(ctx, a, f.class, long)
		if err != nil {
			return err
		}
		l.report.add(fmt.Sprintf("rest/%d/cpu-percent", n), r.cpu, "")
		l.report.add(fmt.Sprintf("rest/%d/rss-mib", n), r.rss, "")
		return nil
	})
	if err != nil {
		return err
	}
	began := time.Now()
	return l.with(ctx, f.class, func(a *product.Autoscaler) error {
		if err := polled(ctx, a, n, 100*time.Second); err != nil { // a look a second
			return err
		}
		l.report.add(fmt.Sprintf("start/%d/seconds", n), time.Since(began).Seconds(), "from the start of a process until each is decided on")
		return nil
	})
}

// sql measures a thousand workloads on one PostgreSQL database.
func (l *lab) sql(ctx context.Context, n int) error {
	l.say("%d workloads on one PostgreSQL database", n)
	f, err := l.create(ctx, "sql", n, func(i int) member { return l.onPostgres(fmt.Sprintf("sql-%04d", i), 1) })
	if err != nil {
		return err
	}
	return l.with(ctx, f.class, func(a *product.Autoscaler) error {
		if err := polled(ctx, a, n, 3*time.Minute); err != nil {
			return err
		}
		most := 0
		for range l.pace.looks {
			pause(ctx, time.Second)
			var have int
			const query = "select count(*) from pg_stat_activity where application_name = 'autoscale.io'"
			if err := l.postgres.DB().QueryRowContext(ctx, query).Scan(&have); err != nil {
				return fmt.Errorf("count connections: %w", err)
			}
			most = max(most, have)
		}
		if most == 0 {
			return fmt.Errorf("the autoscaler has no connection to PostgreSQL, so there was nothing to count")
		}
		l.report.add("rest/sql-1000/connections", float64(most), fmt.Sprintf("the most of %d looks", l.pace.looks))
		return nil
	})
}

// cpu measures a thousand workloads of three pods on cpu, and the same under the HPA.
func (l *lab) cpu(ctx context.Context, n int, long time.Duration) error {
	l.say("%d workloads of 3 pods on cpu", n)
	f, err := l.create(ctx, "cpu", n, func(i int) member {
		return member{
			name: fmt.Sprintf("cpu-%04d", i), replicas: 3, template: map[string]string{"kwok.x-k8s.io/usage-cpu": "50m"},
			notes: map[string]string{"min-replicas": "1", "max-replicas": "10", "cpu": "50%"},
		}
	})
	if err != nil {
		return err
	}
	if err := l.podsReady(ctx, f, 3*n); err != nil {
		return err
	}
	if err := l.metered(ctx, f, 3*n); err != nil {
		return err
	}
	var share float64
	err = l.with(ctx, f.class, func(a *product.Autoscaler) error {
		if err := polled(ctx, a, n, 3*time.Minute); err != nil {
			return err
		}
		l.say("at rest for %s", long)
		r, err := l.rest(ctx, a, f.class, long)
		share = r.cpu
		return err
	})
	if err != nil {
		return err
	}
	if err := l.metered(ctx, f, 3*n); err != nil {
		return err
	}
	theirs, err := l.sameByHPA(ctx, f, long)
	if err != nil {
		return err
	}
	l.report.add("rest/cpu-1000/cpu-percent", share, fmt.Sprintf("the HPA controller takes %.1f for the same", theirs))
	return nil
}

func (l *lab) podsReady(ctx context.Context, f *fleet, n int) error {
	l.say("waiting for %d pods", n)
	for began := time.Now(); ctx.Err() == nil; pause(ctx, 2*time.Second) {
		list, err := l.kube.CoreV1().Pods(f.namespace).List(ctx, metav1.ListOptions{FieldSelector: "status.phase=" + string(corev1.PodRunning), Limit: 1})
		if err != nil {
			return fmt.Errorf("count pods: %w", err)
		}
		have := len(list.Items)
		if list.RemainingItemCount != nil {
			have += int(*list.RemainingItemCount)
		} else if list.Continue != "" {
			if have, err = l.running(ctx, f); err != nil {
				return err
			}
		}
		if have >= n {
			return nil
		}
		if time.Since(began) > 5*time.Minute {
			return fmt.Errorf("%d of %d pods run after 5 minutes", have, n)
		}
	}
	return ctx.Err()
}

// metered waits until metrics-server knows the usage of n pods of a fleet: without it both autoscalers hold, and cost something else.
func (l *lab) metered(ctx context.Context, f *fleet, n int) error {
	l.say("waiting for the usage of %d pods", n)
	const within = 3 * time.Minute
	have := 0
	err := wait.PollUntilContextTimeout(ctx, 5*time.Second, within, true, func(ctx context.Context) (bool, error) {
		text, err := l.kube.CoreV1().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces/" + f.namespace + "/pods").DoRaw(ctx)
		if err != nil {
			return false, nil
		}
		var list metav1.PartialObjectMetadataList
		if err := json.Unmarshal(text, &list); err != nil {
			return false, fmt.Errorf("read the usage of pods: %w", err)
		}
		have = len(list.Items)
		return have >= n, nil
	})
	if err != nil {
		return fmt.Errorf("metrics-server knows the usage of %d of %d pods after %s: %w", have, n, within, err)
	}
	return nil
}

// running counts by a whole list; the API server does not count for a selector.
func (l *lab) running(ctx context.Context, f *fleet) (int, error) {
	list, err := l.kube.CoreV1().Pods(f.namespace).List(ctx, metav1.ListOptions{FieldSelector: "status.phase=" + string(corev1.PodRunning), ResourceVersion: "0"})
	if err != nil {
		return 0, fmt.Errorf("count pods: %w", err)
	}
	return len(list.Items), nil
}

// sameByHPA is the share of one core by which the controller manager grows when a fleet has HPAs.
func (l *lab) sameByHPA(ctx context.Context, f *fleet, long time.Duration) (float64, error) {
	pid := l.cluster.ControllerManager.PID()
	without, err := share(ctx, pid, min(long, 20*time.Second))
	if err != nil {
		return 0, err
	}
	l.say("%d HPAs for the same workloads", len(f.keys))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, key := range f.keys {
		group.Go(func() error {
			hpa := &autoscalingv2.HorizontalPodAutoscaler{
				ObjectMeta: metav1.ObjectMeta{Name: key.Name},
				Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
					ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: key.Name},
					MinReplicas:    new(int32(1)), MaxReplicas: 10,
					Metrics: []autoscalingv2.MetricSpec{{
						Type: autoscalingv2.ResourceMetricSourceType,
						Resource: &autoscalingv2.ResourceMetricSource{
							Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(50))},
						},
					}},
				},
			}
			_, err := l.kube.AutoscalingV2().HorizontalPodAutoscalers(key.Namespace).Create(groupCtx, hpa, metav1.CreateOptions{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("create HPAs: %w", err)
	}
	pause(ctx, 20*time.Second) // each has been looked at, which the HPA controller does every 15 s
	with, err := share(ctx, pid, long)
	if err != nil {
		return 0, err
	}
	return with - without, l.kube.AutoscalingV2().HorizontalPodAutoscalers(f.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
}

func share(ctx context.Context, pid int, long time.Duration) (float64, error) {
	before, err := cpuOf(pid)
	if err != nil {
		return 0, err
	}
	pause(ctx, long)
	after, err := cpuOf(pid)
	return after.percent(before), err
}
