package resource

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"autoscale.io/scalers"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func list(name corev1.ResourceName, quantity string) corev1.ResourceList {
	return corev1.ResourceList{name: resource.MustParse(quantity)}
}

// running is a pod that has been ready for an hour. It requests 1 cpu and uses half of it, measured 10 s ago over 20 s.
func running(name string, edits ...func(*scalers.Pod)) scalers.Pod {
	began := noon.Add(-time.Hour)
	p := scalers.Pod{
		Name: name, Phase: corev1.PodRunning, Created: began, Started: began, Ready: scalers.Condition{Status: corev1.ConditionTrue, Since: began.Add(time.Second)},
		Containers: []scalers.Container{{Name: "app", Requests: list("cpu", "1")}},
		Sample:     &scalers.Sample{Time: noon.Add(-10 * time.Second), Window: 20 * time.Second, Usage: map[string]corev1.ResourceList{"app": list("cpu", "500m")}},
	}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

func phase(is corev1.PodPhase) func(*scalers.Pod) { return func(p *scalers.Pod) { p.Phase = is } }
func deleted(p *scalers.Pod)                      { p.Deleted = true }
func unmeasured(p *scalers.Pod)                   { p.Sample = nil }
func unscheduled(p *scalers.Pod)                  { p.Started, p.Ready = time.Time{}, scalers.Condition{} }

// started moves the start to that long ago, and readiness to that long after it.
func started(ago, readyAfter time.Duration) func(*scalers.Pod) {
	return func(p *scalers.Pod) {
		p.Started = noon.Add(-ago)
		p.Created, p.Ready.Since = p.Started, p.Started.Add(readyAfter)
	}
}

func notReady(p *scalers.Pod) { p.Ready.Status = corev1.ConditionFalse }

func measured(ago time.Duration) func(*scalers.Pod) {
	return func(p *scalers.Pod) { p.Sample.Time = noon.Add(-ago) }
}

// sidecar adds a container that uses 100m; request may be empty.
func sidecar(request string) func(*scalers.Pod) {
	return func(p *scalers.Pod) {
		c := scalers.Container{Name: "proxy"}
		if request != "" {
			c.Requests = list("cpu", request)
		}
		p.Containers = append(p.Containers, c)
		p.Sample.Usage["proxy"] = list("cpu", "100m")
	}
}

func TestGroupsOfPods(t *testing.T) {
	one := scalers.Pods{Measured: 1, Usage: 500, Requests: 1000}
	missing := scalers.Pods{Measured: 1, Usage: 500, Requests: 1000, Missing: 1, MissingRequests: 1000}
	unready := scalers.Pods{Measured: 1, Usage: 500, Requests: 1000, Unready: 1, UnreadyRequests: 1000}
	both := scalers.Pods{Measured: 2, Usage: 1000, Requests: 2000}
	for _, c := range []struct {
		name  string
		other scalers.Pod
		want  scalers.Pods
	}{
		{"ready", running("b"), both},
		{"deleted", running("b", deleted), one},
		{"failed", running("b", phase(corev1.PodFailed)), one},
		{"finished", running("b", phase(corev1.PodSucceeded)), one},
		{"pending", running("b", phase(corev1.PodPending), unscheduled, unmeasured), unready},
		{"pending and yet measured", running("b", phase(corev1.PodPending)), unready},
		{"not measured", running("b", unmeasured), missing},
		{"not measured and not ready", running("b", unmeasured, notReady), missing},
		{"measured at the bound", running("b", measured(3*time.Minute)), both},
		{"measured too long ago", running("b", measured(3*time.Minute+1)), missing},
		{"a container is not measured", running("b", func(p *scalers.Pod) { p.Sample.Usage["proxy"] = corev1.ResourceList{} }), missing},
		{"no condition", running("b", func(p *scalers.Pod) { p.Ready = scalers.Condition{} }), unready},
		{"no start", running("b", func(p *scalers.Pod) { p.Started = time.Time{} }), unready},

		{"young and not ready", running("b", started(time.Minute, 0), notReady), unready},
		{"young, measured before it was ready", running("b", started(time.Minute, 40*time.Second), measured(10*time.Second)), unready},
		{"young, measured partly before it was ready", running("b", started(time.Minute, 35*time.Second), measured(10*time.Second)), unready},
		{"young, measured since it was ready", running("b", started(time.Minute, 30*time.Second), measured(10*time.Second)), both},
		{"young to the last moment", running("b", started(5*time.Minute-1, 0), notReady), unready},
		{"no longer young, never ready", running("b", started(5*time.Minute, 29*time.Second), notReady), unready},
		{"no longer young, was ready before", running("b", started(5*time.Minute, 30*time.Second), notReady), both},
		{"no longer young, ready state not known", running("b", started(5*time.Minute, 0), func(p *scalers.Pod) { p.Ready.Status = corev1.ConditionUnknown }), both},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := rules{resource: "cpu", share: true}.count([]scalers.Pod{running("a"), c.other}, noon)
			if err != nil || got.Pods != c.want {
				t.Errorf("got %+v, %v; want %+v", got.Pods, err, c.want)
			}
		})
	}
}

// TestMemoryOfAStart is that of work: a pod's readiness means nothing to it.
func TestMemoryOfAStart(t *testing.T) {
	p := running("a", started(time.Minute, 0), notReady)
	p.Sample.Usage["app"], p.Containers[0].Requests = list("memory", "1Gi"), list("memory", "2Gi")
	got, err := rules{resource: "memory", share: true}.count([]scalers.Pod{p}, noon)
	if want := (scalers.Pods{Measured: 1, Usage: 1 << 30 * 1000, Requests: 2 << 30 * 1000}); err != nil || got.Pods != want {
		t.Errorf("got %+v, %v; want %+v", got.Pods, err, want)
	}
}

func TestContainersAndRequests(t *testing.T) {
	pair := running("a", sidecar("200m"))
	bare := running("a", sidecar(""))
	whole := running("a", sidecar(""), func(p *scalers.Pod) { p.Requests = list("cpu", "3") })
	elsewhere := running("a", func(p *scalers.Pod) { p.Requests = list("memory", "3Gi") })
	for _, c := range []struct {
		name  string
		rules rules
		pods  []scalers.Pod
		want  scalers.Pods
		err   string
	}{
		{"all containers", rules{share: true}, []scalers.Pod{pair}, scalers.Pods{Measured: 1, Usage: 600, Requests: 1200}, ""},
		{"one container", rules{share: true, container: "proxy"}, []scalers.Pod{pair}, scalers.Pods{Measured: 1, Usage: 100, Requests: 200}, ""},
		{"the pod's own request", rules{share: true}, []scalers.Pod{whole}, scalers.Pods{Measured: 1, Usage: 600, Requests: 3000}, ""},
		{"one container beside the pod's request", rules{share: true, container: "app"}, []scalers.Pod{whole}, scalers.Pods{Measured: 1, Usage: 500, Requests: 1000}, ""},
		{"the pod's request of something else", rules{share: true}, []scalers.Pod{elsewhere}, scalers.Pods{Measured: 1, Usage: 500, Requests: 1000}, ""},
		{"an average needs no requests", rules{}, []scalers.Pod{bare}, scalers.Pods{Measured: 1, Usage: 600}, ""},
		{"CM-03 no request", rules{share: true}, []scalers.Pod{running("b"), bare}, scalers.Pods{},
			"container proxy of pod a requests no cpu, so there is no share of it; give it a request, name the container that counts with container:, or give target as a quantity"},
		{"CM-03 but not of the one that counts", rules{share: true, container: "app"}, []scalers.Pod{bare}, scalers.Pods{Measured: 1, Usage: 500, Requests: 1000}, ""},
		{"no request of a pod that is going", rules{share: true}, []scalers.Pod{running("a", sidecar(""), deleted), running("b")}, scalers.Pods{Measured: 1, Usage: 500, Requests: 1000}, ""},
		{"no such container", rules{share: true, container: "ap"}, []scalers.Pod{pair}, scalers.Pods{}, "pod a has no container named ap; want one of app, proxy"},
		{"no such container anywhere", rules{container: "ap"}, []scalers.Pod{pair, running("b")}, scalers.Pods{}, "no pod has a container named ap; want one of those of a: app, proxy"},
		{"a container of the newer pods", rules{container: "proxy"}, []scalers.Pod{pair, running("b")}, scalers.Pods{Measured: 1, Usage: 100, Missing: 1}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rules.resource = "cpu"
			got, err := c.rules.count(c.pods, noon)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != c.err || got.Pods != c.want {
				t.Errorf("got %+v, %q; want %+v, %q", got.Pods, text, c.want, c.err)
			}
		})
	}
}

func TestSumsSaturate(t *testing.T) {
	huge := func(p *scalers.Pod) { p.Sample.Usage["app"] = list("cpu", "9000000000000000") }
	got, err := rules{resource: "cpu"}.count([]scalers.Pod{running("a", huge), running("b", huge)}, noon)
	if err != nil || got.Usage != 1<<63-1 {
		t.Errorf("got %+v, %v", got.Pods, err)
	}
}
