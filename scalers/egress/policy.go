// Package egress owns the one way from the scalers to the network: a dialer that refuses the addresses which no annotation may reach, whatever name
// leads there.
//
// It knows no scaler, no protocol and no cluster: which addresses are those of the API server is said to it.
package egress

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Policy says which addresses may be connected to: all but a built-in list, which is that of loopback, of this host, of link-local and multicast addresses,
// and of the metadata services of clouds. Deny beats Allow, and Allow beats the built-in list. An IPv6 address that stands for one of IPv4 is judged
// as both. The zero value refuses the built-in list.
type Policy struct {
	// Allow are exceptions from the built-in list. Defaults to none.
	Allow []netip.Prefix
	// Deny are refused as well. Defaults to none.
	Deny []netip.Prefix
	// Never are endpoints that are refused even where Allow holds their addresses: those of the API server. Defaults to none.
	Never []Endpoint
}

// Endpoint is one port of a host.
type Endpoint struct {
	// Host is an IP address or a name. A name is resolved when its port is connected to.
	Host string
	// Port is 1 to 65535.
	Port uint16
}

// BuiltIn lists what is refused where Allow says nothing else.
func BuiltIn() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{
		// This host.
		"0.0.0.0/8", "127.0.0.0/8", "::/96",
		// Link-local: what only the own network segment knows, such as the metadata services of most clouds.
		"169.254.0.0/16", "fe80::/10",
		// Multicast and broadcast.
		"224.0.0.0/4", "255.255.255.255/32", "ff00::/8",
		// Metadata services elsewhere: Amazon's by IPv6, Google's by IPv6, Alibaba's, Azure's and Oracle's.
		"fd00:ec2::/32", "fd20:ce::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Permits says whether an address may be connected to, on the ports that Never does not name.
func (p Policy) Permits(address netip.Addr) bool {
	return !slices.ContainsFunc(forms(address), p.refuses)
}

func (p Policy) refuses(address netip.Addr) bool {
	holds := func(prefix netip.Prefix) bool { return prefix.Contains(address) }
	if slices.ContainsFunc(p.Deny, holds) {
		return true
	}
	return !slices.ContainsFunc(p.Allow, holds) && slices.ContainsFunc(BuiltIn(), holds)
}

// forms are the addresses that one stands for: itself, and the one of IPv4 that a translator or a tunnel would make of it.
func forms(address netip.Addr) []netip.Addr {
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return []netip.Addr{address}
	}
	all, bytes := []netip.Addr{address}, address.As16()
	for _, embedding := range []struct {
		prefix string
		at     int
	}{{"64:ff9b::/96", 12}, {"2002::/16", 2}} {
		if netip.MustParsePrefix(embedding.prefix).Contains(address) {
			all = append(all, netip.AddrFrom4([4]byte(bytes[embedding.at:embedding.at+4])))
		}
	}
	return all
}

// same says whether two addresses lead to the same place. Every address of this host does.
func same(a, b netip.Addr) bool {
	a, b = a.Unmap().WithZone(""), b.Unmap().WithZone("")
	here := func(address netip.Addr) bool { return address.IsLoopback() || address.IsUnspecified() }
	return a == b || here(a) && here(b)
}

// ParsePrefixes reads CIDRs. The error says which one does not fit, and what was wanted.
func ParsePrefixes(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		switch address, notAddress := netip.ParseAddr(strings.TrimSpace(text)); {
		case err != nil && notAddress == nil && address.Zone() == "":
			return nil, fmt.Errorf("got %q, want a CIDR; for this address alone: %s", text, netip.PrefixFrom(address, address.BitLen()))
		case err != nil:
			return nil, fmt.Errorf("got %q, want a CIDR, such as 10.0.0.0/8 or fd00::/8", text)
		case prefix.Addr().Is4In6():
			return nil, fmt.Errorf("got %q, want the CIDR in the form of IPv4, such as 10.0.0.0/8; it holds for mapped addresses, too", text)
		case prefix != prefix.Masked():
			return nil, fmt.Errorf("got %q, want %s, or for the address alone %s", text, prefix.Masked(), netip.PrefixFrom(prefix.Addr(), prefix.Addr().BitLen()))
		}
		all = append(all, prefix)
	}
	return all, nil
}
