package certs

import (
	"crypto/x509"
	"testing"
	"time"
)

// move is one rolloverInput of a rollover.
type move struct {
	name string
	rolloverInput
	want step
}

func offered(p *pair, injected bool) *offer {
	return &offer{pair: p, trusted: []*x509.Certificate{p.authority}, injected: injected}
}

func TestRollover(t *testing.T) {
	own, issued := newPair(t), newPair(t)
	authorities := func(pairs ...*pair) (all []*x509.Certificate) {
		for _, p := range pairs {
			all = append(all, p.authority)
		}
		return all
	}
	alone, both, delegated := []*offer{offered(own, false)}, []*offer{offered(issued, true), offered(own, false)}, []*offer{offered(issued, true)}
	const soon, settled, long = time.Second, 30 * time.Second, 5 * time.Minute
	for _, c := range []move{
		{"a fresh install", rolloverInput{offers: alone, seen: true}, step{serve: own, publish: authorities(own)}},
		{"nothing offered", rolloverInput{seen: true, served: own}, step{serve: own}},
		{"the configuration was never seen", rolloverInput{offers: both}, step{serve: issued}},
		{"somebody else's bundle", rolloverInput{offers: alone, seen: true, injector: injectorForeign}, step{serve: own}},
		{"cert-manager delivers", rolloverInput{offers: both, served: own, seen: true, bundle: authorities(own), quiet: long}, step{serve: own, publish: authorities(own, issued)}},
		{"its authority has not settled", rolloverInput{offers: both, served: own, seen: true, bundle: authorities(own, issued), quiet: soon}, step{serve: own, publish: authorities(own, issued)}},
		{"its authority has settled", rolloverInput{offers: both, served: own, seen: true, bundle: authorities(own, issued), quiet: settled}, step{serve: issued, publish: authorities(own, issued)}},
		{"every replica has moved", rolloverInput{offers: both, served: issued, seen: true, bundle: authorities(own, issued), quiet: long}, step{serve: issued, publish: authorities(own, issued), annotate: true}},
		{"cainjector keeps the bundle", rolloverInput{offers: both, served: issued, seen: true, bundle: authorities(issued), quiet: long, injector: injectorOurs}, step{serve: issued}},
		{"a replica starts then", rolloverInput{offers: both, seen: true, bundle: authorities(issued), injector: injectorOurs}, step{serve: issued}},
		{"cainjector is slow", rolloverInput{offers: both, served: issued, seen: true, quiet: soon, injector: injectorOurs}, step{serve: issued}},
		{"cainjector is away", rolloverInput{offers: both, served: issued, seen: true, quiet: settled, injector: injectorOurs}, step{serve: issued, publish: authorities(own, issued), unfilled: true}},
		{"cert-manager goes", rolloverInput{offers: alone, served: issued, seen: true, bundle: authorities(issued), quiet: long, injector: injectorOurs}, step{serve: issued, publish: authorities(own, issued), strip: true}},
		{"cert-manager goes, whose cainjector had added to the bundle", rolloverInput{offers: alone, served: issued, seen: true, bundle: authorities(own, issued), quiet: long, injector: injectorOurs}, step{serve: own, publish: authorities(own, issued), strip: true}},
		{"cert-manager cannot be asked", rolloverInput{offers: alone, uncertain: true, served: issued, seen: true, bundle: authorities(issued), quiet: long, injector: injectorOurs}, step{serve: issued}},
		{"both stay trusted", rolloverInput{offers: alone, served: own, seen: true, bundle: authorities(own, issued), quiet: settled}, step{serve: own, publish: authorities(own, issued)}},
		{"the old one goes", rolloverInput{offers: alone, served: own, seen: true, bundle: authorities(own, issued), quiet: long}, step{serve: own, publish: authorities(own)}},
		{"cert-manager alone, at first", rolloverInput{offers: delegated, delegated: true, seen: true}, step{serve: issued, annotate: true}},
		{"cert-manager alone, without cainjector", rolloverInput{offers: delegated, delegated: true, seen: true, quiet: settled, injector: injectorOurs}, step{serve: issued, unfilled: true}},
		{"cert-manager alone, in order", rolloverInput{offers: delegated, delegated: true, seen: true, bundle: authorities(issued), injector: injectorOurs}, step{serve: issued}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.hosts, c.now, c.rotation = testHosts(), time.Now(), RotationConfig{}.withDefaults()
			got := rollover(c.rolloverInput)
			names := map[*pair]string{own: "own", issued: "issued", nil: "none"}
			if got.serve != c.want.serve || got.annotate != c.want.annotate || got.strip != c.want.strip || got.unfilled != c.want.unfilled {
				t.Errorf("got %s %+v, want %s %+v", names[got.serve], got, names[c.want.serve], c.want)
			}
			if string(encodeBundle(got.publish)) != string(encodeBundle(c.want.publish)) {
				t.Errorf("publishes %d authorities, want %d in their order", len(got.publish), len(c.want.publish))
			}
		})
	}
}
