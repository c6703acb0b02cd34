package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	crwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"autoscale.io/scaling/controller"
	"autoscale.io/scaling/rivals"
	"autoscale.io/webhook"
)

// addWebhook serves the admission webhook with the rest of the process.
func addWebhook(ctx context.Context, mgr manager.Manager, w wiring) error {
	o := w.options
	identity, err := whoAmI(ctx, w.Kube)
	if err != nil {
		return err
	}
	certificates, err := addCertificates(mgr, w)
	if err != nil {
		return err
	}
	options := crwebhook.Options{Host: o.WebhookHost, Port: o.WebhookPort, TLSOpts: []func(*tls.Config){func(config *tls.Config) { config.GetCertificate = certificates }}}
	reviewer := webhook.Reviewer{Types: w.registry, Identity: identity, Class: o.Class, Scalable: w.manages, Unmanaged: w.unmanaged, Rival: w.rival, Now: time.Now}
	handler, err := webhook.NewHandler(reviewer, mgr.GetLogger().WithName("webhook"), metrics.Registry)
	if err != nil {
		return err
	}
	server := crwebhook.NewServer(options)
	server.Register(webhook.Path, &crwebhook.Admission{Handler: handler})
	if err := mgr.Add(server); err != nil {
		return fmt.Errorf("set up the webhook: %w", err)
	}
	if err := mgr.AddReadyzCheck("webhook", told(mgr.GetLogger(), "webhook", server.StartedChecker())); err != nil {
		return fmt.Errorf("set up the probes: %w", err)
	}
	return nil
}

// rival names another controller that scales an object.
func (w wiring) rival(group, kind, namespace, name string) string {
	return w.rivals.Of(rivals.Target{Group: group, Kind: kind, Namespace: namespace, Name: name})
}

// manages says whether this install manages a kind.
func (w wiring) manages(group, kind string) bool {
	return w.loop.Manages(group, kind)
}

// unmanaged says why this install does not manage a kind; it is empty when it does.
func (w wiring) unmanaged(group, kind string) string {
	switch {
	case w.manages(group, kind):
		return ""
	case slices.ContainsFunc(w.refused, func(k controller.Kind) bool { return k.Group == group && k.Kind == kind }):
		return "this install may not change Jobs; " + jobRights + " grants it"
	}
	return "this install does not manage the kind " + kind + "; its flag --kinds names those that it does"
}
