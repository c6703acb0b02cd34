package app

import (
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestOptionsAreValidated(t *testing.T) {
	const lease = "--lease-duration, --lease-renew-deadline, --lease-retry-period: "
	for args, want := range map[string]string{
		"":                           "<nil>",
		"--namespace=":               "--namespace: missing; want the namespace that the autoscaler runs in (or $POD_NAMESPACE)",
		"--lease-duration=1500ms":    lease + "lease duration: got 1.5s, want whole seconds, at least 1s, such as 15s",
		"--lease-renew-deadline=15s": lease + "lease renew deadline: got 15s, want less than the lease duration of 15s",
		"--lease-retry-period=0s":    lease + "lease retry period: got 0s, want more than 0s and less than 8.333s, that is 1/1.2 of the renew deadline",
		"--metric-resolution=0s":     "--metric-resolution: got 0s, want more than 0s, such as 15s",
		"--metric-resolution=1ms":    "<nil>",
		"--egress-deny=10.0.0.0/33":  `--egress-deny: got "10.0.0.0/33", want a CIDR, such as 10.0.0.0/8 or fd00::/8`,
		"--kinds=":                   "--kinds: empty; want at least one, such as deployments.apps",
		"--kinds=deployments.apps --kinds=a.b,c.d": "<nil>",
	} {
		if got := fmt.Sprint(parsed(t, strings.Fields(args)...).validate()); got != want {
			t.Errorf("%s:\n got %s\nwant %s", args, got, want)
		}
	}
}

func TestTheNamespaceIsThatOfThePod(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "scaling")
	if o := DefaultOptions(); o.Namespace != "scaling" {
		t.Errorf("got %q", o.Namespace)
	}
}

// What a person reads in --help is whole sentences about every option, with the defaults of an install in a cluster.
func TestFlagsHaveTheDefaultsOfAnInstall(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	o := DefaultOptions()
	flags := pflag.NewFlagSet("autoscaler", pflag.ContinueOnError)
	o.AddFlags(flags)
	var got []string
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Usage == "" {
			t.Errorf("--%s has no description", flag.Name)
		}
		got = append(got, flag.Name+"="+flag.DefValue)
	})
	want := "cert-dir=/tmp/autoscaler-certs cert-duration=8760h0m0s cert-hosts=[] cert-renew-before=2160h0m0s cert-settle=30s certs=auto class= " +
		"egress-allow=[] egress-deny=[] health-probe-bind-address=:8081 identity= kinds=[deployments.apps,statefulsets.apps,jobs.batch,cronjobs.batch] kubeconfig= " +
		"lease-duration=15s lease-renew-deadline=10s lease-retry-period=4s log-level=info metric-resolution=15s metrics-bind-address=:8080 namespace= " +
		"pprof-bind-address= sweep-interval=3m0s webhook=true webhook-config=autoscale.io webhook-host= webhook-port=9443 webhook-secret=autoscaler-webhook webhook-service=autoscaler"
	if strings.Join(got, " ") != want {
		t.Errorf("\n got %s\nwant %s", strings.Join(got, " "), want)
	}
}

func TestTheIdentityIsUnique(t *testing.T) {
	if got, err := parsed(t, "--identity=pod-1").identity(); got != "pod-1" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile("^" + regexp.QuoteMeta(host) + "_[0-9a-f-]{36}$")
	o := parsed(t)
	first, err := o.identity()
	if err != nil || !made.MatchString(first) {
		t.Errorf("got %q, %v, want the host and a UUID", first, err)
	}
	if second, err := o.identity(); err != nil || second == first {
		t.Errorf("got %q again, %v", second, err)
	}
}

func TestTheEnvironmentDecidesHowOftenGarbageIsCollected(t *testing.T) {
	before := debug.SetGCPercent(70)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	t.Setenv("GOGC", "70")
	collectEarly()
	if got := debug.SetGCPercent(70); got != 70 {
		t.Errorf("got %d %% with GOGC=70", got)
	}
	t.Setenv("GOGC", "")
	collectEarly()
	if got := debug.SetGCPercent(70); got != 25 {
		t.Errorf("got %d %% without GOGC, want 25 %%", got)
	}
}
