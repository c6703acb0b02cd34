package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"

	"autoscale.io/annotations"
	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
)

// atOnce bounds the creations under way, so that the load is not itself why calls are late on a busy machine.
const atOnce = 4

// load creates annotated Deployments at a steady pace as far as the machine keeps up, whatever becomes of them, and notes
// which were not admitted by the webhook of the install. One in ten is a real creation, the others are dry runs, which the
// API server asks the webhook about in the same way.
type load struct {
	i        *install
	pace     time.Duration
	cancel   context.CancelFunc
	calls    sync.WaitGroup
	began    time.Time
	mu       sync.Mutex
	made     int
	faults   []loadFault
	stopOnce sync.Once
}

type loadFault struct {
	at   time.Time
	text string
}

func (i *install) load(pace time.Duration) *load {
	ctx, cancel := context.WithCancel(i.T.Context())
	l := &load{i: i, pace: pace, cancel: cancel, began: time.Now()}
	l.calls.Go(func() {
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		room := make(chan struct{}, atOnce)
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			select {
			case <-ctx.Done():
				return
			case room <- struct{}{}:
				l.calls.Go(func() {
					l.create(n)
					<-room
				})
			}
		}
	})
	i.T.Cleanup(l.stop)
	return l
}

// create is not broken off at the end of the load, which would look like a lost call.
func (l *load) create(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), world.Soon)
	defer cancel()
	options := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	if n%10 == 0 {
		options.DryRun = nil
	}
	d := l.i.idle(fmt.Sprintf("load-%05d", n))
	began := time.Now()
	got, err := l.i.Kube.AppsV1().Deployments(l.i.Namespace).Create(ctx, d, options)
	text := ""
	switch {
	case err != nil:
		text = err.Error()
	case got.Labels[annotations.Bucket] != l.i.label(d):
		text = fmt.Sprintf("it has the label %q, want %q", got.Labels[annotations.Bucket], l.i.label(d))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made++
	if text != "" {
		l.faults = append(l.faults, loadFault{began, fmt.Sprintf("%s after %s: %s", d.Name, time.Since(began).Round(time.Millisecond), text)})
	}
}

func (l *load) stop() {
	l.stopOnce.Do(func() {
		l.cancel()
		l.calls.Wait()
	})
}

// wantNoneLost ends the load: every call must have been admitted by the webhook, and there must have been enough of
// them: a twentieth of what the pace asks for at least, which a busy machine manages.
func (l *load) wantNoneLost() {
	t := l.i.T
	t.Helper()
	l.stop()
	took := time.Since(l.began)
	t.Logf("%d creations in %s, of which %d were lost", l.made, took.Round(time.Second), len(l.faults))
	if want := int(took/l.pace) / 20; l.made < want {
		t.Errorf("%d creations were made, want at least %d", l.made, want)
	}
	for n, fault := range l.faults {
		if n == 5 {
			break
		}
		t.Errorf("%s: %s", fault.at.Format(time.TimeOnly), fault.text)
	}
}

// hole is from the first to the last lost call since then.
func (l *load) hole(since time.Time) (lost int, from, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fault := range l.faults {
		if fault.at.Before(since) {
			continue
		}
		if lost == 0 || fault.at.Before(from) {
			from = fault.at
		}
		if fault.at.After(until) {
			until = fault.at
		}
		lost++
	}
	return lost, from, until
}

// idle is a Deployment that the install manages and that makes no work for anybody.
func (i *install) idle(name string) *appsv1.Deployment {
	d := i.Deployment(name, 0, world.Quick(world.Settings{"class": i.name, "pause": "true", "polling-interval": "5m", "trigger.orders": i.Trigger(i.Stream("s"), world.Group)}))
	d.Spec.Paused = true
	return d
}

// label is what the webhook of the install puts on a Deployment.
func (i *install) label(d *appsv1.Deployment) string {
	return annotations.BucketLabel(i.name, annotations.BucketOf("apps", "Deployment", d.Namespace, d.Name))
}

// history is what was seen of an install's certificates, without a gap that a new connection could fall into.
type history struct {
	stop func()
	mu   sync.Mutex
	// faults are the moments at which the bundle did not vouch for what a replica served.
	faults []string
	// bundles are those that were published, each once, in their order.
	bundles [][]byte
	shakes  int
}

// watchTrust shakes hands with every replica, over and over. What is served must be trusted by the bundle as it is at that moment: no replica may be ahead of it.
func (i *install) watchTrust() *history {
	ctx, cancel := context.WithCancel(i.T.Context())
	h := &history{}
	var done sync.WaitGroup
	h.stop = sync.OnceFunc(func() {
		cancel()
		done.Wait()
	})
	done.Go(func() {
		for ctx.Err() == nil {
			for _, a := range i.running() {
				h.look(ctx, i, a)
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	i.T.Cleanup(h.stop)
	return h
}

// watchLeaves shakes hands with every replica, over and over, trusted or not, until it is asked how many certificates were served.
func (i *install) watchLeaves() (served func() int) {
	ctx, cancel := context.WithCancel(i.T.Context())
	var (
		done   sync.WaitGroup
		mu     sync.Mutex
		leaves = map[string]bool{}
	)
	for _, a := range i.running() {
		done.Go(func() {
			dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // what is served is what counts here, trusted or not
			for ctx.Err() == nil {
				if conn, err := dialer.DialContext(ctx, "tcp", a.WebhookAddress()); err == nil {
					mu.Lock()
					leaves[string(conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw)] = true
					mu.Unlock()
					_ = conn.Close()
				}
				select {
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	i.T.Cleanup(cancel)
	return func() int {
		cancel()
		done.Wait()
		return len(leaves)
	}
}

func (h *history) look(ctx context.Context, i *install, a *product.Autoscaler) {
	before, err := i.config(ctx)
	if err != nil {
		return
	}
	bundle := before.Webhooks[0].ClientConfig.CABundle
	_, fault := shake(ctx, a.WebhookAddress(), bundle)
	after, err := i.config(ctx)
	if err != nil || !bytes.Equal(after.Webhooks[0].ClientConfig.CABundle, bundle) || !a.Running() {
		return // it changed meanwhile, so that look says nothing
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shakes++
	if !slices.ContainsFunc(h.bundles, func(b []byte) bool { return bytes.Equal(b, bundle) }) {
		h.bundles = append(h.bundles, bundle)
	}
	if fault != nil {
		h.faults = append(h.faults, fmt.Sprintf("%s at %s: %v", a.Name(), time.Now().Format("15:04:05.000"), fault))
	}
}

// wantTrusted ends the watch.
func (h *history) wantTrusted(i *install) {
	i.T.Helper()
	h.stop()
	i.T.Logf("%d handshakes, of which %d failed; %d bundles", h.shakes, len(h.faults), len(h.bundles))
	if h.shakes == 0 {
		i.T.Error("there were no handshakes")
	}
	for n, fault := range h.faults {
		if n == 5 {
			break
		}
		i.T.Error(fault)
	}
}

// sizes are how many authorities each bundle had.
func (h *history) sizes() []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	var sizes []int
	for _, bundle := range h.bundles {
		certificates, err := cert.ParseCertsPEM(bundle)
		if err != nil {
			certificates = nil
		}
		sizes = append(sizes, len(certificates))
	}
	return sizes
}
