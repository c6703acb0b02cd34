package target_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/scalingtest"
	"autoscale.io/scaling/scalingtest/apiserver"
	"autoscale.io/scaling/target"
)

// bench is a world without an autoscaler and a client of it.
type bench struct {
	*scalingtest.World
	*target.Client
	clients apiserver.Clients
}

// run runs a test in a bench with objects.
func run(t *testing.T, test func(*bench), objects ...runtime.Object) {
	t.Helper()
	scalingtest.RunWith(t, scalingtest.Options{Replicas: -1}, func(w *scalingtest.World) {
		clients, err := w.API.Clients(scalingtest.Autoscaler, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.Create(objects...)
		test(&bench{w, &target.Client{Scales: clients.Scales, Metadata: clients.Metadata, Deployments: clients.Kube.AppsV1(), Jobs: clients.Kube.BatchV1()}, clients})
	})
}

func keyOf(resource schema.GroupVersionResource, name string) decisions.Key {
	return decisions.Key{Resource: resource, Namespace: scalingtest.Namespace, Name: name}
}

func deployment(name string) decisions.Key {
	return keyOf(appsv1.SchemeGroupVersion.WithResource("deployments"), name)
}

func (b *bench) read(key decisions.Key) target.Scale {
	b.Helper()
	live, err := b.Client.Get(b.Context(), key)
	if err != nil {
		b.Fatal(err)
	}
	return live
}

func (b *bench) wantError(err error, want string) {
	b.Helper()
	if err == nil || err.Error() != want {
		b.Errorf("got the error %v\nwant %s", err, want)
	}
}

func (b *bench) wantWrites(name string, want ...string) {
	b.Helper()
	if got := b.World.Writes(name); !slices.Equal(got, want) {
		b.Errorf("the writes were %q, want %q", got, want)
	}
}

func patches(c apiserver.Call) bool { return c.User == scalingtest.Autoscaler && c.Verb == "patch" }

func conflict() error {
	return apierrors.NewConflict(schema.GroupResource{Group: "apps", Resource: "deployments"}, "worker", errors.New("modified"))
}

func TestScaleAndItsFence(t *testing.T) {
	key := deployment("worker")
	run(t, func(b *bench) {
		seen := b.read(key)
		written, err := b.Client.Scale(t.Context(), key, seen, 4)
		if err != nil || written.Replicas != 4 || written.UID != seen.UID || written.ResourceVersion == seen.ResourceVersion {
			t.Errorf("got %+v and %v", written, err)
		}
		// What was seen is of another version by now, so the first write meets a conflict and the count is another one.
		_, err = b.Client.Scale(t.Context(), key, seen, 6)
		var changed *target.ChangedError
		if !errors.As(err, &changed) || changed.Live != written {
			t.Errorf("got %v, want what is live", err)
		}
		b.wantError(err, "scale deployments.apps shop/worker from 2 to 6: the count has become 4 meanwhile")
		// The same count at another version is written after a fresh read.
		b.SetStatus("worker", `{"readyReplicas":1}`)
		if got, err := b.Client.Scale(t.Context(), key, written, 6); err != nil || got.Replicas != 6 {
			t.Errorf("got %+v and %v", got, err)
		}
		const refused, scale = "patch deployments.apps/scale: Conflict", "patch deployments.apps/scale replicas="
		b.wantWrites("worker", scale+"4", refused, refused, scale+"6")
		who, err := b.LastScaler(t.Context(), key)
		if err != nil || who != "autoscale.io (scale)" {
			t.Errorf("%q scaled last, %v", who, err)
		}
	}, scalingtest.Deployment("worker", 2, nil))
}

// TestScaleOfAnObjectThatIsMadeAnew has the same name and count, and is another object.
func TestScaleOfAnObjectThatIsMadeAnew(t *testing.T) {
	key := deployment("worker")
	run(t, func(b *bench) {
		seen := b.read(key)
		b.World.Delete("worker")
		_, err := b.Client.Scale(t.Context(), key, seen, 4)
		if !target.IsGone(err) {
			t.Errorf("got %v, want that it is gone", err)
		}
		b.Create(scalingtest.Deployment("worker", 2, nil))
		_, err = b.Client.Scale(t.Context(), key, seen, 4)
		var changed *target.ChangedError
		if !errors.As(err, &changed) || changed.Live != b.read(key) || changed.Live.UID == seen.UID {
			t.Errorf("got %v, want the other object", err)
		}
		b.WantCounts("worker", 2)
	}, scalingtest.Deployment("worker", 2, nil))
}

func TestScaleMeetsFaults(t *testing.T) {
	key := deployment("worker")
	for name, test := range map[string]struct {
		fault apiserver.Fault
		err   string
		count int32
	}{
		"conflicts that end":    {apiserver.Fault{Err: conflict(), Times: 3}, "", 4},
		"conflicts without end": {apiserver.Fault{Err: conflict()}, `scale deployments.apps shop/worker from 2 to 4: Operation cannot be fulfilled on deployments.apps "worker": modified`, 2},
		"an error is no reason to write twice": {
			apiserver.Fault{Err: apierrors.NewInternalError(errors.New("etcd is away")), Times: 1},
			"scale deployments.apps shop/worker from 2 to 4: Internal error occurred: etcd is away", 2,
		},
		"a lost answer": {
			apiserver.Fault{Err: errors.New("EOF"), TakesEffect: true, Times: 1},
			`scale deployments.apps shop/worker from 2 to 4: Patch "https://api.test/apis/apps/v1/namespaces/shop/deployments/worker/scale?fieldManager=autoscale.io": EOF`, 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bench) {
				test.fault.Match = patches
				b.API.Inject(test.fault)
				_, err := b.Client.Scale(t.Context(), key, b.read(key), 4)
				if test.err == "" && err != nil || test.err != "" && (err == nil || err.Error() != test.err) {
					t.Errorf("got the error %v, want %s", err, test.err)
				}
				if got := b.World.Replicas("worker"); got != test.count {
					t.Errorf("%d replicas, want %d", got, test.count)
				}
			}, scalingtest.Deployment("worker", 2, nil))
		})
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	run(t, func(b *bench) {
		for _, test := range []struct {
			resource schema.GroupVersionResource
			want     string
		}{
			{appsv1.SchemeGroupVersion.WithResource("deployments"), `read the scale of deployments.apps shop/none: deployments.apps "none" not found`},
			{batchv1.SchemeGroupVersion.WithResource("jobs"), `read the parallelism of jobs.batch shop/none: jobs.batch "none" not found`},
			{batchv1.SchemeGroupVersion.WithResource("cronjobs"), `read cronjobs.batch shop/none: cronjobs.batch "none" not found`},
		} {
			_, err := b.Client.Get(t.Context(), keyOf(test.resource, "none"))
			b.wantError(err, test.want)
			if !target.IsGone(err) {
				t.Errorf("%v does not count as gone", err)
			}
		}
		_, err := b.RollingOut(t.Context(), deployment("none"))
		b.wantError(err, `read the rollout of deployments.apps shop/none: deployments.apps "none" not found`)
		_, err = b.LastScaler(t.Context(), deployment("none"))
		b.wantError(err, `read who scaled deployments.apps shop/none: deployments.apps "none" not found`)
		_, err = target.PodsOf(target.Scale{Pods: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}})
		b.wantError(err, `read the selector of the Job's pods: "Like" is not a valid label selector operator`)
	})
}

func TestKindsAndTheirCounts(t *testing.T) {
	cron := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "mail"}, Spec: batchv1.CronJobSpec{Schedule: "@yearly"}}
	run(t, func(b *bench) {
		for _, test := range []struct {
			key   decisions.Key
			count int32
		}{
			{keyOf(appsv1.SchemeGroupVersion.WithResource("statefulsets"), "db"), 3},
			{keyOf(batchv1.SchemeGroupVersion.WithResource("jobs"), "batch"), 4},
			{keyOf(batchv1.SchemeGroupVersion.WithResource("cronjobs"), "mail"), 0},
		} {
			live, object := b.read(test.key), b.World.Get(test.key.Name)
			if live.Replicas != test.count || live.UID != object.GetUID() || live.ResourceVersion != object.GetResourceVersion() {
				t.Errorf("%s: got %+v", test.key, live)
			}
			if rolling, err := b.RollingOut(t.Context(), test.key); rolling || err != nil {
				t.Errorf("%s: rolling out %t, %v", test.key, rolling, err)
			}
		}
		job := keyOf(batchv1.SchemeGroupVersion.WithResource("jobs"), "batch")
		if got, err := b.Client.Scale(t.Context(), job, b.read(job), 9); err != nil || got.Replicas != 9 {
			t.Errorf("got %+v and %v", got, err)
		}
		if who, err := b.LastScaler(t.Context(), job); who != "autoscale.io" || err != nil {
			t.Errorf("%q scaled last, %v", who, err)
		}
		b.wantWrites("batch", "patch jobs.batch parallelism=9")
	}, scalingtest.StatefulSet("db", 3, nil), scalingtest.Job("batch", 4, nil), cron)
}

func TestRollingOutIsRead(t *testing.T) {
	run(t, func(b *bench) {
		b.SetStatus("worker", `{"replicas":3,"updatedReplicas":1}`)
		if rolling, err := b.RollingOut(t.Context(), deployment("worker")); !rolling || err != nil {
			t.Errorf("rolling out %t, %v", rolling, err)
		}
	}, scalingtest.Deployment("worker", 2, nil))
}

// TestAnnotateAndItsFence writes to the object that it is for or to none.
func TestAnnotateAndItsFence(t *testing.T) {
	key := deployment("worker")
	run(t, func(b *bench) {
		live := b.read(key)
		text := ptr.To("1")
		change := target.Metadata{UID: live.UID, ResourceVersion: live.ResourceVersion, Labels: map[string]*string{annotations.Bucket: text}, Annotations: map[string]*string{"a": text}}
		if got, err := b.Client.Annotate(t.Context(), key, change); err != nil || got.Labels[annotations.Bucket] != "1" || got.Annotations["a"] != "1" {
			t.Fatalf("got %+v and %v", got, err)
		}
		if _, err := b.Client.Annotate(t.Context(), key, change); !apierrors.IsConflict(err) || target.IsGone(err) {
			t.Errorf("got %v, want a conflict", err)
		}
		change.UID, change.ResourceVersion = "other", ""
		_, err := b.Client.Annotate(t.Context(), key, change)
		if !target.IsGone(err) {
			t.Errorf("got %v, want that it is gone", err)
		}
		change = target.Metadata{UID: live.UID, Annotations: map[string]*string{"a": nil}}
		if got, err := b.Client.Annotate(t.Context(), key, change); err != nil || len(got.Annotations) > 0 {
			t.Errorf("got %+v and %v", got, err)
		}
	}, scalingtest.Deployment("worker", 2, nil))
}

// TestNoteAndItsFence writes only while the object is managed.
func TestNoteAndItsFence(t *testing.T) {
	key := deployment("worker")
	d := scalingtest.Deployment("worker", 2, settings{"max-replicas": "3"})
	d.Labels = map[string]string{annotations.Bucket: "7"}
	run(t, func(b *bench) {
		managed := target.Managed{UID: b.read(key).UID, Label: "7"}
		if got, err := b.Note(t.Context(), key, managed, annotations.StateKey, "{}"); err != nil || got.Annotations[annotations.StateKey] != "{}" {
			t.Errorf("got %+v and %v", got, err)
		}
		for _, other := range []target.Managed{{UID: "other", Label: "7"}, {UID: managed.UID, Label: "8"}} {
			if _, err := b.Note(t.Context(), key, other, annotations.StateKey, "{}"); !errors.Is(err, target.ErrNotManaged) || !target.IsGone(err) {
				t.Errorf("got %v, want that it is not managed", err)
			}
		}
		b.API.Inject(apiserver.Fault{Match: patches, Err: apierrors.NewInternalError(errors.New("etcd is away"))})
		_, err := b.Note(t.Context(), key, managed, annotations.StateKey, "{}")
		b.wantError(err, "write annotation autoscale.io/state of deployments.apps shop/worker: Internal error occurred: etcd is away")
		if target.IsGone(err) {
			t.Errorf("%v counts as gone", err)
		}
		b.Advance(time.Second)
	}, d)
}
