package servers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"autoscale.io/scalers/scalertest/ports"
)

// PEM holds a certificate authority and what it signed, all as PEM text. It is for tests: the keys are made on the spot and trusted by nobody.
type PEM struct {
	// CA is the certificate of the authority.
	CA string
	// ServerCert and ServerKey are the server's, valid for the names it was made for, 127.0.0.1 and localhost.
	ServerCert, ServerKey string
	// ClientCert and ClientKey are a client's.
	ClientCert, ClientKey string
}

// NewPEM makes an authority, a server certificate that is also valid for the given names, and a client certificate. The server's certificate ends at
// notAfter; the zero time means a day from now.
func NewPEM(notAfter time.Time, names ...string) (PEM, error) {
	if notAfter.IsZero() {
		notAfter = time.Now().Add(24 * time.Hour)
	}
	ca := certificate("test authority", time.Now().Add(24*time.Hour))
	ca.IsCA, ca.BasicConstraintsValid = true, true
	ca.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	server := certificate("test server", notAfter)
	server.DNSNames = append([]string{"localhost"}, names...)
	server.IPAddresses = []net.IP{net.ParseIP(ports.Loopback)}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	client := certificate("test client", time.Now().Add(24*time.Hour))
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

	var out PEM
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return PEM{}, fmt.Errorf("make a certificate: %w", err)
	}
	out.CA, err = sign(ca, ca, caKey.Public(), caKey)
	if err != nil {
		return PEM{}, err
	}
	out.ServerCert, out.ServerKey, err = issue(server, ca, caKey)
	if err != nil {
		return PEM{}, err
	}
	out.ClientCert, out.ClientKey, err = issue(client, ca, caKey)
	return out, err
}

// ClientTLS is the configuration of a client that trusts the authority and shows the client certificate.
func (p PEM) ClientTLS() (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(p.CA)) {
		return nil, errors.New("the certificate authority is not PEM")
	}
	pair, err := tls.X509KeyPair([]byte(p.ClientCert), []byte(p.ClientKey))
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

func certificate(name string, notAfter time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: notAfter.Add(-48 * time.Hour),
		NotAfter:  notAfter,
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}

func issue(template, parent *x509.Certificate, parentKey crypto.Signer) (cert, key string, err error) {
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make a certificate: %w", err)
	}
	cert, err = sign(template, parent, pair.Public(), parentKey)
	if err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		return "", "", fmt.Errorf("make a certificate: %w", err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (string, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}
