package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/utils/ptr"

	"autoscale.io/annotations"
	"autoscale.io/cmd/autoscaler/clients"
	"autoscale.io/scalers"
	"autoscale.io/scalers/builtin"
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/target"
)

// releaser is one call of the command.
type releaser struct {
	options Options
	out     io.Writer
	kube    kubernetes.Interface
	mapper  meta.RESTMapper
	target  *target.Client
	types   annotations.Types

	released, failed int
	asleep           []string
}

// Run releases what the options ask for and writes a line for each workload to out. A workload that cannot be released does not keep others from it; the error says
// how many there are.
func Run(ctx context.Context, out io.Writer, o Options) error {
	if err := o.validate(); err != nil {
		return err
	}
	r, err := newReleaser(out, o)
	if err != nil {
		return err
	}
	if err := r.refuseWhileRunning(ctx); err != nil {
		return err
	}
	err = r.find(ctx, func(f found) error { return r.one(ctx, f) })
	r.sum()
	if err == nil && r.failed > 0 {
		err = fmt.Errorf("%d of %d workloads could not be released; see above", r.failed, r.failed+r.released)
	}
	return err
}

func newReleaser(out io.Writer, o Options) (*releaser, error) {
	config, err := clients.LoadConfig(o.Kubeconfig, o.Context)
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("set up the clients: %w", err)
	}
	known, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("set up the clients: %w", err)
	}
	discovery := memory.NewMemCacheClient(known.Discovery())
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(discovery), discovery, func(string) {})
	access, err := clients.Workloads(config, client, mapper)
	if err != nil {
		return nil, err
	}
	types, err := builtin.Registry(scalers.Env{})
	if err != nil {
		return nil, fmt.Errorf("set up the scalers: %w", err)
	}
	return &releaser{options: o, out: out, kube: access.Kube, mapper: mapper, target: access.Target, types: types}, nil
}

// refuseWhileRunning looks for an autoscaler that holds a lease: it would take a workload back at once whose annotations stay.
func (r *releaser) refuseWhileRunning(ctx context.Context) error {
	if r.options.Annotations || r.options.DryRun {
		return nil
	}
	leases, err := r.kube.CoordinationV1().Leases(r.options.Install).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("see whether the autoscaler still runs: %w", err)
	}
	for _, lease := range leases.Items {
		holder, length := ptr.Deref(lease.Spec.HolderIdentity, ""), ptr.Deref(lease.Spec.LeaseDurationSeconds, 0)
		if holder == "" || lease.Spec.RenewTime == nil || time.Since(lease.Spec.RenewTime.Time) > time.Duration(length)*time.Second {
			continue
		}
		return fmt.Errorf("the autoscaler still runs: %s holds the lease %s; it would take the workloads back. Stop it first, such as with kubectl -n %s scale deployment autoscaler --replicas=0, "+
			"or give --annotations to have the annotations removed that it goes by", holder, lease.Name, r.options.Install)
	}
	return nil
}

// one releases a workload. Its error is one after which nothing else could be done either.
func (r *releaser) one(ctx context.Context, f found) error {
	p, err := r.release(ctx, f)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case target.IsGone(err):
		return nil
	case err != nil:
		r.failed++
		_, err = fmt.Fprintf(r.out, "%s: not released: %v\n", f, err)
		return err
	}
	r.released++
	if p.asleep() {
		r.asleep = append(r.asleep, f.String())
	}
	verb := "released"
	if r.options.DryRun {
		verb = "would be released"
	}
	_, err = fmt.Fprintf(r.out, "%s: %s; %s\n", f, verb, p)
	return err
}

// errTaken says that somebody put back what was removed.
var errTaken = errors.New("the label is there again: the webhook of an autoscaler that runs has put it back; stop the autoscaler first, or give --annotations")

func (r *releaser) release(ctx context.Context, f found) (plan, error) {
	key := decisions.Key{Resource: f.kind.Resource, Namespace: f.object.Namespace, Name: f.object.Name}
	live, err := r.target.Get(ctx, key)
	if err != nil {
		return plan{}, err
	}
	settings := annotations.Decode(f.object.Annotations, r.types).On(f.kind.Group, f.kind.Kind).Workload.Settings
	p := planFor(f.kind, f.object, settings, live, r.options.Restore)
	if r.options.DryRun {
		return p, nil
	}
	if p.to != p.from {
		if _, err := r.target.Scale(ctx, key, live, p.to); err != nil {
			return p, err
		}
	}
	written, err := r.target.Annotate(ctx, key, r.change(f.object))
	if err != nil {
		return p, err
	}
	if written.Labels[annotations.Bucket] != "" {
		return p, errTaken
	}
	// An autoscaler that runs has its own say in the count when annotations go.
	if live, err = r.target.Get(ctx, key); err == nil {
		p.to = live.Replicas
	}
	return p, err
}

// change removes what is the autoscaler's, or everything.
func (r *releaser) change(object *metav1.PartialObjectMetadata) target.Metadata {
	change := target.Metadata{
		UID:         object.UID,
		Labels:      map[string]*string{annotations.Bucket: nil},
		Annotations: map[string]*string{annotations.StateKey: nil, annotations.StatusKey: nil},
	}
	if r.options.Annotations {
		for key := range object.Annotations {
			if strings.HasPrefix(key, annotations.Prefix) {
				change.Annotations[key] = nil
			}
		}
	}
	return change
}

// sum ends the output.
func (r *releaser) sum() {
	verb, heading := "released", "At 0, where nothing wakes them any more; kubectl scale does:"
	if r.options.DryRun {
		verb, heading = "to be released", "At 0, where nothing wakes them once the autoscaler is gone; --restore puts back the counts from before it:"
	}
	fmt.Fprintf(r.out, "%d %s, %d failed, %d at 0\n", r.released, verb, r.failed, len(r.asleep))
	if len(r.asleep) == 0 {
		return
	}
	fmt.Fprintln(r.out, heading)
	for _, name := range r.asleep {
		fmt.Fprintln(r.out, "  "+name)
	}
}
