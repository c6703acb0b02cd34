package resource

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"autoscale.io/scalers"
)

const (
	// initialization is how long after its start a pod's cpu is believed only with a measurement from the time since it became ready.
	initialization = 5 * time.Minute
	// initialReadiness is how long after its start a pod that is not ready counts as one that never was.
	initialReadiness = 30 * time.Second
	// maxAge is how old a measurement may be: three rounds of a metrics-server that measures once a minute.
	maxAge = 3 * time.Minute
	// settling is how long a pod may run before its first measurement is overdue.
	settling = 2 * time.Minute
)

// rules say what of a pod counts.
type rules struct {
	resource corev1.ResourceName
	// container is the one that counts; empty for all.
	container string
	// share says that usage is compared with requests, so each pod must have some.
	share bool
}

// count are the sums over pods, and what is worth a word about the rest.
type count struct {
	scalers.Pods
	// overdue is a pod whose measurement is overdue, and late one that should be ready by now, each the first by name; empty for none.
	overdue, late string
	pending       int
}

// count puts each pod into one of the groups. The error names the first pod by name that has no request.
func (r rules) count(pods []scalers.Pod, now time.Time) (count, error) {
	slices.SortFunc(pods, func(a, b scalers.Pod) int { return strings.Compare(a.Name, b.Name) })
	var c count
	for i := range pods {
		p := &pods[i]
		if p.Deleted || p.Phase == corev1.PodFailed || p.Phase == corev1.PodSucceeded {
			continue
		}
		request, err := r.request(p)
		if err != nil {
			return count{}, err
		}
		usage, measured := r.usage(p.Sample, now)
		switch {
		case p.Phase == corev1.PodPending:
			c.pending++
			c.unready(p, request, now)
		case !measured:
			c.Missing, c.MissingRequests = c.Missing+1, add(c.MissingRequests, request)
			if c.overdue == "" && now.Sub(began(p)) > settling {
				c.overdue = p.Name
			}
		case r.resource == corev1.ResourceCPU && unready(p, now):
			c.unready(p, request, now)
		default:
			c.Measured, c.Usage, c.Requests = c.Measured+1, add(c.Usage, usage), add(c.Requests, request)
		}
	}
	if c.Missing+c.Unready > 0 && r.inNone(pods) {
		return count{}, fmt.Errorf("no pod has a container named %s; want one of those of %s: %s", r.container, pods[0].Name, names(pods[0]))
	}
	return c, nil
}

// inNone says that no pod has the container that is to count.
func (r rules) inNone(pods []scalers.Pod) bool {
	return r.container != "" && !slices.ContainsFunc(pods, func(p scalers.Pod) bool {
		return slices.ContainsFunc(p.Containers, func(c scalers.Container) bool { return c.Name == r.container })
	})
}

func (c *count) unready(p *scalers.Pod, request int64, now time.Time) {
	c.Unready, c.UnreadyRequests = c.Unready+1, add(c.UnreadyRequests, request)
	if c.late == "" && now.Sub(began(p)) >= initialization {
		c.late = p.Name
	}
}

// waiting says why nothing was measured although nothing is overdue.
func (c count) waiting() string {
	switch all := c.Missing + c.Unready; {
	case all == 0:
		return "no pod is there yet"
	case c.pending == all:
		return "every pod is still pending"
	case c.Missing == 0:
		return "no pod is ready yet"
	}
	return "no pod has run long enough to be measured"
}

func began(p *scalers.Pod) time.Time {
	if p.Started.IsZero() {
		return p.Created
	}
	return p.Started
}

// unready says whether a pod's cpu is that of a start and not of work, by the rules of the HorizontalPodAutoscaler: in its first minutes a pod counts
// with a measurement that began after it became ready; later it counts, unless it never became ready.
func unready(p *scalers.Pod, now time.Time) bool {
	if p.Ready.Status == "" || p.Started.IsZero() {
		return true
	}
	no := p.Ready.Status == corev1.ConditionFalse
	if p.Started.Add(initialization).After(now) {
		return no || p.Sample.Time.Before(p.Ready.Since.Add(p.Sample.Window))
	}
	return no && p.Started.Add(initialReadiness).After(p.Ready.Since)
}

// usage is what a sample says in thousandths. One that is too old, or lacks a container, says nothing.
func (r rules) usage(s *scalers.Sample, now time.Time) (usage int64, ok bool) {
	if s == nil || now.Sub(s.Time) > maxAge {
		return 0, false
	}
	for name, used := range s.Usage {
		if r.container != "" && r.container != name {
			continue
		}
		quantity, measured := used[r.resource]
		if !measured {
			return 0, false
		}
		usage, ok = add(usage, quantity.MilliValue()), true
	}
	return usage, ok
}

// request is what a pod requests in thousandths; 0 where requests do not matter.
func (r rules) request(p *scalers.Pod) (int64, error) {
	if !r.share {
		return 0, nil
	}
	if quantity, whole := p.Requests[r.resource]; whole && r.container == "" {
		return quantity.MilliValue(), nil
	}
	sum, found := int64(0), false
	for _, c := range p.Containers {
		if r.container != "" && r.container != c.Name {
			continue
		}
		quantity, given := c.Requests[r.resource]
		if !given {
			return 0, fmt.Errorf("container %s of pod %s requests no %s, so there is no share of it; give it a request, name the container that counts with container:, or give target as a quantity",
				c.Name, p.Name, r.resource)
		}
		sum, found = add(sum, quantity.MilliValue()), true
	}
	if !found {
		return 0, fmt.Errorf("pod %s has no container named %s; want one of %s", p.Name, r.container, names(*p))
	}
	return sum, nil
}

func names(p scalers.Pod) string {
	all := make([]string, 0, len(p.Containers))
	for _, c := range p.Containers {
		all = append(all, c.Name)
	}
	return strings.Join(all, ", ")
}

// add is a + b, saturated: a wrapped sum would look like no use at all.
func add(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
