package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"k8s.io/client-go/util/cert"
)

// pair is a serving certificate with its key. An authority of its own signed it, whose key was thrown away: whoever reads the Secret can pose as this
// webhook, but cannot sign for anything else.
type pair struct {
	certPEM, keyPEM []byte
	certificate     *tls.Certificate
	leaf, authority *x509.Certificate
}

// makePair makes a certificate for the hosts, names and addresses, that is good for a duration from now on and has been for an hour.
func makePair(hosts []string, duration time.Duration) (*pair, error) {
	options := cert.SelfSignedCertKeyOptions{Host: hosts[0], MaxAge: duration + time.Hour}
	options.AlternateDNS, options.AlternateIPs = splitHosts(hosts[1:])
	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKeyWithOptions(options)
	if err != nil {
		return nil, fmt.Errorf("make the webhook's certificate: %w", err)
	}
	return parsePair(certPEM, keyPEM)
}

// splitHosts tells names from addresses.
func splitHosts(hosts []string) (names []string, addresses []net.IP) {
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			addresses = append(addresses, ip)
		} else {
			names = append(names, host)
		}
	}
	return names, addresses
}

// parsePair reads what makePair made: the leaf, then its authority.
func parsePair(certPEM, keyPEM []byte) (*pair, error) {
	certificate, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("read the webhook's certificate: %w", err)
	}
	chain, err := cert.ParseCertsPEM(certPEM)
	if err != nil {
		return nil, fmt.Errorf("read the webhook's certificate: %w", err)
	}
	if len(chain) != 2 {
		return nil, errors.New("read the webhook's certificate: want the certificate and the authority that signed it")
	}
	return &pair{certPEM: certPEM, keyPEM: keyPEM, certificate: &certificate, leaf: chain[0], authority: chain[1]}, nil
}

// issuedPair reads a certificate that somebody else keeps: its chain, its key and its authority.
func issuedPair(certPEM, keyPEM, authorityPEM []byte) (*pair, error) {
	certificate, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	authorities := parseBundle(authorityPEM)
	if len(authorities) == 0 {
		return nil, errors.New("its authority is missing")
	}
	return &pair{certPEM: certPEM, keyPEM: keyPEM, certificate: &certificate, leaf: certificate.Leaf, authority: authorities[0]}, nil
}

// usable says whether the API server would accept the certificate for the hosts at that time, if it trusts the authority.
func (p *pair) usable(hosts []string, now time.Time) bool {
	return p != nil && p.trustedBy([]*x509.Certificate{p.authority}, hosts, now) == nil
}

// trustedBy says why the API server would not accept the certificate with these authorities.
func (p *pair) trustedBy(authorities []*x509.Certificate, hosts []string, now time.Time) error {
	roots := x509.NewCertPool()
	for _, authority := range authorities {
		roots.AddCert(authority)
	}
	for _, host := range hosts {
		if _, err := p.leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now}); err != nil {
			return err
		}
	}
	return nil
}

// dueWithin says whether the certificate ends sooner than that.
func (p *pair) dueWithin(d time.Duration, now time.Time) bool {
	return now.After(p.leaf.NotAfter.Add(-d))
}

func (p *pair) equal(o *pair) bool {
	if p == nil || o == nil {
		return p == o
	}
	return bytes.Equal(p.certPEM, o.certPEM) && bytes.Equal(p.keyPEM, o.keyPEM)
}

// parseBundle returns the certificates of a bundle; none of one that cannot be read.
func parseBundle(bundle []byte) []*x509.Certificate {
	certificates, err := cert.ParseCertsPEM(bundle)
	if err != nil {
		return nil
	}
	return certificates
}

// encodeBundle is the reverse of parseBundle, with stable bytes.
func encodeBundle(certificates []*x509.Certificate) []byte {
	var bundle []byte
	for _, c := range certificates {
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: c.Raw})...)
	}
	return bundle
}

// holdsAll says whether a bundle has all of these authorities.
func holdsAll(bundle, authorities []*x509.Certificate) bool {
	for _, authority := range authorities {
		if !slices.ContainsFunc(bundle, authority.Equal) {
			return false
		}
	}
	return true
}

// addAuthority appends a certificate that is not there yet.
func addAuthority(to []*x509.Certificate, authority *x509.Certificate) []*x509.Certificate {
	if slices.ContainsFunc(to, authority.Equal) {
		return to
	}
	return append(to, authority)
}
