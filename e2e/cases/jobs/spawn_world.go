package jobs

import (
	"context"
	"fmt"
	"slices"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/e2e/world"
)

// spawns are the Jobs that templates of a case have made, every one of them, and what became of their pods.
type spawns struct {
	*jobs

	mu sync.Mutex
	// made are all Jobs that were ever seen, by template.
	made map[string][]string
	// most is the largest number of unfinished ones at a time, by template, and unfinished the present one.
	most       map[string]int
	unfinished map[string]map[string]bool
	// started is called for each pod of a template's Job when it runs.
	started func(*corev1.Pod)
	running map[string]bool
}

func newSpawns(w *world.World) *spawns {
	w.T.Helper()
	s := &spawns{jobs: newJobs(w), made: map[string][]string{}, most: map[string]int{}, unfinished: map[string]map[string]bool{}, running: map[string]bool{}}
	factory := informers.NewSharedInformerFactoryWithOptions(w.Kube, 0, informers.WithNamespace(w.Namespace))
	_, err := factory.Batch().V1().Jobs().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { s.seeChild(o, false) }, UpdateFunc: func(_, o any) { s.seeChild(o, false) }, DeleteFunc: func(o any) { s.seeChild(o, true) },
	})
	if err != nil {
		w.T.Fatal(err)
	}
	see := func(o any) { s.seeStart(o) }
	if _, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, o any) { see(o) }}); err != nil {
		w.T.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w.T.Cleanup(stop)
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	return s
}

func (s *spawns) seeChild(object any, gone bool) {
	job, ok := object.(*batchv1.Job)
	template := ""
	if ok {
		template = job.Labels[annotations.Template]
	}
	if template == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.made[template], job.Name) {
		s.made[template] = append(s.made[template], job.Name)
	}
	if s.unfinished[template] == nil {
		s.unfinished[template] = map[string]bool{}
	}
	if gone || isFinished(job) {
		delete(s.unfinished[template], job.Name)
	} else {
		s.unfinished[template][job.Name] = true
	}
	s.most[template] = max(s.most[template], len(s.unfinished[template]))
}

func isFinished(job *batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed)
	})
}

func (s *spawns) seeStart(object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok || pod.Labels[annotations.Template] == "" || pod.Status.Phase != corev1.PodRunning {
		return
	}
	s.mu.Lock()
	first := !s.running[pod.Name]
	s.running[pod.Name] = true
	started := s.started
	s.mu.Unlock()
	if first && started != nil {
		started(pod)
	}
}

// seen are how many Jobs of a template were ever made, are unfinished, and were unfinished at most.
func (s *spawns) seen(template string) (made, unfinished, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.made[template]), len(s.unfinished[template]), s.most[template]
}

// awaitMade waits until exactly that many Jobs of a template were ever made.
func (s *spawns) awaitMade(template string, want int) {
	s.T.Helper()
	s.Await(fmt.Sprintf("%d Jobs of %s", want, template), 2*world.Soon, func(context.Context) error {
		if made, _, _ := s.seen(template); made != want {
			return fmt.Errorf("there have been %d", made)
		}
		return nil
	})
}

func (s *spawns) wantMade(template string, want int) {
	s.T.Helper()
	if made, _, _ := s.seen(template); made != want {
		s.T.Fatalf("there have been %d Jobs of %s, want %d", made, template, want)
	}
}

// children are the live Jobs of a template.
func (s *spawns) children(template string) []batchv1.Job {
	s.T.Helper()
	list, err := s.client.List(s.T.Context(), metav1.ListOptions{LabelSelector: annotations.Template + "=" + template})
	if err != nil {
		s.T.Fatal(err)
	}
	return list.Items
}

// awaitRunning waits until one pod of each of n Jobs of a template runs.
func (s *spawns) awaitRunning(template string, n int) {
	s.T.Helper()
	s.Await(fmt.Sprintf("%d pods of %s run", n, template), world.Soon, func(ctx context.Context) error {
		if got := len(s.runningPods(ctx, template)); got != n {
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
}

func (s *spawns) runningPods(ctx context.Context, template string) []corev1.Pod {
	s.T.Helper()
	list, err := s.Kube.CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: annotations.Template + "=" + template, FieldSelector: "status.phase=Running"})
	if err != nil {
		s.T.Fatal(err)
	}
	return list.Items
}

// end lets n pods of a template's Jobs end well.
func (s *spawns) end(template string, n int) {
	s.T.Helper()
	pods := s.runningPods(s.T.Context(), template)
	if len(pods) < n {
		s.T.Fatalf("%d pods of %s run, want at least %d", len(pods), template, n)
	}
	for _, pod := range pods[:n] {
		if err := endPod(s.T.Context(), s.Kube, &pod); err != nil {
			s.T.Fatal(err)
		}
	}
}

// template is a Job as a user would write it, whose pods end when the case says so.
func (s *spawns) template(name string, settings world.Settings) *batchv1.Job {
	job := s.Job(name, 1, settings)
	job.Spec.Completions, job.Spec.Suspend = nil, ptr.To(true)
	return job
}

func (s *spawns) cronTemplate(name string, settings world.Settings) *batchv1.CronJob {
	job := s.template(name, settings)
	job.Spec.Suspend = nil
	return &batchv1.CronJob{
		ObjectMeta: job.ObjectMeta,
		Spec:       batchv1.CronJobSpec{Schedule: "0 0 1 1 *", Suspend: ptr.To(true), JobTemplate: batchv1.JobTemplateSpec{Spec: job.Spec}},
	}
}

func (s *spawns) makeCron(cron *batchv1.CronJob) {
	s.T.Helper()
	if _, err := s.Kube.BatchV1().CronJobs(s.Namespace).Create(s.T.Context(), cron, metav1.CreateOptions{}); err != nil {
		s.T.Fatalf("create CronJob %s: %v", cron.Name, err)
	}
}

func (s *spawns) cron(name string) *batchv1.CronJob {
	s.T.Helper()
	cron, err := s.Kube.BatchV1().CronJobs(s.Namespace).Get(s.T.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.T.Fatal(err)
	}
	return cron
}
