package certs

import (
	"context"
	"crypto/x509"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// Keys of the Secret beside those of its type.
const (
	authoritiesKey = "ca.crt"
	nextCertKey    = "next.crt"
	nextPrivateKey = "next.key"
)

// secretSource makes certificates here and keeps them in a Secret, shared by all replicas. Each replica takes the same steps, and the API server's version
// check lets one of them win; see advance for the steps.
type secretSource struct {
	setup Setup
	// last is what the Secret was last seen to hold for serving; nil before.
	last *pair
}

var _ source = (*secretSource)(nil)

// keep takes the next step of the rotation, if there is one. Replicas that lose the race read what the winner wrote.
func (s *secretSource) keep(ctx context.Context, settled func(trusted []*x509.Certificate) bool) (*offer, error) {
	var m material
	lost := func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
	}
	err := retry.OnError(retry.DefaultRetry, lost, func() error {
		secret, err := s.read(ctx)
		if err != nil {
			return err
		}
		before := readMaterial(secret)
		m, err = advance(before, circumstances{
			hosts: s.setup.hosts(), now: s.setup.Now(), rotation: s.setup.Rotation, served: s.last, settled: settled(before.trusted), make: makePair,
		})
		if err != nil || m.equal(before) {
			return err
		}
		s.setup.Log.Info("the webhook's certificate moves on", "serves until", m.current.leaf.NotAfter, "successor waits", m.next != nil, "authorities", len(m.trusted))
		return s.write(ctx, secret, m)
	})
	if err != nil {
		return nil, fmt.Errorf("keep the webhook's certificate in Secret %s/%s: %w", s.setup.Namespace, s.setup.Names.Secret, err)
	}
	s.last = m.current
	return &offer{pair: m.current, trusted: m.trusted}, nil
}

// read returns nil where there is none.
func (s *secretSource) read(ctx context.Context) (*corev1.Secret, error) {
	secret, err := s.setup.Kube.CoreV1().Secrets(s.setup.Namespace).Get(ctx, s.setup.Names.Secret, metav1.GetOptions{})
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

// write creates or updates the Secret, provided that it is still as it was read.
func (s *secretSource) write(ctx context.Context, read *corev1.Secret, m material) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: s.setup.Names.Secret, Namespace: s.setup.Namespace}, Type: corev1.SecretTypeTLS}
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
	secrets := s.setup.Kube.CoreV1().Secrets(s.setup.Namespace)
	var err error
	if read == nil {
		_, err = secrets.Create(ctx, secret, metav1.CreateOptions{FieldManager: fieldManager})
	} else {
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{FieldManager: fieldManager})
	}
	if err != nil {
		return fmt.Errorf("write it: %w", err)
	}
	return nil
}
