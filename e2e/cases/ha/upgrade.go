package ha

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/servers"
)

// readyWithoutLeading has replicas that lead nothing, and a rollout of them.
func readyWithoutLeading(t *testing.T, w *world.World) {
	r := newReplicas(w, "ready")
	a, b := r.start("a", "--webhook"), r.start("b", "--webhook")
	r.deploy(8, nil)
	r.awaitShared(world.Soon, a, b)
	if err := b.proxy.Set(servers.Silent); err != nil {
		t.Fatal(err)
	}
	r.awaitShared(takeover, a)
	for _, one := range []*replica{a, b} {
		if err := serves(t, one); err != nil {
			t.Errorf("%s: %v", one.name, err)
		}
	}
	if err := b.proxy.Set(servers.Pass); err != nil {
		t.Fatal(err)
	}
	r.awaitShared(world.Soon, a, b)
	// One more than there should be, then one less, as a rollout with maxUnavailable 0 does.
	c := r.start("c", "--webhook")
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	d := r.start("d", "--webhook")
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, one := range []*replica{c, d} {
		if err := serves(t, one); err != nil {
			t.Errorf("%s: %v", one.name, err)
		}
	}
	r.awaitShared(world.Soon, c, d)
	r.push()
	r.awaitLevel(world.Soon)
	r.wantNoFall()
}

// serves asks a replica's probes and its webhook.
func serves(t *testing.T, one *replica) error {
	t.Helper()
	if err := one.Ready(t.Context()); err != nil {
		return fmt.Errorf("it is not ready: %w", err)
	}
	if err := one.Alive(t.Context()); err != nil {
		return fmt.Errorf("it says it needs a restart: %w", err)
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Operation: admissionv1.Create, Kind: metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
			Object: runtime.RawExtension{Raw: []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"plain","namespace":"any"}}`)},
		},
	})
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // that it serves is what counts here
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+one.WebhookAddress()+"/mutate", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("its webhook does not answer: %w", err)
	}
	defer response.Body.Close()
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(response.Body).Decode(&review); err != nil || review.Response == nil || !review.Response.Allowed {
		return fmt.Errorf("its webhook answered %s, %+v, %w", response.Status, review.Response, err)
	}
	return nil
}

// slowUpgrade replaces a replica that has many workloads and reads slow sources.
func slowUpgrade(t *testing.T, w *world.World) {
	const workloads, slow = 500, 50
	r := newReplicas(w, "upgrade")
	r.unrecorded = true // its leases were all taken by the time that counts
	a := r.start("a")
	stream, backend := w.Stream("s"), servers.MustRedis(t, servers.RedisOptions{})
	triggers := make([]string, workloads)
	for i := range triggers {
		triggers[i] = w.Trigger(stream, "")
		if i < slow {
			proxy := servers.MustProxy(t, backend.Addr())
			if err := proxy.Set(servers.Freeze); err != nil {
				t.Fatal(err)
			}
			triggers[i] = fmt.Sprintf("{type: redis-streams, address: %q, stream: s, target: 5}", proxy.Addr())
		}
	}
	w.DeployAll(world.Numbered("w", workloads), 0, func(i int) world.Settings {
		return world.Quick(world.Settings{"class": r.class, "polling-interval": "5s", "trigger.orders": triggers[i]})
	})
	as(w, a).AwaitDecided(workloads, time.Time{}, 2*time.Minute) // found by the sweep
	b := r.start("b")
	r.awaitShared(world.Soon, a, b)
	began := time.Now()
	if err := a.Stop(); err != nil {
		t.Errorf("the old replica did not stop by itself: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the old replica took %s to stop, want at most 10s", took)
	}
	r.awaitShared(handover, b)
	as(w, b).AwaitDecided(workloads, time.Time{}, 30*time.Second)
	if !b.Running() {
		t.Error("the new replica does not run any more")
	}
}
