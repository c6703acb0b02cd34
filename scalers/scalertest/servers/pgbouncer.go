package servers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"autoscale.io/scalers/scalertest/ports"
)

// PgBouncerOptions says how to pool.
type PgBouncerOptions struct {
	// Users are the names and passwords of who may log in; the same passwords are used at the server. Required.
	Users map[string]string
	// Config holds further lines of the section pgbouncer, for example "default_pool_size = 2". Defaults to none: pooling by transaction.
	Config []string
}

// PgBouncer is a running pooler before a PostgreSQL server.
type PgBouncer struct {
	account account
	binary  string
	dir     string
	port    *ports.Port
	proc    *process
}

// MustPgBouncer is StartPgBouncer for a test: it ends with the test.
func MustPgBouncer(tb TB, server *Postgres, opts PgBouncerOptions) *PgBouncer {
	tb.Helper()
	pooler, err := StartPgBouncer(tb.Context(), server, opts)
	return must(tb, pooler, err)
}

// StartPgBouncer starts a pooler that passes every database of the server on. The context bounds the start.
func StartPgBouncer(ctx context.Context, server *Postgres, opts PgBouncerOptions) (*PgBouncer, error) {
	binary, err := find("pgbouncer", "/usr/sbin", "pgbouncer")
	if err != nil {
		return nil, err
	}
	account, err := accountOf("postgres", "pgbouncer")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	port, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	dir, err := account.directory("pgbouncer")
	if err != nil {
		return nil, err
	}
	b := &PgBouncer{account: account, binary: binary, dir: dir, port: port}
	if err = b.configure(server, opts); err == nil {
		err = b.boot(ctx)
	}
	if err != nil {
		b.Stop()
		return nil, err
	}
	return b, nil
}

func (b *PgBouncer) configure(server *Postgres, opts PgBouncerOptions) error {
	lines := []string{
		"[databases]", "* = host=" + ports.Loopback + " port=" + server.port.Digits(),
		"[pgbouncer]", "listen_addr = " + ports.Loopback, "listen_port = " + b.port.Digits(), "unix_socket_dir =",
		"auth_type = scram-sha-256", "auth_file = " + filepath.Join(b.dir, "users.txt"), "pool_mode = transaction",
	}
	var users strings.Builder
	for name, password := range opts.Users {
		fmt.Fprintf(&users, "%q %q\n", name, password)
	}
	return b.account.write(b.dir, map[string]string{"pgbouncer.ini": strings.Join(append(lines, opts.Config...), "\n") + "\n", "users.txt": users.String()})
}

func (b *PgBouncer) boot(ctx context.Context) error {
	log := filepath.Join(b.dir, fmt.Sprintf("log-%d", time.Now().UnixNano()))
	proc, err := startProcess(b.account.command(b.dir, b.binary, filepath.Join(b.dir, "pgbouncer.ini")), log)
	if err != nil {
		return err
	}
	b.proc = proc
	return awaitLog(ctx, proc, "process up")
}

// Addr is the pooler's host:port.
func (b *PgBouncer) Addr() string { return b.port.String() }

// Log returns the end of the pooler's output.
func (b *PgBouncer) Log() string { return b.proc.tail() }

// Restart ends the pooler and starts it again on the same port.
func (b *PgBouncer) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	b.proc.kill()
	return b.boot(ctx)
}

// Stop ends the pooler. It may be called twice.
func (b *PgBouncer) Stop() {
	if b.proc != nil {
		b.proc.kill()
	}
	b.port.Release()
	_ = os.RemoveAll(b.dir)
}
