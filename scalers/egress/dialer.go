package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// Dialer opens TCP connections to where its policy permits. It looks at the address that is about to be connected to, after names are resolved, so a name
// that changes its meaning between two looks gains nothing. The zero value is the strictest dialer that there is.
type Dialer struct {
	Policy Policy
	// Resolver looks names up. Defaults to net.DefaultResolver.
	Resolver *net.Resolver
}

// RefusedError is what a dial ends with that the policy forbids. It is the same for every reason and does not say what a name leads to, so that nobody
// learns the addresses of a network by trying names.
type RefusedError struct {
	// Address is host:port as it was asked for.
	Address string
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("connecting to %s is not allowed: it is or leads to an address that scalers may not reach, such as one of the autoscaler's own host, a link-local one "+
		"or the API server; whoever runs the autoscaler can make exceptions with --egress-allow", e.Address)
}

var (
	errRefused = errors.New("refused by the policy")
	errUnsure  = errors.New("not connected: the name of the API server, to which scalers may not connect, does not resolve at the moment")
)

// DialContext opens a connection to host:port. A name with several addresses leads to the first that is permitted and answers. The error is a
// [*RefusedError] when the policy forbids it.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		// Sockets of this host, and protocols that no scaler speaks.
		return nil, &RefusedError{Address: address}
	}
	dialer := net.Dialer{Resolver: d.Resolver, ControlContext: d.control}
	conn, err := dialer.DialContext(ctx, network, address)
	switch {
	case errors.Is(err, errRefused):
		return nil, &RefusedError{Address: address}
	case errors.Is(err, errUnsure):
		return nil, errUnsure
	}
	return conn, err
}

// control is called with the address itself, right before the connection is opened.
func (d *Dialer) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	endpoint, err := netip.ParseAddrPort(address)
	if err != nil || !d.Policy.Permits(endpoint.Addr()) {
		return errRefused
	}
	for _, never := range d.Policy.Never {
		if never.Port != endpoint.Port() {
			continue
		}
		found, err := d.isAt(ctx, never.Host, endpoint.Addr())
		if err != nil {
			return errUnsure
		}
		if found {
			return errRefused
		}
	}
	return nil
}

// isAt says whether a host has the address.
func (d *Dialer) isAt(ctx context.Context, host string, address netip.Addr) (bool, error) {
	resolver := d.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	// An address is its own answer.
	all, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false, err
	}
	for _, one := range all {
		for _, form := range forms(address) {
			if same(one, form) {
				return true, nil
			}
		}
	}
	return false, nil
}
