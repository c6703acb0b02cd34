package logins

import (
	"crypto/tls"
	"database/sql"
	"fmt"
	"net"
	"testing"
	"time"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	engineSQL "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/mysql_db"
	driver "github.com/go-sql-driver/mysql"

	"autoscale.io/scalers"
	"autoscale.io/scalers/mysql"
	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/servers"
)

const password = "correct-horse-42"

// sha2Server is a server whose user reader logs in by caching_sha2_password, the default of MySQL since 8.0, which MariaDB does not have. Its table has three jobs.
func sha2Server(t *testing.T, pem servers.PEM) string {
	t.Helper()
	certificate, err := tls.X509KeyPair([]byte(pem.ServerCert), []byte(pem.ServerKey))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	provider := memory.NewDBProvider(memory.NewDatabase("app"))
	engine := sqle.NewDefault(provider)
	users := engine.Analyzer.Catalog.MySQLDb
	users.SetPersister(&mysql_db.NoopPersister{})
	users.AddRootAccount()
	config := server.Config{Protocol: "tcp", Listener: listener, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}
	s, err := server.NewServer(config, engine, engineSQL.NewContext, memory.NewSessionBuilder(provider), nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Start(); err != nil {
			t.Errorf("the server ended: %v", err)
		}
	}()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Log(err)
		}
		<-ended
	})
	root := driver.NewConfig()
	root.User, root.Net, root.Addr, root.DBName = "root", "tcp", listener.Addr().String(), "app"
	connector, err := driver.NewConnector(root)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for _, statement := range []string{
		"create table jobs (id int primary key)", "insert into jobs values (1), (2), (3)",
		"create user reader identified with caching_sha2_password by '" + password + "'", "grant select on app.* to reader",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	return listener.Addr().String()
}

// TestMySQLCachingSHA2 logs in for the first time, which sends the password under TLS, and again, when the server remembers it. Without TLS the password is not sent.
func TestMySQLCachingSHA2(t *testing.T) {
	pem, err := servers.NewPEM(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	address := sha2Server(t, pem)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	trigger := func(secret, more string) string {
		return fmt.Sprintf("{type: mysql, host: %s, port: %s, username: reader, password: %s, database: app, query: select count(*) from jobs, target: 1%s}", host, port, secret, more)
	}
	secured := fmt.Sprintf(", tls: {ca: %q}", pem.CA)
	open := func(trigger string) *scalers.Source {
		return scalertest.NewBench(t, mysql.Definition).Open(t, trigger, nil)
	}
	for range 2 {
		scalertest.WantValue(t, open(trigger(password, secured)), 3)
	}
	scalertest.WantError(t, open(trigger("wrong", secured)), "the server refused user reader or the password: Error 1045 (28000): Access denied for user 'reader'")
	scalertest.WantError(t, open(trigger(password, "")), "the server refused: Error 2012 (HY000): No authentication methods available for authentication.")
}
