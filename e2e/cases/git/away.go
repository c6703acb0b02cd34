package git

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/annotations"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
)

func gitBoundsCases() []world.Case {
	return []world.Case{
		{ID: "GO-bounds", Symptom: "new bounds in Git take effect some time later, or with the manifest's count", Holds: "they hold in the same request, from the live count on", In: world.Test, Run: boundsInGit},
		{ID: "GO-away", Symptom: "a sync while the webhook is away sets the manifest's count, and nobody knows who did it", Holds: "the loop answers it within a poll and names the field manager", In: world.Test, Alone: true, Run: syncWithoutWebhook},
	}
}

func boundsInGit(t *testing.T, w *world.World) {
	for name, apply := range ways(w) {
		object := strings.ReplaceAll(name, " ", "-")
		d := w.AtSix(object)
		for _, step := range []struct {
			key, value string
			want       int32
		}{{"max-replicas", "4", 4}, {"min-replicas", "3", 4}, {"max-replicas", "5", 5}} {
			d.Annotations[annotations.Prefix+step.key] = step.value
			if err := apply(d); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			w.AwaitReplicas(object, step.want, world.Soon) // five is what the loop makes of it, as the backlog asks for six
		}
		// Above the ceiling of before, so that only the webhook can have set it before the loop has been asked.
		d.Annotations[annotations.Prefix+"max-replicas"], d.Annotations[annotations.Prefix+"min-replicas"] = "20", "9"
		if err := apply(d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := *w.Get(object).Spec.Replicas; got != 9 {
			t.Errorf("%s: right after the new floor there are %d replicas, want 9", name, got)
		}
		w.AwaitDecisions(object, 2)
		w.WantCounts(object, 2, 6, 4, 5, 9)
	}
}

// webhookAt points the webhook configuration to a URL and returns the one before.
func webhookAt(ctx context.Context, w *world.World, url string) (before string, err error) {
	configs := w.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	config, err := configs.Get(ctx, product.WebhookConfig, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	var patch []map[string]any
	for i := range config.Webhooks {
		patch = append(patch, map[string]any{"op": "replace", "path": fmt.Sprintf("/webhooks/%d/clientConfig/url", i), "value": url})
	}
	data, err := json.Marshal(patch)
	if err != nil {
		return "", err
	}
	_, err = configs.Patch(ctx, product.WebhookConfig, types.JSONPatchType, data, metav1.PatchOptions{})
	return *config.Webhooks[0].ClientConfig.URL, err
}

func syncWithoutWebhook(t *testing.T, w *world.World) {
	d := w.AtSix("worker")
	before, err := webhookAt(t.Context(), w, "https://"+w.ClosedAddress()+"/mutate")
	if err != nil {
		t.Fatal(err)
	}
	back := func(ctx context.Context) {
		if _, err := webhookAt(ctx, w, before); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { back(context.Background()) })
	w.AwaitWebhook(false)
	if err := w.ClientSideApply(d); err != nil {
		t.Fatal(err)
	}
	w.AwaitCounts("worker", 2, 6, 2, 6)
	w.AwaitEvent("worker", "ScaledByOther", "^kubectl-client-side-apply changed replicas from 6 to 2$")
	back(t.Context())
	w.AwaitWebhook(true)
	for range 3 {
		if err := w.ClientSideApply(d); err != nil {
			t.Fatal(err)
		}
	}
	w.AwaitDecisions("worker", 3)
	w.WantCounts("worker", 2, 6, 2, 6)
}
