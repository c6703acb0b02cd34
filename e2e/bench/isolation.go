package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"autoscale.io/e2e/product"
	"autoscale.io/scalers/scalertest/ports"
	"autoscale.io/scalers/scalertest/servers"
)

// isolation adds workloads whose servers are silent or refuse, and measures how late the healthy ones are polled.
//
// A poll keeps a beat, so the moments at which a workload is decided on are a whole number of intervals apart, plus what each was late. How late is the
// distance to the earliest moment of the beat that was seen.
func (l *lab) isolation(ctx context.Context, a *product.Autoscaler, healthy *fleet) error {
	const n = 200
	l.say("%d workloads on a silent server and %d on one that refuses", n, n)
	silent, err := servers.StartProxy(l.redis.Addr())
	if err != nil {
		return err
	}
	defer silent.Stop()
	if err := silent.Set(servers.Silent); err != nil {
		return err
	}
	refusing, err := ports.Reserve()
	if err != nil {
		return err
	}
	broken, err := l.create(ctx, healthy.class, 2*n, func(i int) member {
		m := l.onStream(fmt.Sprintf("broken-%04d", i), 1)
		address := refusing.String()
		if i%2 == 0 {
			address = silent.Addr()
		}
		m.notes["trigger.orders"] = strings.Replace(m.notes["trigger.orders"], l.redis.Addr(), address, 1)
		return m
	})
	if err != nil {
		return err
	}
	pause(ctx, l.pace.calm)
	late, err := lateness(ctx, a, healthy.namespace, l.pace.intervals)
	if err != nil {
		return err
	}
	l.report.add("isolation/p99-late-ms", ms(percentile(late, 99)), fmt.Sprintf("%d polls of %d workloads", len(late), len(healthy.keys)))
	// They would disturb what comes next.
	return l.remove(ctx, broken)
}

const interval = 5 * time.Second

// lateness follows the decisions of a namespace over some intervals.
func lateness(ctx context.Context, a *product.Autoscaler, namespace string, intervals int) ([]time.Duration, error) {
	moments := map[string][]time.Duration{}
	last := map[string]time.Duration{}
	for range 2 * intervals {
		pause(ctx, interval/2)
		decided, err := a.Decided(ctx, namespace)
		if err != nil {
			return nil, err
		}
		for name, moment := range decided {
			if at := time.Duration(moment.UnixNano()); at != last[name] {
				last[name] = at
				moments[name] = append(moments[name], at)
			}
		}
	}
	var late []time.Duration
	for _, at := range moments {
		if len(at) < intervals/2 {
			return nil, fmt.Errorf("a workload was decided on %d times in %s", len(at), time.Duration(intervals)*interval)
		}
		late = append(late, behind(at)...)
	}
	if len(late) == 0 {
		return nil, fmt.Errorf("no workload of namespace %s was decided on", namespace)
	}
	return late, nil
}

// behind are the distances of moments to the earliest beat that fits them all.
func behind(at []time.Duration) []time.Duration {
	first := at[0]
	offsets := make([]time.Duration, len(at))
	for i := range at {
		// The nearest beat of the first moment may be after it or before it.
		offsets[i] = (at[i]-first+interval/2)%interval - interval/2
	}
	least := slices.Min(offsets)
	for i := range offsets {
		offsets[i] -= least
	}
	return offsets
}
