package egress_test

import (
	"fmt"
	"net/netip"
	"testing"

	"autoscale.io/scalers/egress"
)

func prefixes(t *testing.T, texts ...string) []netip.Prefix {
	t.Helper()
	all, err := egress.ParsePrefixes(texts)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBuiltIn(t *testing.T) {
	for address, want := range map[string]bool{
		"10.96.0.10": true, "192.168.1.1": true, "172.16.0.1": true, "8.8.8.8": true, "fd00::1": true, "2001:db8::1": true, "::ffff:10.0.0.1": true,
		"64:ff9b::a00:1": true, "2002:a00:1::": true, "100.64.0.1": true, "1.0.0.0": true, "128.0.0.0": true, "169.253.255.255": true, "169.255.0.0": true,
		"127.0.0.1": false, "127.255.255.254": false, "0.0.0.0": false, "0.1.2.3": false, "169.254.169.254": false, "169.254.0.1": false, "224.0.0.1": false,
		"239.255.255.255": false, "255.255.255.255": false,
		"::": false, "::1": false, "::7f00:1": false, "fe80::1": false, "fe80::1%eth0": false, "febf::1": false, "ff02::1": false,
		// The forms of IPv4 within IPv6: mapped, translated and tunnelled.
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:0.0.0.0": false, "::ffff:224.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false, "2002:a9fe:a9fe::1": false,
		"fd00:ec2::254": false, "fd20:ce::254": false, "100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false,
	} {
		if got := (egress.Policy{}).Permits(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: permitted %v, want %v", address, got, want)
		}
	}
}

// Deny beats Allow, which beats the built-in list.
func TestAllowAndDeny(t *testing.T) {
	for _, test := range []struct {
		allow, deny []string
		address     string
		want        bool
	}{
		{[]string{"127.0.0.0/8"}, nil, "127.0.0.1", true},
		{[]string{"127.0.0.0/8"}, nil, "::ffff:127.0.0.1", true},
		{[]string{"127.0.0.0/8"}, nil, "64:ff9b::7f00:1", true},
		{[]string{"127.0.0.0/8"}, nil, "::1", false},
		{[]string{"127.0.0.0/8"}, nil, "169.254.169.254", false},
		{[]string{"127.0.0.1/32"}, nil, "127.0.0.2", false},
		{[]string{"::1/128"}, nil, "::1", true},
		{[]string{"fe80::/10"}, nil, "fe80::1%eth0", true},
		{[]string{"0.0.0.0/0", "::/0"}, nil, "169.254.169.254", true},
		{[]string{"64:ff9b::/96"}, nil, "64:ff9b::7f00:1", false},
		{[]string{"127.0.0.0/8"}, []string{"127.0.0.0/8"}, "127.0.0.1", false},
		{[]string{"127.0.0.1/32"}, []string{"127.0.0.0/8"}, "127.0.0.1", false},
		{[]string{"127.0.0.0/8"}, []string{"127.0.0.2/32"}, "127.0.0.1", true},
		{nil, []string{"10.0.0.0/8"}, "10.1.2.3", false},
		{nil, []string{"10.0.0.0/8"}, "::ffff:10.1.2.3", false},
		{nil, []string{"10.0.0.0/8"}, "64:ff9b::a01:203", false},
		{nil, []string{"10.0.0.0/8"}, "11.1.2.3", true},
		{nil, []string{"0.0.0.0/0", "::/0"}, "2001:db8::1", false},
	} {
		policy := egress.Policy{Allow: prefixes(t, test.allow...), Deny: prefixes(t, test.deny...)}
		if got := policy.Permits(netip.MustParseAddr(test.address)); got != test.want {
			t.Errorf("allow %v, deny %v: %s permitted %v, want %v", test.allow, test.deny, test.address, got, test.want)
		}
	}
}

func TestParsePrefixes(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", " fd00::/8 ": "fd00::/8", "0.0.0.0/0": "0.0.0.0/0", "127.0.0.1/32": "127.0.0.1/32",
		"127.0.0.1":            `got "127.0.0.1", want a CIDR; for this address alone: 127.0.0.1/32`,
		"::1":                  `got "::1", want a CIDR; for this address alone: ::1/128`,
		"":                     `got "", want a CIDR, such as 10.0.0.0/8 or fd00::/8`,
		"redis":                `got "redis", want a CIDR, such as 10.0.0.0/8 or fd00::/8`,
		"10.0.0.0/33":          `got "10.0.0.0/33", want a CIDR, such as 10.0.0.0/8 or fd00::/8`,
		"fe80::1%eth0":         `got "fe80::1%eth0", want a CIDR, such as 10.0.0.0/8 or fd00::/8`,
		"10.0.0.1/8":           `got "10.0.0.1/8", want 10.0.0.0/8, or for the address alone 10.0.0.1/32`,
		"::ffff:127.0.0.0/104": `got "::ffff:127.0.0.0/104", want the CIDR in the form of IPv4, such as 10.0.0.0/8; it holds for mapped addresses, too`,
	} {
		all, err := egress.ParsePrefixes([]string{text})
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = all[0].String()
		}
		if got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", text, got, want)
		}
	}
	if all, err := egress.ParsePrefixes([]string{"10.0.0.0/8", "10.0.0.0", "fd00::/8"}); err == nil {
		t.Errorf("got %v", all)
	}
	if got := fmt.Sprint(prefixes(t)); got != "[]" {
		t.Errorf("got %s for none", got)
	}
}
