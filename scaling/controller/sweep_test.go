package controller

import (
	"encoding/json"
	"testing"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/events"

	"autoscale.io/annotations"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/report"
	"autoscale.io/scaling/target"
)

// TestAdoptionAfterAnotherWrite lets another writer come between the list of a sweep and the adoption, as the cluster's own controllers do with each new workload.
func TestAdoptionAfterAnotherWrite(t *testing.T) {
	cron := Kind{batchv1.SchemeGroupVersion.WithKind("CronJob"), batchv1.SchemeGroupVersion.WithResource("cronjobs")} // has no count to be read
	for name, test := range map[string]struct {
		write func(*metav1.PartialObjectMetadata)
		want  string // the versions that adoptions were tried for
	}{
		"a status":           {func(*metav1.PartialObjectMetadata) {}, `["1","2"]`},
		"the annotations go": {func(m *metav1.PartialObjectMetadata) { m.Annotations = nil }, `["1"]`},
		"the webhook adopted": {func(m *metav1.PartialObjectMetadata) {
			m.Labels = map[string]string{annotations.Bucket: labelled(cron, m)}
		}, `["1"]`},
	} {
		t.Run(name, func(t *testing.T) {
			m := &metav1.PartialObjectMetadata{
				TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "CronJob"},
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "worker", UID: "u", ResourceVersion: "1", Annotations: map[string]string{annotations.Prefix + "max-replicas": "2"}},
			}
			scheme := fake.NewTestScheme()
			if err := metav1.AddMetaToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			client := fake.NewSimpleMetadataClient(scheme, m.DeepCopy())
			var tried []string
			client.PrependReactor("patch", "cronjobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
				var patch struct{ Metadata target.Metadata }
				if err := json.Unmarshal(action.(clienttesting.PatchAction).GetPatch(), &patch); err != nil {
					t.Error(err)
				}
				if tried = append(tried, patch.Metadata.ResourceVersion); len(tried) > 1 {
					return false, nil, nil
				}
				changed := m.DeepCopy()
				changed.ResourceVersion = "2"
				test.write(changed)
				if err := client.Tracker().Update(cron.Resource, changed, m.Namespace); err != nil {
					t.Error(err)
				}
				return true, nil, apierrors.NewConflict(cron.Resource.GroupResource(), m.Name, nil)
			})
			c := New(Options{
				Log: logr.Discard(), Target: &target.Client{Metadata: client}, Events: report.Events{Recorder: events.NewFakeRecorder(1)},
				Metrics: report.NewMetrics(decisions.New(func(decisions.Key) {})), Kinds: []Kind{cron},
			})
			c.owned[labelled(cron, m)] = t.Context()
			if err := c.sweepKind(t.Context(), cron); err != nil {
				t.Fatal(err)
			}
			if got, _ := json.Marshal(tried); string(got) != test.want {
				t.Errorf("tried for the versions %s, want %s", got, test.want)
			}
		})
	}
}

func labelled(kind Kind, m *metav1.PartialObjectMetadata) string {
	return (&Controller{}).labelOf(kind, m)
}
