package servers

import (
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"autoscale.io/scalers/scalertest/ports"
)

// PostgresAdmin is the superuser of every PostgreSQL server, and PostgresAdminPassword the password.
const (
	PostgresAdmin         = "postgres"
	PostgresAdminPassword = "admin-of-tests"
)

// PostgresOptions says what kind of PostgreSQL server to start. The zero value is a server that wants a password by SCRAM-SHA-256.
type PostgresOptions struct {
	// Config holds further lines of postgresql.conf, for example "max_connections = 10". Defaults to none.
	Config []string
	// HBA holds the lines of pg_hba.conf. Defaults to SCRAM-SHA-256 for everybody, with and without TLS.
	HBA []string
	// TLS makes the server offer TLS, with these certificates. Defaults to nil: plain text alone.
	TLS *PEM
	// Standby makes the server a hot standby of this one. Defaults to nil: a primary.
	Standby *Postgres
}

// Postgres is a running server. Its data survives Kill and Restart, not Stop.
type Postgres struct {
	opts     PostgresOptions
	account  account
	binaries string
	dir      string
	port     *ports.Port
	proc     *process
	db       *sql.DB
}

// MustPostgres is StartPostgres for a test: it ends with the test.
func MustPostgres(tb TB, opts PostgresOptions) *Postgres {
	tb.Helper()
	server, err := StartPostgres(tb.Context(), opts)
	return must(tb, server, err)
}

// StartPostgres starts one server and returns when it accepts connections. The context bounds the start, not the life of the server: Stop ends it.
func StartPostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	binary, err := find("initdb", "/usr/lib/postgresql/*/bin", "postgresql")
	if err != nil {
		return nil, err
	}
	// Debian's are in one folder; elsewhere some may only be linked into PATH.
	if binary, err = filepath.EvalSymlinks(binary); err != nil {
		return nil, fmt.Errorf("binaries of postgres: %w", err)
	}
	account, err := accountOf("postgres", "postgresql")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	port, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	dir, err := account.directory("postgres")
	if err != nil {
		return nil, err
	}
	p := &Postgres{opts: opts, account: account, binaries: filepath.Dir(binary), dir: dir, port: port}
	if err = p.create(); err == nil {
		err = p.configure()
	}
	if err == nil {
		err = p.boot(ctx)
	}
	if err == nil {
		p.db, err = p.Open(PostgresAdmin, PostgresAdminPassword, "postgres")
	}
	if err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// create makes the data directory.
func (p *Postgres) create() error {
	if err := p.account.write(p.dir, map[string]string{"password": PostgresAdminPassword}); err != nil {
		return err
	}
	if primary := p.opts.Standby; primary != nil {
		cmd := p.account.command(p.dir, filepath.Join(p.binaries, "pg_basebackup"),
			"--pgdata="+p.data(), "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--wal-method=stream",
			"--host="+ports.Loopback, "--port="+primary.port.Digits(), "--username="+PostgresAdmin)
		cmd.Env = append(cmd.Env, "PGPASSWORD="+PostgresAdminPassword)
		return run(cmd)
	}
	return run(p.account.command(p.dir, filepath.Join(p.binaries, "initdb"), "--pgdata="+p.data(), "--no-sync", "--encoding=UTF8", "--locale=C",
		"--auth=scram-sha-256", "--username="+PostgresAdmin, "--pwfile="+filepath.Join(p.dir, "password")))
}

// configure writes the configuration and the certificates. Nothing is synced to the disk: the data need not outlive the machine.
func (p *Postgres) configure() error {
	lines := []string{
		"listen_addresses = '" + ports.Loopback + "'", "port = " + p.port.Digits(), "unix_socket_directories = ''",
		"fsync = off", "shared_buffers = 16MB", "max_wal_size = 64MB", "password_encryption = 'scram-sha-256'", "logging_collector = off",
		"wal_level = replica", "max_wal_senders = 4", "hot_standby = on",
	}
	hba := p.opts.HBA
	if hba == nil {
		hba = []string{"host all all all scram-sha-256"}
	}
	// A standby of this server logs in like everybody else.
	files := map[string]string{"pg_hba.conf": strings.Join(append([]string{"host replication " + PostgresAdmin + " all scram-sha-256"}, hba...), "\n") + "\n"}
	if p.opts.TLS != nil {
		lines = append(lines, "ssl = on", "ssl_ca_file = 'ca.pem'", "ssl_cert_file = 'cert.pem'", "ssl_key_file = 'key.pem'")
		files["ca.pem"], files["cert.pem"], files["key.pem"] = p.opts.TLS.CA, p.opts.TLS.ServerCert, p.opts.TLS.ServerKey
	}
	files["postgresql.conf"] = strings.Join(append(lines, p.opts.Config...), "\n") + "\n"
	return p.account.write(p.data(), files)
}

// boot runs the server and waits for the line of its log that says it serves.
func (p *Postgres) boot(ctx context.Context) error {
	log := filepath.Join(p.dir, fmt.Sprintf("log-%d", time.Now().UnixNano()))
	proc, err := startProcess(p.account.command(p.dir, filepath.Join(p.binaries, "postgres"), "-D", p.data()), log)
	if err != nil {
		return err
	}
	p.proc = proc
	return awaitLog(ctx, proc, "database system is ready to accept")
}

// Open makes a pool of a user's on a database. It connects when it is used; the caller closes it.
func (p *Postgres) Open(username, password, database string) (*sql.DB, error) {
	config, err := pgx.ParseConfig("sslmode=disable host=" + ports.Loopback)
	if err != nil {
		return nil, fmt.Errorf("client of postgres: %w", err)
	}
	config.Port, config.User, config.Password, config.Database = uint16(p.port.Number()), username, password, database
	if p.opts.TLS != nil {
		secured, err := p.opts.TLS.ClientTLS()
		if err != nil {
			return nil, err
		}
		config.TLSConfig = named(secured)
	}
	return stdlib.OpenDB(*config), nil
}

// named makes a configuration expect the name that every server's certificate is valid for.
func named(config *tls.Config) *tls.Config {
	config.ServerName = "localhost"
	return config
}

// Addr is the server's host:port.
func (p *Postgres) Addr() string { return p.port.String() }

// DB is a pool of the superuser's on the database postgres. Stop closes it.
func (p *Postgres) DB() *sql.DB { return p.db }

// Log returns the end of the server's output.
func (p *Postgres) Log() string { return p.proc.tail() }

// Kill ends the server at once, as a lost node would. Its port and data stay for Restart.
func (p *Postgres) Kill() {
	// SIGKILL would leave the children, each in a process group of its own; on SIGQUIT the server ends them and itself without tidying up.
	if p.proc.signal(syscall.SIGQUIT) != nil {
		return
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.proc.done:
	case <-grace.C:
		p.proc.kill()
	}
}

// Restart ends the server if it runs and starts it again on the same port with the same data.
func (p *Postgres) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p.Kill()
	return p.boot(ctx)
}

// Stop ends the server and removes its data. It may be called twice.
func (p *Postgres) Stop() {
	if p.db != nil {
		_ = p.db.Close()
	}
	if p.proc != nil {
		p.Kill()
	}
	p.port.Release()
	_ = os.RemoveAll(p.dir)
}
