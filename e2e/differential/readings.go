package differential

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"autoscale.io/e2e/product"
)

// scrapeInterval is shorter than any polling interval, so that no decision goes unseen on a machine that keeps up.
const scrapeInterval = 200 * time.Millisecond

// readings follows the autoscaler's metrics: when it looked, and what it saw.
type readings struct {
	mu         sync.Mutex
	namespaces map[string]*reading
	err        error
}

// reading is what is known of the workload of one namespace.
type reading struct {
	decided string
	beats   beats
	// values holds the value of each trigger as text; a trigger that cannot be read has none.
	values map[string]string
	known  map[string]bool
}

var (
	series  = regexp.MustCompile(`^autoscale_(workload_decision_timestamp_seconds|trigger_value|trigger_known)\{(.*)\} (\S+)$`)
	labelRE = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// follow scrapes until ctx ends.
func follow(ctx context.Context, scaler *product.Autoscaler) *readings {
	r := &readings{namespaces: map[string]*reading{}}
	go func() {
		ticker := time.NewTicker(scrapeInterval)
		defer ticker.Stop()
		for {
			text, err := scaler.Metrics(ctx)
			r.take(text, err)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return r
}

func (r *readings) take(text string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	fresh := map[string]bool{}
	for line := range strings.Lines(text) {
		found := series.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		labels := map[string]string{}
		for _, l := range labelRE.FindAllStringSubmatch(found[2], -1) {
			labels[l[1]] = l[2]
		}
		namespace := labels["namespace"]
		one := r.namespaces[namespace]
		if one == nil {
			one = &reading{}
			r.namespaces[namespace] = one
		}
		if !fresh[namespace] {
			fresh[namespace] = true
			one.values, one.known = map[string]string{}, map[string]bool{}
		}
		one.take(found[1], labels["trigger"], found[3])
	}
}

func (o *reading) take(name, trigger, value string) {
	switch name {
	case "trigger_value":
		o.values[trigger] = value
	case "trigger_known":
		o.known[trigger] = value == "1"
	default:
		if o.decided != value {
			o.decided = value
			o.beats.add(time.Now())
		}
	}
}

// seen says how often decisions were made in a namespace, and whether the latest one saw these loads; of a resource no more than whether it could be read.
func (r *readings) seen(namespace string, metrics []Metric, loads Step) (looks beats, current bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.namespaces[namespace]
	if one == nil {
		return beats{}, false
	}
	current = len(one.known) == len(loads)
	for i, load := range loads {
		name := metricName(i)
		known, there := one.known[name]
		right := !known || metrics[i].Resource != "" || one.values[name] == strconv.Itoa(int(load))
		current = current && there && known == (load != Broken) && right
	}
	return one.beats, current
}

// forget starts the longest pause between two decisions anew.
func (r *readings) forget(namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.namespaces[namespace]; one != nil {
		one.beats.longest = 0
	}
}
