package servers

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"autoscale.io/scalers/scalertest/ports"
)

// MySQLAdmin is a user of every MySQL server who may do everything, and MySQLAdminPassword the password.
const (
	MySQLAdmin         = "admin"
	MySQLAdminPassword = "admin-of-tests"
)

// MySQLOptions says what kind of MySQL server to start: MariaDB, which is what Debian has. The zero value offers no TLS.
type MySQLOptions struct {
	// Args holds further arguments of the server, for example "--max-connections=10". Defaults to none.
	Args []string
	// TLS makes the server offer TLS, with these certificates. Defaults to nil: plain text alone.
	TLS *PEM
}

// MySQL is a running server. Its data survives Kill and Restart, not Stop.
type MySQL struct {
	opts    MySQLOptions
	account account
	binary  string
	dir     string
	port    *ports.Port
	proc    *process
	db      *sql.DB
}

// MustMySQL is StartMySQL for a test: it ends with the test.
func MustMySQL(tb TB, opts MySQLOptions) *MySQL {
	tb.Helper()
	server, err := StartMySQL(tb.Context(), opts)
	return must(tb, server, err)
}

// StartMySQL starts one server and returns when it accepts connections. The context bounds the start, not the life of the server: Stop ends it.
func StartMySQL(ctx context.Context, opts MySQLOptions) (*MySQL, error) {
	const apt = "mariadb-server"
	installer, err := find("mariadb-install-db", "/usr/bin", apt)
	if err != nil {
		return nil, err
	}
	binary, err := find("mariadbd", "/usr/sbin", apt)
	if err != nil {
		return nil, err
	}
	account, err := accountOf("mysql", apt)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*startTimeout)
	defer cancel()
	port, err := ports.Reserve()
	if err != nil {
		return nil, err
	}
	dir, err := account.directory("mysql")
	if err != nil {
		return nil, err
	}
	m := &MySQL{opts: opts, account: account, binary: binary, dir: dir, port: port}
	if err = m.create(installer); err == nil {
		err = m.boot(ctx)
	}
	if err == nil {
		m.db, err = m.Open(MySQLAdmin, MySQLAdminPassword, "")
	}
	if err != nil {
		m.Stop()
		return nil, err
	}
	return m, nil
}

func (m *MySQL) data() string { return filepath.Join(m.dir, "data") }

// small keeps the files and the waits for the disk few: the data need not outlive the machine.
func small() []string {
	return []string{"--innodb-log-file-size=4M", "--innodb-doublewrite=0", "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=16M"}
}

func (m *MySQL) create(installer string) error {
	files := map[string]string{"init.sql": fmt.Sprintf(
		"CREATE USER IF NOT EXISTS '%s'@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO '%s'@'%%' WITH GRANT OPTION;\n", MySQLAdmin, MySQLAdminPassword, MySQLAdmin)}
	if m.opts.TLS != nil {
		files["ca.pem"], files["cert.pem"], files["key.pem"] = m.opts.TLS.CA, m.opts.TLS.ServerCert, m.opts.TLS.ServerKey
	}
	if err := m.account.write(m.dir, files); err != nil {
		return err
	}
	args := append([]string{"--no-defaults", "--datadir=" + m.data(), "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"}, small()...)
	return run(m.account.command(m.dir, installer, args...))
}

func (m *MySQL) boot(ctx context.Context) error {
	args := append([]string{
		"--no-defaults", "--datadir=" + m.data(), "--bind-address=" + ports.Loopback, "--port=" + m.port.Digits(), "--skip-name-resolve",
		"--socket=" + filepath.Join(m.dir, "socket"), "--pid-file=" + filepath.Join(m.dir, "pid"), "--init-file=" + filepath.Join(m.dir, "init.sql"),
	}, small()...)
	if m.opts.TLS != nil {
		args = append(args, "--ssl-ca="+filepath.Join(m.dir, "ca.pem"), "--ssl-cert="+filepath.Join(m.dir, "cert.pem"), "--ssl-key="+filepath.Join(m.dir, "key.pem"))
	}
	log := filepath.Join(m.dir, fmt.Sprintf("log-%d", time.Now().UnixNano()))
	proc, err := startProcess(m.account.command(m.dir, m.binary, append(args, m.opts.Args...)...), log)
	if err != nil {
		return err
	}
	m.proc = proc
	return awaitLog(ctx, proc, "ready for connections")
}

// Open makes a pool of a user's on a database. It connects when it is used; the caller closes it.
func (m *MySQL) Open(username, password, database string) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr, config.DBName = username, password, "tcp", m.Addr(), database
	config.Logger = &mysql.NopLogger{}
	if m.opts.TLS != nil {
		secured, err := m.opts.TLS.ClientTLS()
		if err != nil {
			return nil, err
		}
		config.TLS = named(secured)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("client of mysql: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// Addr is the server's host:port.
func (m *MySQL) Addr() string { return m.port.String() }

// DB is a pool of the administrator's, on no database. Stop closes it.
func (m *MySQL) DB() *sql.DB { return m.db }

// Log returns the end of the server's output.
func (m *MySQL) Log() string { return m.proc.tail() }

// Pause freezes the server: it keeps its connections and answers nothing until Resume.
func (m *MySQL) Pause() error { return m.proc.pause() }

// Resume lets a paused server go on.
func (m *MySQL) Resume() error { return m.proc.signal(syscall.SIGCONT) }

// Kill ends the server without warning, as a lost node would. Its port and data stay for Restart.
func (m *MySQL) Kill() { m.proc.kill() }

// Restart ends the server if it runs and starts it again on the same port with the same data.
func (m *MySQL) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	m.proc.kill()
	return m.boot(ctx)
}

// Stop ends the server and removes its data. It may be called twice.
func (m *MySQL) Stop() {
	if m.db != nil {
		_ = m.db.Close()
	}
	if m.proc != nil {
		m.proc.kill()
	}
	m.port.Release()
	_ = os.RemoveAll(m.dir)
}
