package certs

import (
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"
)

func testHosts() []string { return []string{"autoscaler.autoscale-system.svc"} }

func newPair(t testing.TB) *pair {
	t.Helper()
	p, err := makePair(testHosts(), 365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stage is one step of a rotation.
type stage struct {
	name string
	from material
	// at is the time since the present certificate was made.
	at      time.Duration
	served  *pair
	settled bool
	want    material
}

func TestAdvance(t *testing.T) {
	first, second, made := newPair(t), newPair(t), newPair(t)
	bundle := func(pairs ...*pair) (authorities []*x509.Certificate) {
		for _, p := range pairs {
			authorities = append(authorities, p.authority)
		}
		return authorities
	}
	alone := material{current: first, trusted: bundle(first)}
	fresh := material{current: made, trusted: bundle(made)}
	waiting := material{current: first, next: second, trusted: bundle(first, second)}
	moved := material{current: second, trusted: bundle(first, second)}
	for _, c := range []stage{
		{name: "nothing there", want: fresh},
		{name: "in its prime", from: alone, at: 200 * 24 * time.Hour, settled: true, want: alone},
		{name: "due", from: alone, at: 300 * 24 * time.Hour, settled: true, want: material{current: first, next: made, trusted: bundle(first, made)}},
		{name: "the successor is not trusted everywhere yet", from: waiting, at: 300 * 24 * time.Hour, want: waiting},
		{name: "the successor is trusted", from: waiting, settled: true, want: moved},
		{name: "the old authority stays for a day", from: moved, at: 22 * time.Hour, settled: true, want: moved},
		{name: "the old authority goes", from: moved, at: 24 * time.Hour, settled: true, want: material{current: second, trusted: bundle(second)}},
		{name: "expired", from: material{current: expired(t, first)}, want: fresh},
		{name: "expired while the successor waited for a bundle that was never published", from: material{current: expired(t, first), next: second, trusted: bundle(first)}, want: moved},
		{name: "a spoilt successor is made again when due", from: material{current: first, next: expired(t, second), trusted: bundle(first)}, at: 300 * 24 * time.Hour,
			want: material{current: first, next: made, trusted: bundle(first, made)}},
		{name: "deleted while served", served: first, want: material{current: first, next: made, trusted: bundle(first, made)}},
		{name: "spoilt while served, with its authority", from: material{trusted: bundle(first)}, served: first, want: material{current: first, next: made, trusted: bundle(first, made)}},
		{name: "deleted while an expired one is served", served: expired(t, first), want: fresh},
		{name: "without its authority in the bundle", from: material{current: first}, want: alone},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := advance(c.from, circumstances{
				hosts: testHosts(), now: time.Now().Add(c.at), rotation: RotationConfig{}.withDefaults(), served: c.served, settled: c.settled, make: func([]string, time.Duration) (*pair, error) { return made, nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			names := map[*pair]string{first: "first", second: "second", made: "made", nil: "none"}
			if !got.equal(c.want) {
				t.Errorf("current %s, next %s, %d authorities; want %s, %s, %d", names[got.current], names[got.next], len(got.trusted),
					names[c.want.current], names[c.want.next], len(c.want.trusted))
			}
			// Whatever happened, the certificate to serve is trusted by the bundle to publish.
			if err := got.current.trustedBy(got.trusted, testHosts(), time.Now().Add(c.at)); err != nil {
				t.Errorf("the certificate is not trusted: %v", err)
			}
		})
	}
}

// expired is the same pair under a leaf that has ended.
func expired(t testing.TB, p *pair) *pair {
	t.Helper()
	leaf := *p.leaf
	leaf.NotAfter = time.Now().Add(-time.Minute)
	old := *p
	old.leaf = &leaf
	return &old
}

func TestAdvanceReportsThatNoCertificateCanBeMade(t *testing.T) {
	want := errors.New("no entropy")
	first := newPair(t)
	for _, m := range []material{{}, {current: first, trusted: []*x509.Certificate{first.authority}}} {
		_, err := advance(m, circumstances{hosts: testHosts(), rotation: RotationConfig{}.withDefaults(), now: time.Now().Add(300 * 24 * time.Hour), make: func([]string, time.Duration) (*pair, error) { return nil, want }})
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestABundleIsReadAsItWasWritten(t *testing.T) {
	want := []*x509.Certificate{newPair(t).authority, newPair(t).authority}
	if got := parseBundle(encodeBundle(want)); !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
		t.Errorf("got %d certificates, want the two", len(got))
	}
	if got := parseBundle([]byte("nonsense")); got != nil {
		t.Errorf("nonsense holds %d certificates", len(got))
	}
}

func TestAPairIsTheCertificateAndItsAuthority(t *testing.T) {
	p := newPair(t)
	leafAlone := encodeBundle([]*x509.Certificate{p.leaf})
	_, err := parsePair(leafAlone, p.keyPEM)
	if want := "read the webhook's certificate: want the certificate and the authority that signed it"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := parsePair(p.certPEM, newPair(t).keyPEM); err == nil {
		t.Error("a certificate with the key of another was read")
	}
}
