package servers

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers/scalertest/ports"
)

// startTimeout bounds a start whose context has no nearer deadline.
const startTimeout = 30 * time.Second

// RedisOptions says what kind of Redis server to start. The zero value is a server without passwords.
type RedisOptions struct {
	// Config holds further lines of redis.conf, for example "maxmemory 10mb". Defaults to none.
	Config []string
	// Password of the default user, whom Client uses too. Defaults to none.
	Password string
	// Users holds ACL rules, one user each, for example "scaler on >secret ~orders +xlen". The default user must be left alone. Defaults to none.
	Users []string
	// TLS makes the server speak TLS only, with these certificates. Defaults to nil: plain text.
	TLS *PEM
	// TLSClientAuth makes the server demand a client certificate of the same authority. Defaults to false.
	TLSClientAuth bool
}

// Redis is a running server. Its data survives Kill and Restart, not Stop.
type Redis struct {
	opts   RedisOptions
	binary string
	dir    string
	port   *ports.Port
	proc   *process
	client *redis.Client
}

// Installed reports whether the Redis binaries are there; the error names the command that installs them.
func Installed() error {
	return installed("redis-server redis-sentinel", "redis-server", "redis-sentinel")
}

// MustRedis is StartRedis for a test: it ends with the test.
func MustRedis(tb TB, opts RedisOptions) *Redis {
	tb.Helper()
	server, err := StartRedis(tb.Context(), opts)
	return must(tb, server, err)
}

// StartRedis starts one server and returns when it accepts connections. The context bounds the start, not the life of the server: Stop ends it.
func StartRedis(ctx context.Context, opts RedisOptions) (*Redis, error) {
	return startRedis(ctx, "redis-server", opts)
}

// startRedis starts redis-server or redis-sentinel.
func startRedis(ctx context.Context, binary string, opts RedisOptions) (*Redis, error) {
	// Debian's packages have the names of the programs.
	if err := installed(binary, binary); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	port, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", binary+"-")
	if err != nil {
		return nil, fmt.Errorf("directory of %s: %w", binary, err)
	}
	r := &Redis{opts: opts, binary: binary, dir: dir, port: port}
	if err = r.configure(); err == nil {
		err = r.boot(ctx)
	}
	if err == nil {
		r.client, err = r.newClient()
	}
	if err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

// configure writes the configuration file and the certificates.
func (r *Redis) configure() error {
	lines := []string{
		"bind " + ports.Loopback,
		"protected-mode no",
		"daemonize no",
		"dir " + r.dir,
		`logfile ""`,
	}
	if r.binary == "redis-server" {
		// Append-only keeps acknowledged writes when the process is killed. With the default, fsync every second, a busy disk
		// puts off the writes of the file and a kill loses them; without fsync each is made before its answer.
		lines = append(lines, `save ""`, "appendonly yes", "appendfsync no", "enable-debug-command local")
	}
	if r.opts.Password != "" {
		lines = append(lines, "requirepass "+r.opts.Password)
	}
	for _, user := range r.opts.Users {
		lines = append(lines, "user "+user)
	}
	if r.opts.TLS == nil {
		lines = append(lines, "port "+r.port.Digits())
	} else {
		secured, err := r.configureTLS()
		if err != nil {
			return err
		}
		lines = append(lines, secured...)
	}
	lines = append(lines, r.opts.Config...)
	text := strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(r.configFile(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("configuration of %s: %w", r.binary, err)
	}
	return nil
}

func (r *Redis) configureTLS() ([]string, error) {
	files := map[string]string{"ca.pem": r.opts.TLS.CA, "cert.pem": r.opts.TLS.ServerCert, "key.pem": r.opts.TLS.ServerKey}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("certificates of %s: %w", r.binary, err)
		}
	}
	clients := "no"
	if r.opts.TLSClientAuth {
		clients = "yes"
	}
	return []string{
		"port 0",
		"tls-port " + r.port.Digits(),
		"tls-ca-cert-file " + filepath.Join(r.dir, "ca.pem"),
		"tls-cert-file " + filepath.Join(r.dir, "cert.pem"),
		"tls-key-file " + filepath.Join(r.dir, "key.pem"),
		"tls-auth-clients " + clients,
	}, nil
}

// boot runs the binary and waits for the line of its log that says it serves.
func (r *Redis) boot(ctx context.Context) error {
	log := filepath.Join(r.dir, fmt.Sprintf("log-%d", time.Now().UnixNano()))
	proc, err := startProcess(exec.Command(r.binary, r.configFile()), log)
	if err != nil {
		return err
	}
	r.proc = proc
	return awaitLog(ctx, proc, "Ready to accept connections", "Sentinel ID is")
}

func (r *Redis) newClient() (*redis.Client, error) {
	config, err := r.opts.clientTLS()
	if err != nil {
		return nil, err
	}
	return redis.NewClient(&redis.Options{Addr: r.Addr(), Password: r.opts.Password, TLSConfig: config}), nil
}

func (r *Redis) configFile() string { return filepath.Join(r.dir, "redis.conf") }

// Addr is the server's host:port.
func (r *Redis) Addr() string { return r.port.String() }

// Client is logged in as the default user, who may do everything. Stop closes it.
func (r *Redis) Client() *redis.Client { return r.client }

// Log returns the end of the server's output.
func (r *Redis) Log() string { return r.proc.tail() }

// Pause freezes the server: it keeps its connections and answers nothing until Resume.
func (r *Redis) Pause() error { return r.proc.pause() }

// Resume lets a paused server go on.
func (r *Redis) Resume() error { return r.proc.signal(syscall.SIGCONT) }

// Kill ends the server without warning, as a lost node would. Its port and data stay for Restart.
func (r *Redis) Kill() { r.proc.kill() }

// Restart ends the server if it runs and starts it again on the same port with the same data. It returns when the data is loaded.
func (r *Redis) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r.proc.kill()
	return r.boot(ctx)
}

// Stop ends the server and removes its data. It may be called twice.
func (r *Redis) Stop() {
	if r.client != nil {
		_ = r.client.Close()
	}
	if r.proc != nil {
		r.proc.stop()
	}
	r.port.Release()
	_ = os.RemoveAll(r.dir)
}

// clientTLS is the TLS configuration of clients of servers with these options, nil for plain text.
func (o RedisOptions) clientTLS() (*tls.Config, error) {
	if o.TLS == nil {
		return nil, nil
	}
	return o.TLS.ClientTLS()
}
