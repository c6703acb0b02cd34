package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const certLifetime = 24 * time.Hour

// serviceNetwork is the range of Service addresses; its first address is the API server's own Service.
const (
	serviceNetwork = "10.96.0.0/16"
	serviceAddress = "10.96.0.1"
)

// identity is a certificate and its key, in PEM and as files.
type identity struct {
	cert, key         []byte
	certFile, keyFile string
}

// authority signs the certificates of one cluster.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
	file string
}

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: "autoscale.io-e2e"}, key)
	if err != nil {
		return nil, fmt.Errorf("making the cluster's certificate authority: %w", err)
	}
	a := &authority{dir: dir, cert: cert, key: key, file: filepath.Join(dir, "ca.crt")}
	if a.pem, err = certutil.EncodeCertificates(cert); err != nil {
		return nil, err
	}
	return a, os.WriteFile(a.file, a.pem, 0o600)
}

// client returns an identity that the API server knows as user, member of groups.
func (a *authority) client(user string, groups ...string) (identity, error) {
	return a.issue(user, &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// server returns the identity that all parts serve with.
func (a *authority) server() (identity, error) {
	return a.issue("serving", &x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			metricsService + "." + metav1.NamespaceSystem + ".svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(serviceAddress)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

func (a *authority) issue(name string, template *x509.Certificate) (identity, error) {
	id, err := a.sign(template)
	if err != nil {
		return identity{}, fmt.Errorf("making the certificate of %s: %w", name, err)
	}
	base := filepath.Join(a.dir, filepath.Base(name))
	id.certFile, id.keyFile = base+".crt", base+".key"
	if err := os.WriteFile(id.certFile, id.cert, 0o600); err != nil {
		return identity{}, err
	}
	return id, os.WriteFile(id.keyFile, id.key, 0o600)
}

func (a *authority) sign(template *x509.Certificate) (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return identity{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.NotBefore = a.cert.NotBefore
	template.NotAfter = time.Now().Add(certLifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return identity{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return identity{}, err
	}
	id := identity{}
	if id.cert, err = certutil.EncodeCertificates(cert); err != nil {
		return identity{}, err
	}
	id.key, err = keyutil.MarshalPrivateKeyToPEM(key)
	return id, err
}

// writeServiceAccountKey makes the key that signs service account tokens.
func writeServiceAccountKey(path string) error {
	key, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return err
	}
	return os.WriteFile(path, key, 0o600)
}
