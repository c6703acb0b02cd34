package webhook

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Keys of the Secret beside those of its type.
const (
	authoritiesKey = "ca.crt"
	nextCertKey    = "next.crt"
	nextPrivateKey = "next.key"
)

// readSecret returns nil where there is none.
func (s *SelfSigned) readSecret(ctx context.Context) (*corev1.Secret, error) {
	secret, err := s.Kube.CoreV1().Secrets(s.Namespace).Get(ctx, SecretName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return secret, err
}

// readMaterial leaves out what cannot be used.
func readMaterial(secret *corev1.Secret) material {
	var m material
	if secret == nil {
		return m
	}
	if p, err := parsePair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]); err == nil {
		m.current = p
	}
	if p, err := parsePair(secret.Data[nextCertKey], secret.Data[nextPrivateKey]); err == nil {
		m.next = p
	}
	m.trusted = parseBundle(secret.Data[authoritiesKey])
	return m
}

// writeSecret creates or updates the Secret, provided that it is still as it was read.
func (s *SelfSigned) writeSecret(ctx context.Context, read *corev1.Secret, m material) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: SecretName, Namespace: s.Namespace}, Type: corev1.SecretTypeTLS}
	if read != nil {
		secret = read.DeepCopy()
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey] = m.current.certPEM, m.current.keyPEM
	secret.Data[authoritiesKey] = encodeBundle(m.trusted)
	delete(secret.Data, nextCertKey)
	delete(secret.Data, nextPrivateKey)
	if m.next != nil {
		secret.Data[nextCertKey], secret.Data[nextPrivateKey] = m.next.certPEM, m.next.keyPEM
	}
	secrets := s.Kube.CoreV1().Secrets(s.Namespace)
	var err error
	if read == nil {
		_, err = secrets.Create(ctx, secret, metav1.CreateOptions{FieldManager: "autoscale.io"})
	} else {
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{FieldManager: "autoscale.io"})
	}
	if err != nil {
		return fmt.Errorf("write it: %w", err)
	}
	return nil
}
