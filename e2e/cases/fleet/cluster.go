package fleet

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/e2e/world"
)

// noisyCluster has 100 managed workloads, some of them on cpu, for which pods are watched, and then fills the cluster with what is not managed. The field had ten times as
// much and more, but 75 MB of Secrets, 30 MB of pods and 30 MB of Deployments in a cache would show as well.
func noisyCluster(t *testing.T, w *world.World) {
	const n, class, most, growth = 100, "noisy", 256 << 20, 15 << 20
	names := world.Numbered("w", n)
	streams(w, names)
	w.DeployAll(names, 1, func(i int) world.Settings {
		s := world.Quick(world.Settings{"class": class, "min-replicas": "1", "trigger.orders": w.Trigger(w.Stream(names[i]), world.Group)})
		if i%10 == 0 {
			s["cpu"] = "50%"
		}
		return s
	})
	alone := newAppetite(w, class, "alone", names)
	began := time.Now()
	noise(w)
	t.Logf("the noise was made within %s", time.Since(began))
	beside := newAppetite(w, class, "beside", names)
	t.Logf("alone: %s; beside the noise: %s", alone, beside)
	if beside.kept-alone.kept > growth {
		t.Errorf("with what is not managed the autoscaler keeps %s, and %s alone; want at most %d MiB more", beside, alone, growth>>20)
	}
	if beside.peak > most {
		t.Errorf("it took %s, want at most half of the shipped limit", beside)
	}
}

// appetite is the most memory that an autoscaler has had since its start, and what its heap keeps through collections of garbage.
type appetite struct{ peak, kept int }

func (a appetite) String() string {
	return fmt.Sprintf("%d MiB, of which %d MiB are kept", a.peak>>20, a.kept>>20)
}

// newAppetite measures an autoscaler that starts and polls some times.
func newAppetite(w *world.World, class, name string, names []string) appetite {
	w.T.Helper()
	own := apart(w, class, name)
	own.AwaitDecided(len(names), time.Time{}, time.Minute)
	gaps(own, names, 3, time.Minute) // the pods are there by then
	kept, looks, collected := 0, 0, 0
	own.Await("three collections of garbage", time.Minute, func(ctx context.Context) error {
		text, err := own.Scaler.Metrics(ctx) // which makes some
		if err != nil {
			return err
		}
		if now := int(world.Sample(text, "go_memstats_heap_alloc_bytes")); looks == 0 || now < kept {
			kept = now
		}
		count := int(world.Sample(text, "go_gc_duration_seconds_count"))
		if looks++; looks == 1 {
			collected = count
		}
		if count < collected+3 {
			return fmt.Errorf("there were %d in %d looks", count-collected, looks)
		}
		return nil
	})
	a := appetite{world.Memory(w.T, own.Scaler, "VmHWM"), kept}
	own.Stop()
	return a
}

// noise fills the case's namespace with releases of a package manager, pods that nobody has a node for, and Deployments with big annotations.
func noise(w *world.World) {
	w.T.Helper()
	release := bytes.Repeat([]byte("release "), 500_000/8)
	w.Each(world.Numbered("release", 150), func(ctx context.Context, i int) error {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("release-", i)}, Data: map[string][]byte{"release": release}}
		_, err := w.Kube.CoreV1().Secrets(w.Namespace).Create(ctx, secret, metav1.CreateOptions{})
		return err
	})
	w.Each(world.Numbered("pod", 1000), func(ctx context.Context, i int) error {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("pod-", i), Annotations: map[string]string{"example.com/note": strings.Repeat("n", 30_000)}},
			Spec:       corev1.PodSpec{SchedulerName: "nobody", Containers: []corev1.Container{{Name: "main", Image: "main"}}},
		}
		_, err := w.Kube.CoreV1().Pods(w.Namespace).Create(ctx, pod, metav1.CreateOptions{})
		return err
	})
	w.Each(world.Numbered("unmanaged", 600), func(ctx context.Context, i int) error {
		d := w.Deployment(fmt.Sprint("unmanaged-", i), 0, nil)
		d.Spec.Paused = true
		d.Annotations["example.com/note"] = strings.Repeat("n", 50_000)
		_, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(ctx, d, metav1.CreateOptions{})
		return err
	})
}

// editsWhileBusy edits a workload that has as much to do as it has replicas for, at a pace that makes polls and edits overlap.
func editsWhileBusy(t *testing.T, w *world.World) {
	const pace, long, name = 20 * time.Millisecond, 15 * time.Second, "worker"
	busy, idle, client := w.Stream("busy"), w.Stream("idle"), w.Redis.Client()
	for _, stream := range []string{busy, idle} {
		w.Group(client, stream, "0")
	}
	w.Add(client, busy, 50)
	w.Create(name, 10, world.Quick(world.Settings{"max-replicas": "20", "cooldown": "0s", "trigger.a": w.Trigger(busy, world.Group), "trigger.b": w.Trigger(idle, world.Group)}))
	w.Await("all pods are ready, as a rollout would hold the count", world.Soon, func(context.Context) error {
		if ready := w.Get(name).Status.ReadyReplicas; ready != 10 {
			return fmt.Errorf("%d are", ready)
		}
		return nil
	})
	w.AwaitValue(name, "a", "50")
	w.AwaitValue(name, "b", "0")
	decided := map[time.Time]bool{}
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	group, edits := errgroup.Group{}, 0
	group.SetLimit(8) // one alone would wait for its answer longer than the pace
	for end := time.Now().Add(long); time.Now().Before(end); edits++ {
		<-ticker.C
		n := edits
		group.Go(func() error { return editHarmlessly(w, name, busy, idle, n) })
		if n%10 == 0 {
			at, err := w.Scaler.Decided(t.Context(), w.Namespace)
			if err != nil {
				t.Fatal(err)
			}
			decided[at[name]] = true
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d edits, and %d different decisions were seen meanwhile", edits, len(decided))
	if edits < 100 || len(decided) < 5 {
		t.Errorf("%d edits and %d decisions between them: want 100 and 5 at least, or there was no danger", edits, len(decided))
	}
	w.AwaitDecisions(name, 3)
	w.WantCounts(name, 10)
	events, err := w.Kube.EventsV1().Events(w.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if e.ReportingController == "autoscale.io" && e.Regarding.Name == name {
			t.Errorf("there is the event %s: %s; want none, since nothing happened", e.Reason, e.Note)
		}
	}
}

// editHarmlessly makes the nth edit of a workload: another source for the trigger that has all the work, or for one that has none, or for all, or what is
// none of the autoscaler's business.
func editHarmlessly(w *world.World, name, busy, idle string, n int) error {
	other := n / 4 % 2
	switch n % 4 {
	case 0:
		return w.Annotate(name, world.Settings{"trigger.a": w.Trigger(busy, world.Group+fmt.Sprintf(", timeout: %dms", 500+other))})
	case 1:
		return w.Annotate(name, world.Settings{"trigger.b": w.Trigger(idle, world.Group+fmt.Sprintf(", activation: %d", other))})
	case 2:
		return w.Annotate(name, world.Settings{"max-replicas": fmt.Sprint(20 + other)}) // which every source may look at
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"example.com/edit":"%d"}}}`, n)
	_, err := w.Kube.AppsV1().Deployments(w.Namespace).Patch(w.T.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-annotate"})
	return err
}

// asks is what an autoscaler asks of the API server beside watches, leases and the look whether KEDA is there, which costs one request in 15 s whatever there is.
type asks struct {
	mu   sync.Mutex
	last time.Time
	text []string
}

func (a *asks) by(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		path, watch := r.URL.Path, r.URL.Query().Get("watch")
		if watch == "" && !strings.Contains(path, "/apis/coordination.k8s.io/") && !strings.HasPrefix(path, "/apis/keda.sh/") {
			a.mu.Lock()
			a.last = time.Now()
			a.text = append(a.text, fmt.Sprintf("%s %s %s", a.last.Format(time.TimeOnly), r.Method, path))
			a.mu.Unlock()
		}
		next.ServeHTTP(rw, r)
	})
}

// quiet is how long nothing has been asked, and what was the latest.
func (a *asks) quiet() (time.Duration, []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Since(a.last), slices.Clone(a.text[max(0, len(a.text)-5):])
}

// idleRequests has three autoscalers at a time, which manage nothing, one idle workload and 200 (so that what each costs shows). They have the shipped tempo of everything.
func idleRequests(t *testing.T, w *world.World) {
	const silence = 15 * time.Second // three polls
	for _, n := range []int{0, 1, 200} {
		class := fmt.Sprintf("idle-%d", n)
		names := world.Numbered(class, n)
		streams(w, append(names, class))
		w.DeployAll(names, 0, func(i int) world.Settings {
			return world.Settings{"class": class, "min-replicas": "0", "max-replicas": "10", "trigger.orders": w.Trigger(w.Stream(names[i]), world.Group)}
		})
	}
	type one struct {
		*world.World
		class string
		n     int
		asked *asks
	}
	var all []one
	for _, n := range []int{0, 1, 200} {
		class := fmt.Sprintf("idle-%d", n)
		api, asked := w.APIProxy(), &asks{last: time.Now()}
		api.Server.Config.Handler = asked.by(api.Server.Config.Handler)
		all = append(all, one{w.With(w.StartAutoscaler(class, class, "--kubeconfig="+w.KubeconfigTo(api))), class, n, asked})
	}
	for _, own := range all {
		own.AwaitDecided(own.n, time.Time{}, time.Minute)
		own.AwaitEvery(world.Look, own.class+" asks for nothing for three polls", time.Minute, func(context.Context) error {
			if quiet, latest := own.asked.quiet(); quiet < silence {
				return fmt.Errorf("the latest requests were %v", latest)
			}
			return nil
		})
		own.AwaitDecided(own.n, time.Now().Add(-silence), world.Look) // by polls that asked for nothing
	}
}
