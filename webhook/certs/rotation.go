package certs

import (
	"crypto/x509"
	"slices"
	"time"
)

// trustOld is how long an authority stays trusted after the first certificate of its successor: longer than any replica goes on with an old certificate.
const trustOld = 24 * time.Hour

// RotationConfig is when certificates are renewed. The zero value has the defaults.
type RotationConfig struct {
	// Duration is how long a certificate lasts. Defaults to a year.
	Duration time.Duration
	// RenewBefore is how long before the end of a certificate its successor is made, less than Duration. Defaults to a quarter of Duration.
	RenewBefore time.Duration
	// Settle is how long the API servers have to take notice of a new authority before a certificate of it is served. Defaults to 30 s.
	Settle time.Duration
}

func (t RotationConfig) withDefaults() RotationConfig {
	if t.Duration <= 0 {
		t.Duration = 365 * 24 * time.Hour
	}
	if t.RenewBefore <= 0 {
		t.RenewBefore = t.Duration / 4
	}
	if t.Settle <= 0 {
		t.Settle = 30 * time.Second
	}
	return t
}

// rollover is how long both sides of a change of sources stay trusted: long enough for every replica to have looked, and to have waited until it settled.
func (t RotationConfig) rollover() time.Duration { return 10 * t.Settle }

// material is what the Secret holds.
type material struct {
	// current is served. next is waiting until its authority is trusted everywhere; nil outside of a rotation.
	current, next *pair
	// trusted are the authorities of the bundle, old to new.
	trusted []*x509.Certificate
}

func (m material) equal(o material) bool {
	return m.current.equal(o.current) && m.next.equal(o.next) && slices.EqualFunc(m.trusted, o.trusted, (*x509.Certificate).Equal)
}

// circumstances are what a step of the rotation depends on.
type circumstances struct {
	hosts    []string
	now      time.Time
	rotation RotationConfig
	// served is the certificate that this process last knew to be current; nil for none.
	served *pair
	// settled says that the whole bundle has been published for as long as rotation.Settle.
	settled bool
	make    func(hosts []string, duration time.Duration) (*pair, error)
}

// advance takes the next step of the rotation. A renewal takes two steps, so that no request is dropped: first a successor is made and its authority
// joins the bundle; when that has been published long enough, the successor is served, and the old authority stays trusted for a day.
//
// A Secret that was deleted or spoilt is taken for a wish to renew: what this process serves becomes current again until its successor has settled.
func advance(m material, c circumstances) (material, error) {
	renew := false
	if !m.current.usable(c.hosts, c.now) {
		switch {
		case m.next.usable(c.hosts, c.now):
			m.current, m.next = m.next, nil
		case c.served.usable(c.hosts, c.now):
			m.current, renew = c.served, true
		default:
			made, err := c.make(c.hosts, c.rotation.Duration)
			if err != nil {
				return m, err
			}
			m.current = made
		}
	}
	if !m.next.usable(c.hosts, c.now) {
		m.next = nil
	}
	switch {
	case m.next != nil && c.settled:
		m.current, m.next = m.next, nil
	case m.next == nil && (renew || m.current.dueWithin(c.rotation.RenewBefore, c.now)):
		made, err := c.make(c.hosts, c.rotation.Duration)
		if err != nil {
			return m, err
		}
		m.next = made
	}
	m.trusted = m.authorities(c.now)
	return m, nil
}

// authorities are those that the bundle needs: of the two certificates, and the older ones that a replica may still serve a certificate of.
func (m material) authorities(now time.Time) []*x509.Certificate {
	var wanted []*x509.Certificate
	if now.Before(m.current.leaf.NotBefore.Add(trustOld)) {
		wanted = slices.Clone(m.trusted)
	}
	wanted = addAuthority(wanted, m.current.authority)
	if m.next != nil {
		wanted = addAuthority(wanted, m.next.authority)
	}
	return wanted
}
