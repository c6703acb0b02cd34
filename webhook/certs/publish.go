package certs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applyadmission "k8s.io/client-go/applyconfigurations/admissionregistration/v1"
)

// injectors are annotations by which somebody else keeps the bundle; two writers would fight for ever.
func injectors() []string {
	return []string{certmanagerv1.WantInjectAnnotation, certmanagerv1.WantInjectFromSecretAnnotation, certmanagerv1.WantInjectAPIServerCAAnnotation, "service.beta.openshift.io/inject-cabundle"}
}

// injectorOf says who else keeps the bundle, and by which annotation.
func (k *Keeper) injectorOf(config *admissionregistrationv1.MutatingWebhookConfiguration) (who injector, annotation string) {
	for _, name := range injectors() {
		value, ok := config.Annotations[name]
		switch {
		case !ok:
		case name == certmanagerv1.WantInjectAnnotation && value == k.setup.injected():
			who = injectorOurs
		default:
			return injectorForeign, name
		}
	}
	return who, ""
}

// take carries out what a step of the rollover changes in the webhook configuration.
func (k *Keeper) take(ctx context.Context, config *admissionregistrationv1.MutatingWebhookConfiguration, next step) error {
	if who, annotation := k.injectorOf(config); who == injectorForeign {
		return fmt.Errorf("the webhook configuration %s has the annotation %s, so another program keeps its bundle: remove it, or use --certs=files with a certificate of that program", k.setup.Names.Config, annotation)
	}
	if next.strip {
		if err := k.patch(ctx, []operation{{Op: "remove", Path: "/metadata/annotations/" + strings.ReplaceAll(certmanagerv1.WantInjectAnnotation, "/", "~1")}}); err != nil {
			return fmt.Errorf("take the annotation for cainjector off the webhook configuration %s: %w", k.setup.Names.Config, err)
		}
		k.setup.Log.Info("the webhook's bundle is kept here again, since cert-manager does not deliver")
	}
	if next.publish != nil {
		if err := k.publish(ctx, config, encodeBundle(next.publish)); err != nil {
			return err
		}
	}
	if next.annotate {
		if err := k.annotate(ctx, config); err != nil {
			return fmt.Errorf("put the annotation for cainjector on the webhook configuration %s: %w", k.setup.Names.Config, err)
		}
		k.setup.Log.Info("the webhook's certificate comes from cert-manager, and cainjector keeps the bundle")
	}
	if next.unfilled {
		return fmt.Errorf("the webhook configuration %s does not trust the certificate of cert-manager, as its annotation %s asks: see whether cert-manager's cainjector runs", k.setup.Names.Config, certmanagerv1.WantInjectAnnotation)
	}
	return nil
}

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// publish puts the bundle into the webhook configuration where it is not there yet.
func (k *Keeper) publish(ctx context.Context, config *admissionregistrationv1.MutatingWebhookConfiguration, bundle []byte) error {
	var operations []operation
	for i, hook := range config.Webhooks {
		if !bytes.Equal(hook.ClientConfig.CABundle, bundle) {
			operations = append(operations,
				operation{"test", fmt.Sprintf("/webhooks/%d/name", i), hook.Name},
				operation{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), bundle})
		}
	}
	if len(operations) == 0 {
		return nil
	}
	if err := k.patch(ctx, operations); err != nil {
		return fmt.Errorf("write the bundle into the webhook configuration %s: %w", k.setup.Names.Config, err)
	}
	who, _ := k.injectorOf(config)
	k.note(bundle, who)
	return nil
}

func (k *Keeper) patch(ctx context.Context, operations []operation) error {
	data, err := json.Marshal(operations)
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	_, err = k.setup.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(ctx, k.setup.Names.Config, types.JSONPatchType, data, metav1.PatchOptions{FieldManager: fieldManager})
	return err
}

// annotate applies the annotation and nothing else. The uid keeps it from making a configuration that has just been deleted.
func (k *Keeper) annotate(ctx context.Context, config *admissionregistrationv1.MutatingWebhookConfiguration) error {
	wanted := applyadmission.MutatingWebhookConfiguration(config.Name).WithUID(config.UID).
		WithAnnotations(map[string]string{certmanagerv1.WantInjectAnnotation: k.setup.injected()})
	options := metav1.ApplyOptions{FieldManager: fieldManager + "-certificates", Force: true}
	_, err := k.setup.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Apply(ctx, wanted, options)
	return err
}
