package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// lines are what was logged, without the level.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) log() logr.Logger {
	return funcr.New(func(_, line string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.text = append(l.text, strings.TrimPrefix(line, `"level"=0 `))
	}, funcr.Options{})
}

// take returns the lines since the last call.
func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.text
	l.text = nil
	return taken
}

// ownMetrics gives a test a registry of its own. In that of the process, each metric can be registered only once.
func ownMetrics(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry, before := prometheus.NewRegistry(), metrics.Registry
	metrics.Registry = registry
	t.Cleanup(func() { metrics.Registry = before })
	return registry
}

// newManager returns a manager that is never started and listens nowhere.
func newManager(t *testing.T, config *rest.Config, log logr.Logger) manager.Manager {
	t.Helper()
	o := Options{MetricsBindAddress: "0", HealthProbeBindAddress: "0"}
	mgr, err := ctrl.NewManager(config, o.managerOptions(log))
	if err != nil {
		t.Fatal(err)
	}
	return mgr
}

// stderr returns the log that fn writes to the standard error. Each record becomes a line of its sorted fields without
// the time.
func stderr(t *testing.T, fn func()) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stderr")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = before }()
	fn()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var logged []string
	for line := range bytes.Lines(content) {
		var record map[string]any
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var fields []string
		for _, key := range slices.Sorted(maps.Keys(record)) {
			if key != "time" {
				fields = append(fields, fmt.Sprintf("%s=%v", key, record[key]))
			}
		}
		logged = append(logged, strings.Join(fields, " "))
	}
	return logged
}

func pemOf(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

// expiry is when the certificates of the tests end.
func expiry() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }

// certificateFiles writes tls.crt and tls.key for webhook.test and returns their folder, and a pool that trusts them.
func certificateFiles(t *testing.T) (string, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: expiry(), DNSNames: []string{"webhook.test"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"tls.crt": pemOf(certificate), "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return dir, pool
}
