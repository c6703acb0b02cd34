package certs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/annotations"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
)

func reachCases() []world.Case {
	return []world.Case{
		{ID: "WH-02", Symptom: "the webhook stands in the way of its own pods, and never comes back", Holds: "with the policy Fail and no replica left, its own namespace is served, wherever it is", In: world.Test, Run: blocksItself},
		{ID: "WH-11", Symptom: "packets to the webhook's port are dropped, and every deploy waits", Holds: "only annotated objects wait, 3 s at most; the loop adopts them and metrics tell", In: world.Test, Run: unreachable},
		{ID: "WH-14", Symptom: "a burst of creations or big objects make the webhook run out of memory", Holds: "2,000 creations and objects near the limit take no more memory the second time, and far less than the limit", In: world.Soak, Alone: true, Run: burstOfCreations},
	}
}

// blocksItself has the policy Fail, and takes every replica away.
func blocksItself(t *testing.T, w *world.World) {
	i := newInstall(w, "Fail", "--certs=self-signed", "--cert-settle=1s")
	a := i.start("a")
	i.awaitServedFrom(product.CertificateSecret)
	i.wantStamped("before")
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	_, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(t.Context(), i.idle("meanwhile"), metav1.CreateOptions{})
	if want := `failed calling webhook "workloads.autoscale.io"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("creating an annotated object: %v; want %q, or nothing is put to the test", err, want)
	}
	if _, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(t.Context(), w.Deployment("plain", 0, nil), metav1.CreateOptions{}); err != nil {
		t.Errorf("an object without annotations is refused: %v", err)
	}
	// Its own Deployment: the pods go, and come back; it is deleted, and made again, annotated or not.
	all, _ := i.manifests()
	own := w.Kube.AppsV1().Deployments(i.name)
	if err := w.Kube.CoreV1().Pods(i.name).DeleteCollection(t.Context(), world.DeleteNow(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	i.awaitOwnPods()
	if err := own.Delete(t.Context(), "autoscaler", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if out, err := i.kubectl("apply", all); err != nil {
		t.Fatal(out, err)
	}
	i.awaitOwnPods()
	annotated := i.idle("annotated")
	annotated.Namespace = i.name
	if _, err := own.Create(t.Context(), annotated, metav1.CreateOptions{}); err != nil {
		t.Errorf("an annotated object in its own namespace is refused: %v", err)
	}
	if err := a.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	i.awaitReady(a)
	i.wantStamped("afterwards")
}

// awaitOwnPods waits until the pods of the shipped Deployment are as many as it says.
func (i *install) awaitOwnPods() {
	i.T.Helper()
	i.Await("the autoscaler's own pods are there", time.Minute, func(ctx context.Context) error {
		d, err := i.Kube.AppsV1().Deployments(i.name).Get(ctx, "autoscaler", metav1.GetOptions{})
		if err == nil && (d.Status.ObservedGeneration != d.Generation || d.Status.AvailableReplicas != *d.Spec.Replicas) {
			err = fmt.Errorf("%d of %d are available", d.Status.AvailableReplicas, *d.Spec.Replicas)
		}
		return err
	})
}

// unreachable points the webhook to a port that takes no connection, and then to the replica.
func unreachable(t *testing.T, w *world.World) {
	const limit, unhindered = 3 * time.Second, time.Second
	i := newInstall(w, "", "--certs=self-signed", "--cert-settle=1s")
	a := i.start("a")
	i.point(droppingPort(t))
	began := time.Now()
	w.Create("plain", 0, nil)
	if took := time.Since(began); took > unhindered {
		t.Errorf("creating an object without annotations took %s, want at most %s", took, unhindered)
	}
	began = time.Now()
	i.wantAdopted("annotated")
	created := w.Get("annotated").CreationTimestamp
	t.Logf("created after %s, adopted after %s", created.Sub(began).Round(time.Second), time.Since(began).Round(time.Second))
	began = time.Now()
	if _, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(t.Context(), i.idle("slow"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	if took > limit {
		t.Errorf("creating an annotated object took %s, want at most %s", took, limit)
	}
	if took < time.Second {
		t.Errorf("creating an annotated object took %s, so the packets were not dropped", took)
	}
	last := func() float64 {
		text, err := a.Metrics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if adopted := world.Sample(text, "autoscale_adoptions_total"); adopted < 1 {
			t.Errorf("autoscale_adoptions_total is %v, want at least 1", adopted)
		}
		return world.Sample(text, "autoscale_admission_last_request_timestamp_seconds")
	}
	if at := last(); at != 0 {
		t.Errorf("autoscale_admission_last_request_timestamp_seconds is %v, want 0 where no call has come", at)
	}
	i.point(i.front.address())
	i.awaitServed("what is trusted", nothing)
	before := time.Now().Add(-time.Second)
	i.wantStamped("reached")
	if at := time.Unix(int64(last()), 0); at.Before(before) {
		t.Errorf("the last call is said to have been at %s, want after %s", at, before)
	}
}

// point leads the webhook configuration to a host:port.
func (i *install) point(address string) {
	i.T.Helper()
	config := i.mustConfig()
	url := "https://" + address + "/mutate"
	for n := range config.Webhooks {
		config.Webhooks[n].ClientConfig.URL = &url
	}
	i.update(config)
}

// droppingPort is a port that drops what comes: its queue of connections is full and nobody takes them out.
func droppingPort(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort(host, strconv.Itoa(bound.(*syscall.SockaddrInet4).Port))
	for range 10 {
		conn, err := net.DialTimeout("tcp", address, 500*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue of a socket does not fill up")
	return ""
}

// burstOfCreations measures the replica's memory over two equal bursts.
func burstOfCreations(t *testing.T, w *world.World) {
	const small, big, atOnce = 2000, 50, 20
	const most, growth = 256 << 20, 1.25 // half of the shipped limit
	i := newInstall(w, "Fail", "--certs=self-signed", "--cert-settle=1s")
	a := i.start("a")
	i.awaitServedFrom(product.CertificateSecret)
	burst := func() {
		t.Helper()
		began := time.Now()
		var group errgroup.Group
		group.SetLimit(atOnce)
		for n := range small + big {
			group.Go(func() error {
				d := i.idle(fmt.Sprintf("burst-%04d", n))
				if n%(small/big) == 0 {
					fatten(d)
				}
				return i.tryStamped(d, metav1.DryRunAll)
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d creations in %s", small+big, time.Since(began).Round(time.Millisecond))
	}
	before := world.Memory(t, a, "VmRSS")
	burst()
	first := world.Memory(t, a, "VmHWM")
	burst()
	last := world.Memory(t, a, "VmHWM")
	t.Logf("resident: %d MiB before, at most %d MiB after one burst and %d MiB after two", before>>20, first>>20, last>>20)
	if last > most {
		t.Errorf("memory rose to %d MiB, want at most %d", last>>20, most>>20)
	}
	if float64(last) > growth*float64(first) {
		t.Errorf("memory rose from burst to burst: %d MiB, then %d", first>>20, last>>20)
	}
	d := i.idle("big")
	fatten(d)
	if err := i.tryStamped(d); err != nil {
		t.Error(err)
	}
}

// tryStamped creates a Deployment, which the webhook must see.
func (i *install) tryStamped(d *appsv1.Deployment, dryRun ...string) error {
	got, err := i.Kube.AppsV1().Deployments(i.Namespace).Create(i.T.Context(), d, metav1.CreateOptions{DryRun: dryRun})
	if err == nil && got.Labels[annotations.Bucket] != i.label(d) {
		err = fmt.Errorf("%s has the label %q, want %q", d.Name, got.Labels[annotations.Bucket], i.label(d))
	}
	return err
}

// fatten makes an object nearly as big as may be: 200 KB of annotations, and 1 MB in all.
func fatten(d *appsv1.Deployment) {
	d.Annotations["example.com/note"] = strings.Repeat("n", 200_000)
	var env []corev1.EnvVar
	for n := range 100 {
		env = append(env, corev1.EnvVar{Name: fmt.Sprintf("V%03d", n), Value: strings.Repeat("v", 8_000)})
	}
	d.Spec.Template.Spec.Containers[0].Env = env
}
