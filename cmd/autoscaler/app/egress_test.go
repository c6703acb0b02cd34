package app

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"autoscale.io/scalers/egress"
)

// parsed are the options of a command line.
func parsed(t *testing.T, args ...string) *Options {
	t.Helper()
	o := DefaultOptions()
	o.Namespace = "autoscale-system"
	flags := pflag.NewFlagSet("autoscaler", pflag.ContinueOnError)
	o.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &o
}

func TestEgressFlags(t *testing.T) {
	for args, want := range map[string]string{
		"": "allow [] deny []",
		"--egress-allow=127.0.0.0/8,::1/128 --egress-deny=10.0.0.0/8 --egress-deny=fd00::/8": "allow [127.0.0.0/8 ::1/128] deny [10.0.0.0/8 fd00::/8]",
		"--egress-allow=localhost": `--egress-allow: got "localhost", want a CIDR, such as 10.0.0.0/8 or fd00::/8`,
		"--egress-deny=10.0.0.1":   `--egress-deny: got "10.0.0.1", want a CIDR; for this address alone: 10.0.0.1/32`,
	} {
		o := parsed(t, strings.Fields(args)...)
		got := ""
		if err := o.validate(); err != nil {
			got = err.Error()
		} else {
			dialer, err := o.dialer(&rest.Config{Host: "https://10.0.0.1:6443"})
			if err != nil {
				t.Fatal(err)
			}
			got = fmt.Sprintf("allow %v deny %v", dialer.Policy.Allow, dialer.Policy.Deny)
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", args, got, want)
		}
	}
}

func TestAPIServerIsOutOfReach(t *testing.T) {
	for _, test := range []struct{ host, serviceHost, servicePort, want string }{
		{"https://10.0.0.1:6443", "", "", "[{10.0.0.1 6443}]"},
		{"https://api.example/prefix", "", "", "[{api.example 443}]"},
		{"https://[fd00::1]:6443", "", "", "[{fd00::1 6443}]"},
		{"http://10.0.0.1", "", "", "[{10.0.0.1 80}]"},
		{"10.0.0.1:6443", "", "", "[{10.0.0.1 6443}]"},
		{"https://10.0.0.1:6443", "10.96.0.1", "443", "[{10.0.0.1 6443} {10.96.0.1 443}]"},
		{"https://10.0.0.1:6443", "fd00::1", "", "[{10.0.0.1 6443} {fd00::1 443}]"},
		{"https://10.0.0.1:6443", "10.96.0.1", "x", `find the port of the API server 10.96.0.1: got "x", want a number up to 65535`},
	} {
		t.Setenv("KUBERNETES_SERVICE_HOST", test.serviceHost)
		t.Setenv("KUBERNETES_SERVICE_PORT", test.servicePort)
		dialer, err := parsed(t, "--egress-allow=0.0.0.0/0,::/0").dialer(&rest.Config{Host: test.host})
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprint(dialer.Policy.Never)
		}
		if got != test.want {
			t.Errorf("%+v: got %s", test, got)
		}
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	dialer, err := parsed(t, "--egress-allow=0.0.0.0/0").dialer(&rest.Config{Host: "https://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	var refused *egress.RefusedError
	if _, err := dialer.DialContext(t.Context(), "tcp", "127.0.0.1:1"); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}
