package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
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

// info is how a line begins that is no error.
const info = `"level"=0 `

// lines are what was logged.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) log() logr.Logger {
	return funcr.New(func(_, line string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.text = append(l.text, line)
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

// errors returns the lines since the last call that are errors.
func (l *lines) errors() []string {
	return slices.DeleteFunc(l.take(), func(line string) bool { return strings.HasPrefix(line, info) })
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
