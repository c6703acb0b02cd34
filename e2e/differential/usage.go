package differential

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

const resourceAPI = "metrics.k8s.io/v1beta1"

// The containers of every pod.
const (
	worker  = "worker"
	sidecar = "sidecar"
)

// sampleWindow is what samples say to be the average over. A pod that has not been Ready for as long is not believed by the HPA, nor by ours.
const sampleWindow = time.Second

// requests are what each container asks for, in the units of a Load.
func requests() map[string]map[corev1.ResourceName]int64 {
	return map[string]map[corev1.ResourceName]int64{
		worker:  {corev1.ResourceCPU: 200, corev1.ResourceMemory: 256},
		sidecar: {corev1.ResourceCPU: 100, corev1.ResourceMemory: 64},
	}
}

func containers() []corev1.Container {
	var all []corev1.Container
	for _, name := range []string{worker, sidecar} {
		asks := requests()[name]
		all = append(all, corev1.Container{Name: name, Image: name, Resources: corev1.ResourceRequirements{Requests: quantities(asks)}})
	}
	return all
}

func quantities(amounts map[corev1.ResourceName]int64) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, n := range amounts {
		list[name] = quantity(name, n)
	}
	return list
}

func quantity(name corev1.ResourceName, n int64) resource.Quantity {
	if name == corev1.ResourceMemory {
		return *resource.NewQuantity(n<<20, resource.BinarySI)
	}
	return *resource.NewMilliQuantity(n, resource.DecimalSI)
}

// resourceSpec is the metric of the HPA.
func (m Metric) resourceSpec() autoscalingv2.MetricSpec {
	target := autoscalingv2.MetricTarget{Type: m.Type}
	// The targets are written in generate.go.
	n, _ := strconv.ParseInt(m.Target, 10, 32)
	if m.Type == autoscalingv2.UtilizationMetricType {
		target.AverageUtilization = new(int32(n))
	} else {
		target.AverageValue = new(quantity(m.Resource, n))
	}
	if m.Container != "" {
		return autoscalingv2.MetricSpec{
			Type:              autoscalingv2.ContainerResourceMetricSourceType,
			ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: m.Resource, Container: m.Container, Target: target},
		}
	}
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: m.Resource, Target: target}}
}

// resourceTrigger is the trigger of ours.
func (m Metric) resourceTrigger() string {
	target := m.Target + "%"
	if m.Type != autoscalingv2.UtilizationMetricType {
		n, _ := strconv.ParseInt(m.Target, 10, 32)
		q := quantity(m.Resource, n)
		target = q.String()
	}
	text := fmt.Sprintf("{type: %s, target: %s, interval: %s", m.Resource, target, syncPeriod)
	if m.Container != "" {
		text += ", container: " + m.Container
	}
	return text + "}"
}

// each is the load that one pod is meant to carry.
func (m Metric) each() float64 {
	target, _ := strconv.ParseFloat(m.Target, 64)
	if m.Type != autoscalingv2.UtilizationMetricType {
		return target
	}
	requested := int64(0)
	for name, asks := range requests() {
		if m.Container == "" || m.Container == name {
			requested += asks[m.Resource]
		}
	}
	return target * float64(requested) / 100
}

// resource is the number of the metric that is one, or -1. There is at most one: a list does not say which metric it is asked for.
func (s *Scenario) resource() int {
	return slices.IndexFunc(s.Metrics, func(m Metric) bool { return m.Resource != "" })
}

// warmth is how long pods must have been Ready before they count. Kubernetes keeps that time in whole seconds.
func (s *Scenario) warmth() time.Duration {
	if s.resource() < 0 {
		return 0
	}
	return sampleWindow + 2*time.Second
}

// use is what the pods of one scenario use.
type use struct {
	namespace    string
	scenario     *Scenario
	theirs, ours *feed
	watcher      *watcher
}

// use makes both sides of a namespace read the load of the scenario's resource.
func (e *external) use(namespace string, s *Scenario, theirFeed *feed, w *watcher) *use {
	settled := func() (int32, bool) { return w.settled(namespace, ours, s.warmth()) }
	u := &use{namespace: namespace, scenario: s, theirs: theirFeed, ours: &feed{settled: settled, before: -1}, watcher: w}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.uses[namespace] = u
	return u
}

func (e *external) handleUse(mux *http.ServeMux) {
	path := "/apis/" + resourceAPI
	mux.HandleFunc("GET "+path, discover(resourceAPI))
	mux.HandleFunc("GET "+path+"/namespaces/{namespace}/pods", e.serveUse)
}

// serveUse tells the sides apart by what they ask for: the HPA selects the pods of its workload, ours reads a whole namespace.
func (e *external) serveUse(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	u := e.uses[r.PathValue("namespace")]
	e.mu.Unlock()
	if u == nil {
		refuse(w, http.StatusNotFound, "there are no metrics of this namespace")
		return
	}
	i, name := u.scenario.resource(), ours
	look := u.ours.lookAnew
	if r.URL.Query().Get("labelSelector") != "" {
		name, look = theirs, u.theirs.look
	}
	load, ok := look(i)
	switch {
	case !ok:
		refuse(w, http.StatusServiceUnavailable, "the workload is still settling")
	case load == Broken:
		refuse(w, http.StatusInternalServerError, "the metrics cannot be read")
	default:
		list, err := u.samples(name, load)
		if err != nil {
			refuse(w, http.StatusInternalServerError, err.Error())
			return
		}
		answer(w, http.StatusOK, list)
	}
}

// samples shares a load evenly among the measured pods of a workload.
func (u *use) samples(name string, load Load) (*v1beta1.PodMetricsList, error) {
	pods, err := u.watcher.of(u.namespace, name)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	pods = pods[min(u.scenario.Unmeasured, len(pods)):]
	list := &v1beta1.PodMetricsList{TypeMeta: metav1.TypeMeta{Kind: "PodMetricsList", APIVersion: resourceAPI}, Items: []v1beta1.PodMetrics{}}
	left := int64(load)
	for i, pod := range pods {
		share := left / int64(len(pods)-i)
		left -= share
		list.Items = append(list.Items, v1beta1.PodMetrics{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels},
			Timestamp:  metav1.Now(), Window: metav1.Duration{Duration: sampleWindow}, Containers: u.scenario.Metrics[u.scenario.resource()].split(share),
		})
	}
	return list, nil
}

// split makes a pod's containers use an amount together, or the measured one that amount and the other a lot that is nobody's business. Of the
// resource that is not measured there is a lot, too.
func (m Metric) split(amount int64) []v1beta1.ContainerMetrics {
	const lot = math.MaxInt16
	amounts := map[string]int64{worker: amount - amount/4, sidecar: amount / 4}
	if m.Container != "" {
		amounts = map[string]int64{worker: lot, sidecar: lot}
		amounts[m.Container] = amount
	}
	var all []v1beta1.ContainerMetrics
	for _, name := range []string{worker, sidecar} {
		usage := map[corev1.ResourceName]int64{corev1.ResourceCPU: lot, corev1.ResourceMemory: lot}
		usage[m.Resource] = amounts[name]
		all = append(all, v1beta1.ContainerMetrics{Name: name, Usage: quantities(usage)})
	}
	return all
}
