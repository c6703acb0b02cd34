package install_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/yaml"

	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/report"
	"autoscale.io/webhook"
)

// rules are the groups of the PrometheusRule, as a file that Prometheus itself reads.
func rules(t *testing.T) []byte {
	t.Helper()
	for _, object := range kustomized(t, "monitoring") {
		if object.GetKind() == "PrometheusRule" {
			text, err := yaml.Marshal(object.Object["spec"])
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
	t.Fatal("there is no PrometheusRule")
	return nil
}

func TestAlertsFire(t *testing.T) {
	dir := t.TempDir()
	cases, err := os.ReadFile(filepath.Join("testdata", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := rules(t)
	for name, content := range map[string][]byte{"rules.yaml": text, "alerts.yaml": cases} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Fatal("promtool: not found in PATH; install it with: make deps")
	}
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "alerts.yaml"}} {
		command := exec.CommandContext(t.Context(), "promtool", args...)
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(text), -1) {
		// Once where it must not fire, and once where it must.
		if count := strings.Count(string(cases), "alertname: "+alert[1]); count < 2 {
			t.Errorf("testdata/alerts.yaml looks at %s %d times, want twice", alert[1], count)
		}
	}
}

// names collects the names of the metrics that are registered with it.
type names struct {
	prometheus.Registerer
	list []string
}

func (n *names) Register(c prometheus.Collector) error {
	descriptions := make(chan *prometheus.Desc, 100)
	c.Describe(descriptions)
	close(descriptions)
	for d := range descriptions {
		n.list = append(n.list, regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1])
	}
	return nil
}

func TestAlertsNameMetricsThatExist(t *testing.T) {
	var known names
	if err := known.Register(report.NewMetrics(decisions.New(func(decisions.Key) {}))); err != nil {
		t.Fatal(err)
	}
	if _, err := webhook.NewHandler(webhook.Reviewer{}, logr.Discard(), &known); err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`autoscale_\w+`).FindAllString(string(rules(t)), -1) {
		if !slices.Contains(known.list, strings.TrimSuffix(name, "_bucket")) {
			t.Errorf("an alert names the metric %s; there are %q", name, known.list)
		}
	}
}
