package servers

import (
	"context"
	"testing"
	"time"
)

func TestPostgresKeepsItsDataOverKillAndFeedsAStandby(t *testing.T) {
	server := MustPostgres(t, PostgresOptions{})
	if _, err := server.DB().ExecContext(t.Context(), "create table t as select 7 as n"); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	standby := MustPostgres(t, PostgresOptions{Standby: server})
	var n int
	var replays bool
	err := waitFor(within(t), "the standby has no data", func(ctx context.Context) error {
		return standby.DB().QueryRowContext(ctx, "select n, pg_is_in_recovery() from t").Scan(&n, &replays)
	})
	if err != nil || n != 7 || !replays {
		t.Errorf("the standby has %d, in recovery %v, %v", n, replays, err)
	}
	server.Stop()
	server.Stop()
}

func TestPgBouncerPoolsTransactions(t *testing.T) {
	server := MustPostgres(t, PostgresOptions{})
	pooler := MustPgBouncer(t, server, PgBouncerOptions{Users: map[string]string{PostgresAdmin: PostgresAdminPassword}})
	behind := &Postgres{port: pooler.port}
	db, err := behind.Open(PostgresAdmin, PostgresAdminPassword, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 2 {
		if err := db.PingContext(within(t)); err != nil {
			t.Fatal(err)
		}
		if err := pooler.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMySQLKeepsItsDataOverKill(t *testing.T) {
	pem, err := NewPEM(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	server := MustMySQL(t, MySQLOptions{TLS: &pem, Args: []string{"--max-connections=20"}})
	for _, statement := range []string{"create database d", "create table d.t as select 7 as n"} {
		if _, err := server.DB().ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	var cipher, most string
	err = server.DB().QueryRowContext(within(t), "select n, @@max_connections, (select variable_value from information_schema.session_status where variable_name = 'Ssl_cipher') from d.t").Scan(&n, &most, &cipher)
	if err != nil || n != 7 || most != "20" || cipher == "" {
		t.Errorf("got %d, at most %s connections, cipher %q, %v", n, most, cipher, err)
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
