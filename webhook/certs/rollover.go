package certs

import (
	"crypto/x509"
	"slices"
	"time"
)

// offer is what a source offers.
type offer struct {
	// pair is to be served.
	pair *pair
	// trusted are the authorities that the bundle needs for it.
	trusted []*x509.Certificate
	// injected says that cainjector may publish them.
	injected bool
}

// injector is who else keeps the bundle.
type injector int

const (
	injectorNone injector = iota
	// injectorOurs is cainjector, because of our annotation.
	injectorOurs
	injectorForeign
)

// rolloverInput is what a step of the handover depends on.
type rolloverInput struct {
	hosts    []string
	now      time.Time
	rotation RotationConfig
	// offers are what the sources offer, the best first.
	offers []*offer
	// uncertain says that a source could not be asked.
	uncertain bool
	// delegated says that the bundle is cainjector's alone.
	delegated bool
	// served is the certificate that this process serves; nil for none.
	served *pair
	// seen says that the webhook configuration could be read; bundle is what it trusts, and quiet for how long this process has seen that very bundle with that
	// very injector.
	seen     bool
	bundle   []*x509.Certificate
	quiet    time.Duration
	injector injector
}

// step is what is to be done now.
type step struct {
	// serve is for new connections; nil when there is nothing.
	serve *pair
	// publish is the whole new bundle; nil leaves it as it is.
	publish []*x509.Certificate
	// annotate and strip put our annotation for cainjector on and off.
	annotate, strip bool
	// unfilled says that cainjector ought to have filled the bundle by now.
	unfilled bool
}

// rollover takes the next step from one certificate, or one source of them, to another, so that no request is dropped: first both are trusted; when that has
// been published long enough, the new one is served; and only when every replica has had the time to do so, the old one's authority goes.
//
// Every replica takes the same steps by itself. What one of them sees late delays it alone, since it goes on with what is still trusted.
func rollover(s rolloverInput) step {
	next := step{serve: s.pick()}
	if s.isOthers() {
		return next
	}
	best := s.offers[0]
	trusts := next.serve.trustedBy(s.bundle, s.hosts, s.now) == nil
	switch {
	case s.delegated:
		next.annotate = s.injector == injectorNone
		next.unfilled = !next.annotate && !trusts && s.late()
		return next
	case best.injected && s.injector == injectorOurs:
		// cainjector fills the bundle; if it is away, nobody would.
		if next.unfilled = !trusts && s.late(); !next.unfilled {
			return next
		}
	case s.injector == injectorOurs:
		next.strip = !s.uncertain
		if s.uncertain && trusts {
			return next
		}
	case best.injected:
		next.annotate = next.serve == best.pair && holdsAll(s.bundle, best.trusted) && s.quiet >= s.rotation.rollover()
	}
	next.publish = s.wanted()
	return next
}

// isOthers says whether there is nothing to write, or nobody's to write but another program's.
func (s rolloverInput) isOthers() bool {
	return !s.seen || s.injector == injectorForeign || len(s.offers) == 0
}

// late says whether cainjector has had the time to fill the bundle.
func (s rolloverInput) late() bool { return s.quiet >= s.rotation.Settle/2 }

// pick chooses the certificate to serve: the best one once its authorities have settled, and until then whatever is trusted.
func (s rolloverInput) pick() *pair {
	if len(s.offers) == 0 {
		return s.served
	}
	best := s.offers[0]
	trusted := func(p *pair) bool { return s.seen && p != nil && p.trustedBy(s.bundle, s.hosts, s.now) == nil }
	if s.quiet >= s.rotation.Settle && trusted(best.pair) {
		return best.pair
	}
	if trusted(s.served) {
		return s.served
	}
	for _, offered := range s.offers {
		if trusted(offered.pair) {
			return offered.pair
		}
	}
	return best.pair
}

// wanted is the bundle for all that is offered. The worst source comes first, so that a replica that does not know of the better one yet writes the same bytes.
func (s rolloverInput) wanted() []*x509.Certificate {
	var wanted []*x509.Certificate
	for _, offered := range slices.Backward(s.offers) {
		for _, authority := range offered.trusted {
			wanted = addAuthority(wanted, authority)
		}
	}
	// cainjector adds to a bundle, so ours may be in it from before; that says nothing of what the others serve.
	if s.quiet >= s.rotation.rollover() && !s.uncertain && s.injector == injectorNone && holdsAll(s.bundle, wanted) {
		return wanted
	}
	// Another replica may still serve a certificate of these.
	for _, authority := range s.bundle {
		if s.now.Before(authority.NotAfter) {
			wanted = addAuthority(wanted, authority)
		}
	}
	return wanted
}
