package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"autoscale.io/e2e/product"
	"autoscale.io/e2e/world"
	"autoscale.io/scalers/scalertest/ports"
)

// selfSigned runs a second replica as the shipped Deployment does, with --certs=auto where cert-manager is not installed, and looks whether its rights are enough to make a certificate that
// the API server would trust.
func selfSigned(t *testing.T, w *world.World) {
	configs := w.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	before, err := configs.Get(t.Context(), product.WebhookConfig, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	client := before.Webhooks[0].ClientConfig
	t.Cleanup(func() {
		if err := w.Product.PatchWebhook(context.Background(), *client.URL, client.CABundle); err != nil {
			t.Error(err)
		}
	})
	address, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.Product.Start(t.Context(), "self-signed", "--certs=auto", "--webhook-port="+address.Digits())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.Await("a certificate that the bundle vouches for", world.Soon, func(ctx context.Context) error {
		now, err := configs.Get(ctx, product.WebhookConfig, metav1.GetOptions{})
		if err != nil {
			return err
		}
		bundle := now.Webhooks[0].ClientConfig.CABundle
		if bytes.Equal(bundle, client.CABundle) {
			return errors.New("the bundle has not changed yet")
		}
		return handshake(address.String(), bundle)
	})
	if _, err := w.Kube.CoreV1().Secrets(product.Namespace).Get(t.Context(), product.CertificateSecret, metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// handshake verifies the server at the address as the API server would verify the Service.
func handshake(address string, bundle []byte) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return errors.New("the bundle holds no certificate")
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: product.Service + "." + product.Namespace + ".svc", MinVersion: tls.VersionTLS12})
	if err != nil {
		return fmt.Errorf("shake hands with the webhook: %w", err)
	}
	return conn.Close()
}
