package app

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"autoscale.io/cmd/autoscaler/clients"
)

// wired is what certificates need of an autoscaler with these flags.
func wired(t *testing.T, args ...string) wiring {
	t.Helper()
	return wiring{options: *parsed(t, args...), ways: ways{Access: clients.Access{Kube: fake.NewClientset()}}}
}

// elsewhere is an API server that nobody asks.
func elsewhere() *rest.Config { return &rest.Config{Host: "https://api.invalid"} }

// endOf is how something ends whose context has ended before; empty when it does so without an error.
func endOf(run func(context.Context) error) string {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	return errorText(run(ctx))
}

func TestWhereTheCertificateComesFrom(t *testing.T) {
	dir, _ := certificateFiles(t)
	const none = "the webhook has no certificate yet; ready: the webhook has no certificate yet"
	for args, want := range map[string]string{
		"":                                    none,
		"--certs=auto":                        none,
		"--certs=self-signed":                 none,
		"--certs=cert-manager":                none,
		"--certs=files --cert-dir=" + dir:     "of [webhook.test]; ready: <nil>",
		"--certs=files --cert-dir=/not/there": "--certs=files: read tls.crt and tls.key in --cert-dir: open /not/there/tls.crt: no such file or directory",
		"--certs=vault":                       `--certs: got "vault", want auto, cert-manager, self-signed or files`,
		"--cert-duration=-1h":                 "--cert-duration, --cert-renew-before, --cert-settle: want no negative duration",
		"--cert-renew-before=9000h":           "--cert-renew-before: got 9000h0m0s, want less than --cert-duration, which is 8760h0m0s",
		"--webhook-secret= --webhook-config=": "--webhook-service, --webhook-secret, --webhook-config: want a name for each",
		"--certs=files --cert-duration=-1h --cert-dir=" + dir: "of [webhook.test]; ready: <nil>",
	} {
		var logged lines
		get, run, ready, err := wired(t, strings.Fields(args)...).certificates(newManager(t, elsewhere(), logged.log()))
		got := errorText(err)
		if err == nil {
			if certificate, err := get(nil); err == nil {
				got = fmt.Sprint("of ", certificate.Leaf.DNSNames)
			} else {
				got = err.Error()
			}
			got += fmt.Sprint("; ready: ", ready(nil), endOf(run))
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", args, got, want)
		}
	}
}

func TestTheExpiryOfTheCertificateIsAMetric(t *testing.T) {
	dir, _ := certificateFiles(t)
	for args, want := range map[string]string{
		"--certs=files --cert-dir=" + dir: "4.1024448e+09",
		"--certs=self-signed":             "0", // nothing has made one yet
	} {
		registry := ownMetrics(t)
		var logged lines
		mgr := newManager(t, elsewhere(), logged.log())
		if _, err := addCertificates(mgr, wired(t, strings.Fields(args)...)); err != nil {
			t.Fatal(err)
		}
		const name = "autoscale_webhook_certificate_expiry_timestamp_seconds"
		text := "# HELP " + name + " Unix time at which the certificate that the webhook serves ends; 0 while it has none.\n# TYPE " + name + " gauge\n" + name + " " + want + "\n"
		if err := testutil.GatherAndCompare(registry, strings.NewReader(text), name); err != nil {
			t.Errorf("%s: %v", args, err)
		}
		_, err := addCertificates(mgr, wired(t, strings.Fields(args)...))
		if want := "register the webhook's metrics: duplicate metrics collector registration attempted"; err == nil || err.Error() != want {
			t.Errorf("%s: a second time: got %v, want %s", args, err, want)
		}
		if got := endOf(mgr.Start); got != "" {
			t.Errorf("%s: the manager ended with %s", args, got)
		}
	}
}

func TestTheSourcesOfACertificate(t *testing.T) {
	for mode, want := range map[string]string{
		"self-signed":  "asks cert-manager: false, makes a Secret: true, serves: true",
		"cert-manager": "asks cert-manager: true, makes a Secret: false, serves: false",
		"auto":         "asks cert-manager: true, makes a Secret: true, serves: true",
	} {
		var logged lines
		w := wired(t, "--certs="+mode)
		get, run, _, err := w.certificates(newManager(t, elsewhere(), logged.log()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- run(ctx) }()
		said := ""
		await(t, "a certificate, or why there is none", func() bool {
			said += strings.Join(logged.take(), "\n")
			_, err := get(nil)
			return err == nil || strings.Contains(said, "is not in order yet")
		})
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		said += strings.Join(logged.take(), "\n")
		asks := strings.Contains(said, `"cert-manager is not installed: the API server does not serve cert-manager.io/v1`)
		_, secret := w.Kube.CoreV1().Secrets("autoscale-system").Get(t.Context(), "autoscaler-webhook", metav1.GetOptions{})
		_, certificate := get(nil)
		if got := fmt.Sprintf("asks cert-manager: %t, makes a Secret: %t, serves: %t", asks, secret == nil, certificate == nil); got != want {
			t.Errorf("%s:\n got %s\nwant %s\nlogged %s", mode, got, want, said)
		}
	}
}
