package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/e2e/product"
)

// reactionWithin bounds one reaction; what takes longer has failed.
const reactionWithin = time.Minute

// settle is the pause between two reactions, so that the second does not find the first one's work under way.
const settle = 100 * time.Millisecond

// barePatch sets a count as simply as can be.
func (l *lab) barePatch(ctx context.Context, key types.NamespacedName) error {
	_, err := l.kube.AppsV1().Deployments(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, []byte(`{"spec":{"replicas":1}}`), metav1.PatchOptions{}, "scale")
	if err != nil {
		return fmt.Errorf("bare PATCH: %w", err)
	}
	return nil
}

// floor is the time that a bare PATCH of /scale takes.
func (l *lab) floor(ctx context.Context, n int) (time.Duration, error) {
	f, err := l.create(ctx, "nobody", n, func(i int) member { return member{name: fmt.Sprintf("bare-%03d", i)} })
	if err != nil {
		return 0, err
	}
	var took []time.Duration
	for _, key := range f.keys {
		pause(ctx, settle)
		began := time.Now()
		if err := l.barePatch(ctx, key); err != nil {
			return 0, err
		}
		at, err := l.audit.await(ctx, 1, reactionWithin, key)
		if err != nil {
			return 0, err
		}
		took = append(took, at[0].Sub(began))
	}
	return percentile(took, 50), nil
}

// floorAtOnce is the time that each of n bare PATCHes of /scale takes when they are all wanted at once, by as many connections as the autoscaler has workers.
func (l *lab) floorAtOnce(ctx context.Context, n int) ([]time.Duration, error) {
	f, err := l.create(ctx, "nobody", n, func(i int) member { return member{name: fmt.Sprintf("bare-%03d", i)} })
	if err != nil {
		return nil, err
	}
	pause(ctx, l.pace.calm)
	began := time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(64)
	for _, key := range f.keys {
		group.Go(func() error { return l.barePatch(groupCtx, key) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	at, err := l.audit.await(ctx, 1, reactionWithin, f.keys...)
	return since(began, at), err
}

// since are the times from one moment to others.
func since(began time.Time, at []time.Time) []time.Duration {
	took := make([]time.Duration, len(at))
	for i := range at {
		took[i] = at[i].Sub(began)
	}
	return took
}

// reactionsAlone measures an autoscaler with little to do.
func (l *lab) reactionsAlone(ctx context.Context) error {
	n := l.pace.reactions
	l.say("reactions from zero and of a burst, %d each", n)
	floor, err := l.floor(ctx, n)
	if err != nil {
		return err
	}
	asleep, awake := names("zero", n), names("burst", min(n, 15))
	if err := l.groups(ctx, slices.Concat(asleep, awake)...); err != nil {
		return err
	}
	f, err := l.create(ctx, "", n, func(i int) member { return l.onStream(asleep[i], 0) })
	if err != nil {
		return err
	}
	bursts, err := l.create(ctx, "", len(awake), func(i int) member { return l.onStream(awake[i], 1) })
	if err != nil {
		return err
	}
	listeners, err := l.listeners(ctx, n)
	if err != nil {
		return err
	}
	return l.with(ctx, "", func(a *product.Autoscaler) error {
		if err := polled(ctx, a, 2*n+len(awake), time.Minute); err != nil {
			return err
		}
		pause(ctx, l.pace.calm)
		if err := l.fromZero(ctx, f, asleep, floor); err != nil {
			return err
		}
		if err := l.fromNotify(ctx, listeners); err != nil {
			return err
		}
		took, err := l.burst(ctx, bursts, awake)
		if err == nil {
			l.report.add("reaction/burst/redis/p50-ms", ms(percentile(took, 50)), fmt.Sprintf("worst of %d: %.0f ms", len(took), ms(slices.Max(took))))
		}
		return err
	})
}

func (l *lab) fromZero(ctx context.Context, f *fleet, names []string, floor time.Duration) error {
	var took []time.Duration
	for _, name := range names {
		pause(ctx, settle)
		began, err := l.add(ctx, 1, name)
		if err != nil {
			return err
		}
		at, err := l.audit.await(ctx, 1, reactionWithin, f.key(name))
		if err != nil {
			return err
		}
		took = append(took, at[0].Sub(began))
	}
	note := fmt.Sprintf("p50 %.1f ms; a bare PATCH takes %.1f ms", ms(percentile(took, 50)), ms(floor))
	l.report.add("reaction/zero/redis/p50-ratio", ms(percentile(took, 50))/ms(floor), note)
	l.report.add("reaction/zero/redis/p99-ms", ms(percentile(took, 99)), fmt.Sprintf("of %d", len(took)))
	return nil
}

// burst adds 500 entries to one workload after another and times each until it has 50 replicas.
func (l *lab) burst(ctx context.Context, f *fleet, names []string) ([]time.Duration, error) {
	var took []time.Duration
	for _, name := range names {
		// Anywhere in the interval of the polls.
		pause(ctx, settle+time.Duration(l.rng.Int64N(int64(time.Second))))
		began, err := l.add(ctx, 500, name)
		if err != nil {
			return nil, err
		}
		at, err := l.audit.await(ctx, 50, reactionWithin, f.key(name))
		if err != nil {
			return nil, err
		}
		took = append(took, at[0].Sub(began))
	}
	return took, nil
}

// listeners are workloads that wait for a NOTIFY.
func (l *lab) listeners(ctx context.Context, n int) (*fleet, error) {
	if _, err := l.postgres.DB().ExecContext(ctx, "create table if not exists jobs (queue text)"); err != nil {
		return nil, fmt.Errorf("prepare PostgreSQL: %w", err)
	}
	return l.create(ctx, "", n, func(i int) member {
		m := l.onPostgres(fmt.Sprintf("listen-%04d", i), 0)
		m.notes["trigger.jobs"] = strings.TrimSuffix(m.notes["trigger.jobs"], "}") + fmt.Sprintf(", listen: listen_%04d}", i)
		return m
	})
}

func (l *lab) onPostgres(name string, least int32) member {
	m := l.onStream(name, least)
	delete(m.notes, "trigger.orders")
	host, port, _ := strings.Cut(l.postgres.Addr(), ":")
	m.notes["trigger.jobs"] = fmt.Sprintf("{type: postgres, host: %s, port: %s, username: postgres, password: %s, database: postgres, sslmode: disable, query: \"select count(*) from jobs where queue = '%s'\", target: 10}",
		host, port, postgresPassword, name)
	return m
}

func (l *lab) fromNotify(ctx context.Context, f *fleet) error {
	var took []time.Duration
	for i, key := range f.keys {
		pause(ctx, settle)
		began := time.Now()
		if _, err := l.postgres.DB().ExecContext(ctx, fmt.Sprintf("insert into jobs values ('%s'); notify listen_%04d", key.Name, i)); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
		at, err := l.audit.await(ctx, 1, reactionWithin, key)
		if err != nil {
			return err
		}
		took = append(took, at[0].Sub(began))
	}
	l.report.add("reaction/zero/postgres-listen/p99-ms", ms(percentile(took, 99)), fmt.Sprintf("p50 %.1f ms of %d", ms(percentile(took, 50)), len(took)))
	return nil
}

// reactionsLoaded measures an autoscaler with a thousand workloads, of which the names asleep are at zero and those awake have just been woken.
func (l *lab) reactionsLoaded(ctx context.Context, f *fleet, asleep, awake []string) error {
	l.say("reactions among %d workloads", len(f.keys))
	woken, rest := asleep[:50], asleep[50:]
	pause(ctx, l.pace.calm) // or what follows a restart would be measured with it
	took, err := l.wake(ctx, f.keysOf(woken), woken)
	if err != nil {
		return err
	}
	floor, err := l.floorAtOnce(ctx, len(took))
	if err != nil {
		return err
	}
	l.report.add("reaction/loaded/p99-ms", ms(percentile(took, 99)), fmt.Sprintf("p50 %.0f ms of %d woken at once; of as many bare PATCHes p50 %.0f and p99 %.0f ms",
		ms(percentile(took, 50)), len(took), ms(percentile(floor, 50)), ms(percentile(floor, 99))))
	beside := names("beside", 10)
	if err := l.groups(ctx, beside...); err != nil {
		return err
	}
	others, err := l.create(ctx, f.class, len(beside), func(i int) member { return l.onStream(beside[i], 1) })
	if err != nil {
		return err
	}
	fresh, freshNames, err := l.replace(ctx, f, slices.Concat(awake, woken))
	if err != nil {
		return err
	}
	pause(ctx, l.pace.calm) // they have been adopted and polled
	if took, err = l.burst(ctx, others, beside); err != nil {
		return err
	}
	l.report.add("reaction/beside-1000/p50-ms", ms(percentile(took, 50)), fmt.Sprintf("worst of %d: %.0f ms", len(took), ms(slices.Max(took))))
	pause(ctx, l.pace.calm) // the API server is busy with the pods of the bursts, which it is not for the bare PATCHes either
	if took, err = l.wake(ctx, slices.Concat(f.keysOf(rest), fresh.keys), slices.Concat(rest, freshNames)); err != nil {
		return err
	}
	if floor, err = l.floorAtOnce(ctx, len(took)); err != nil {
		return err
	}
	l.report.add("reaction/herd/all-seconds", slices.Max(took).Seconds(), fmt.Sprintf("%d woken at once, half of them within %.2g s; as many bare PATCHes take %.2g s, half of them %.2g s",
		len(took), percentile(took, 50).Seconds(), slices.Max(floor).Seconds(), percentile(floor, 50).Seconds()))
	return nil
}

// replace deletes workloads and makes as many that sleep.
func (l *lab) replace(ctx context.Context, f *fleet, gone []string) (*fleet, []string, error) {
	for _, name := range gone {
		if err := l.kube.AppsV1().Deployments(f.namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			return nil, nil, fmt.Errorf("delete workloads: %w", err)
		}
	}
	fresh := names("fresh", len(gone))
	if err := l.groups(ctx, fresh...); err != nil {
		return nil, nil, err
	}
	sleepers, err := l.create(ctx, f.class, len(fresh), func(i int) member { return l.onStream(fresh[i], 0) })
	return sleepers, fresh, err
}

// wake gives work to many workloads at once and returns how long each slept on. The names are those of their streams.
func (l *lab) wake(ctx context.Context, keys []types.NamespacedName, names []string) ([]time.Duration, error) {
	began, err := l.add(ctx, 1, names...)
	if err != nil {
		return nil, err
	}
	at, err := l.audit.await(ctx, 1, 3*reactionWithin, keys...)
	return since(began, at), err
}

// restart kills an autoscaler and starts it again while work comes in.
func (l *lab) restart(ctx context.Context, a *product.Autoscaler, f *fleet, asleep []string) error {
	l.say("kill -9 and a new start among %d workloads", len(f.keys))
	if err := a.Kill(); err != nil {
		return err
	}
	began, err := l.add(ctx, 1, asleep...)
	if err != nil {
		return err
	}
	if err := a.Restart(ctx); err != nil {
		return err
	}
	at, err := l.audit.await(ctx, 1, 5*reactionWithin, f.keysOf(asleep)...)
	if err != nil {
		return err
	}
	var took []time.Duration
	for _, t := range at {
		took = append(took, t.Sub(began))
	}
	l.report.add("restart/1000/p99-seconds", percentile(took, 99).Seconds(), fmt.Sprintf("p50 %.2g s of %d woken at the kill", percentile(took, 50).Seconds(), len(took)))
	return nil
}

// percentile is the smallest value that p percent do not exceed.
func percentile(took []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[max((len(sorted)*p+99)/100, 1)-1]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
