package scalers_test

import (
	"reflect"
	"testing"
	"time"

	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest/servers"
)

func TestTLSIsOnWhenAnyParameterIsGiven(t *testing.T) {
	on, off := true, false
	for _, test := range []struct {
		tls  scalers.TLS
		want bool
	}{
		{scalers.TLS{}, false},
		{scalers.TLS{Enabled: &off}, false},
		{scalers.TLS{Enabled: &on}, true},
		{scalers.TLS{CA: "x"}, true},
		{scalers.TLS{Cert: "x"}, true},
		{scalers.TLS{Key: "x"}, true},
		{scalers.TLS{ServerName: "x"}, true},
		{scalers.TLS{InsecureSkipVerify: true}, true},
	} {
		if got := test.tls.On(); got != test.want {
			t.Errorf("%+v: on is %v, want %v", test.tls, got, test.want)
		}
	}
}

func TestTLSConfig(t *testing.T) {
	pem, err := servers.NewPEM(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := scalers.TLS{CA: pem.CA, Cert: pem.ClientCert, Key: pem.ClientKey}.Config("host")
	if err != nil {
		t.Fatal(err)
	}
	if config.ServerName != "host" || config.RootCAs == nil || len(config.Certificates) != 1 || config.InsecureSkipVerify {
		t.Errorf("got %+v", config)
	}
	config, err = scalers.TLS{ServerName: "other", InsecureSkipVerify: true}.Config("host")
	if err != nil || config.ServerName != "other" || !config.InsecureSkipVerify || config.RootCAs != nil {
		t.Errorf("got %+v, %v", config, err)
	}
	if config, err := (scalers.TLS{}).Config("host"); config != nil || err != nil {
		t.Errorf("off: got %+v, %v", config, err)
	}
}

func TestTLSConfigFaults(t *testing.T) {
	pem, err := servers.NewPEM(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		tls  scalers.TLS
		want string
	}{
		{scalers.TLS{CA: "/etc/ca.pem"}, "tls.ca: holds no certificate; want PEM text that begins with -----BEGIN CERTIFICATE-----"},
		{
			scalers.TLS{Cert: pem.ClientCert, Key: "canary"},
			"tls.cert and tls.key: tls: failed to find any PEM data in key input; want the PEM text of a certificate and of its private key",
		},
		{
			scalers.TLS{Cert: pem.ClientCert, Key: pem.ServerKey},
			"tls.cert and tls.key: tls: private key does not match public key; want the PEM text of a certificate and of its private key",
		},
		{
			scalers.TLS{Cert: pem.ClientCert, Key: pem.ClientKey, KeyPassword: "canary"},
			"tls.keyPassword: encrypted private keys are not supported; store the key without encryption: openssl pkcs8 -topk8 -nocrypt",
		},
	} {
		if _, err := test.tls.Config(""); err == nil || err.Error() != test.want {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
	}
}

func TestTLSCheck(t *testing.T) {
	off := false
	secret := schema.Ref{Secret: "s", Key: "k"}
	for _, test := range []struct {
		tls                scalers.TLS
		refs               schema.Refs
		problems, warnings []string
	}{
		{tls: scalers.TLS{}},
		{tls: scalers.TLS{Cert: "x"}, refs: schema.Refs{"tls.key": secret}},
		{tls: scalers.TLS{Cert: "x"}, problems: []string{"tls.key: missing; want the private key of cert"}},
		{refs: schema.Refs{"tls.key": secret}, problems: []string{"tls.cert: missing; want the certificate of key"}},
		{
			refs:     schema.Refs{"tls.keyPassword": secret},
			problems: []string{"tls.keyPassword: encrypted private keys are not supported; store the key without encryption: openssl pkcs8 -topk8 -nocrypt"},
		},
		{
			tls: scalers.TLS{Enabled: &off}, refs: schema.Refs{"tls.ca": secret},
			problems: []string{"tls.enabled: false, yet other tls parameters are given; want true, or none of them"},
		},
		{
			tls:      scalers.TLS{InsecureSkipVerify: true},
			warnings: []string{"tls.insecureSkipVerify: any certificate is accepted; credentials go to whoever answers"},
		},
	} {
		problems, warnings := test.tls.Check("tls", test.refs)
		if got := texts(problems); !reflect.DeepEqual(got, test.problems) {
			t.Errorf("problems of %+v %v:\ngot  %q\nwant %q", test.tls, test.refs, got, test.problems)
		}
		if got := texts(warnings); !reflect.DeepEqual(got, test.warnings) {
			t.Errorf("warnings of %+v %v:\ngot  %q\nwant %q", test.tls, test.refs, got, test.warnings)
		}
	}
}

func texts(problems []schema.Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, p.String())
	}
	return all
}
