package certs

import (
	"context"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// How often Run looks.
const (
	// checkMost is the time between two looks without an event. They also time a rotation, so it is shorter where that goes faster.
	checkMost = time.Minute
	// retryMost is the same after a failure.
	retryMost = 10 * time.Second
	// ensureTimeout bounds one look.
	ensureTimeout = 10 * time.Second
	// ensurePause is the least time between two looks, so that two writers of one bundle do not wear each other out.
	ensurePause = time.Second
)

// Run repeats Ensure until ctx ends: soon after the Secret or the webhook configuration changed, and regularly. A failure is told in the log and tried
// again; it never ends the process.
func (k *Keeper) Run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	var watches sync.WaitGroup
	defer watches.Wait()
	for _, informer := range k.informers(func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}) {
		watches.Go(func() { informer.RunWithContext(ctx) })
	}
	said := ""
	for ctx.Err() == nil {
		pause := min(checkMost, 2*k.setup.Rotation.Settle)
		text := k.ensureOnce(ctx)
		if text != "" {
			pause = min(retryMost, k.setup.Rotation.Settle)
		}
		if text != "" && text != said && ctx.Err() == nil {
			k.setup.Log.Info("the webhook's certificate is not in order yet; it is tried again", "error", text)
		}
		said = text
		sleep(ctx, wait.Jitter(ensurePause, 0.5), nil)
		sleep(ctx, wait.Jitter(pause, 0.2), wake)
	}
	return nil
}

func (k *Keeper) ensureOnce(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, ensureTimeout)
	defer cancel()
	if err := k.Ensure(ctx); err != nil {
		return err.Error()
	}
	return ""
}

// sleep returns after d, at a wake-up, or when ctx ends.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// informers watch the objects by name, which is what the role allows.
func (k *Keeper) informers(changed func()) []cache.Controller {
	secrets := k.setup.Kube.CoreV1().Secrets(k.setup.Namespace)
	configs := k.setup.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	handler := cache.ResourceEventHandlerFuncs{AddFunc: func(any) { changed() }, UpdateFunc: func(any, any) { changed() }, DeleteFunc: func(any) { changed() }}
	var informers []cache.Controller
	for _, watched := range []struct {
		object runtime.Object
		lister *cache.ListWatch
	}{
		{&corev1.Secret{}, listWatch(k.setup.Names.Secret, secrets.List, secrets.Watch)},
		{&admissionregistrationv1.MutatingWebhookConfiguration{}, listWatch(k.setup.Names.Config, configs.List, configs.Watch)},
	} {
		_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
			ListerWatcher: cache.ToListWatcherWithWatchListSemantics(watched.lister, k.setup.Kube), ObjectType: watched.object, Handler: handler,
		})
		informers = append(informers, informer)
	}
	return informers
}

func listWatch[L runtime.Object](name string, list func(context.Context, metav1.ListOptions) (L, error), watches func(context.Context, metav1.ListOptions) (watch.Interface, error)) *cache.ListWatch {
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = only
			return list(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = only
			return watches(ctx, o)
		},
	}
}
