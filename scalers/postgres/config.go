package postgres

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"autoscale.io/scalers"
	"autoscale.io/scalers/pool"
)

const (
	// blank is a connection string that leaves nothing to the environment, the home folder or the user of this process. Every field that matters is set afterwards.
	blank = "host=localhost port=5432 user=nobody password=none dbname=none sslmode=disable target_session_attrs=any passfile=none"
	// application is shown by pg_stat_activity.
	application = "autoscale.io"
	// closing bounds how long a connection that was given up may take to end.
	closing = time.Second
)

// config makes the driver's configuration. It does no I/O.
func (s server) config(env scalers.Env) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(blank)
	if err != nil {
		return nil, errors.New("the autoscaler's own environment has PG variables that do not fit, such as PGSERVICE; remove them from its pod")
	}
	c.User, c.Password, c.Database = s.user, s.password, s.database
	c.RuntimeParams = map[string]string{"application_name": cmp.Or(s.application, application)}
	if s.searchPath != "" {
		c.RuntimeParams["search_path"] = s.searchPath
	}
	c.ChannelBinding = cmp.Or(s.channelBinding, "prefer")
	c.KerberosSrvName, c.KerberosSpn, c.SSLNegotiation, c.SSLCertMode = "", "", "", "allow"
	c.MinProtocolVersion, c.MaxProtocolVersion, c.ConnectTimeout = "3.0", "3.0", 0
	c.RequireAuth = ""
	if s.sslmode == disable {
		// Whoever answers without TLS could ask for the password as it is.
		c.RequireAuth = "!password"
	}
	if err := s.setHosts(c); err != nil {
		return nil, err
	}
	c.ValidateConnect = validators()[s.attrs]
	dial := env.Dialer()
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if _, ours := ctx.Value(wanted{}).(bool); !ours {
			// The driver would open a connection to cancel a query that was given up. The server's own timeout ends that query, and who cannot be reached
			// cannot be asked either.
			return nil, errors.New("queries are not cancelled")
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return boundedConn{conn}, nil
	}
	// The dialer resolves, so that it sees what a name leads to.
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	// The extended protocol, which takes one statement only, without a statement that outlives its query.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.StatementCacheCapacity, c.DescriptionCacheCapacity = 0, 0
	return c, nil
}

// wanted marks the context of a connection that was asked for.
type wanted struct{}

func connecting(ctx context.Context) context.Context { return context.WithValue(ctx, wanted{}, true) }

// boundedConn has no deadline further away than closing: the driver sets one for a connection that it gives up, and for nothing else.
type boundedConn struct{ net.Conn }

// SetDeadline implements net.Conn.
func (c boundedConn) SetDeadline(t time.Time) error {
	if latest := time.Now().Add(closing); t.After(latest) {
		t = latest
	}
	return c.Conn.SetDeadline(t)
}

func validators() map[string]pgconn.ValidateConnectFunc {
	return map[string]pgconn.ValidateConnectFunc{
		"read-write": pgconn.ValidateConnectTargetSessionAttrsReadWrite,
		"read-only":  pgconn.ValidateConnectTargetSessionAttrsReadOnly,
		"primary":    pgconn.ValidateConnectTargetSessionAttrsPrimary,
		"standby":    pgconn.ValidateConnectTargetSessionAttrsStandby,
	}
}

func (s server) setHosts(c *pgx.ConnConfig) error {
	c.Fallbacks = nil
	for i, host := range s.hosts {
		config, err := s.tlsConfig(host.host)
		if err != nil {
			return err
		}
		if i == 0 {
			c.Host, c.Port, c.TLSConfig = host.host, host.port, config
			continue
		}
		c.Fallbacks = append(c.Fallbacks, &pgconn.FallbackConfig{Host: host.host, Port: host.port, TLSConfig: config})
	}
	return nil
}

// tlsConfig is what sslmode means, nil for plain text.
func (s server) tlsConfig(host string) (*tls.Config, error) {
	if s.sslmode == disable {
		return nil, nil
	}
	on := true
	params := s.tls
	params.Enabled = &on
	config, err := params.Config(host)
	if err != nil {
		return nil, err
	}
	switch s.sslmode {
	case require:
		config.InsecureSkipVerify = true
	case verifyCA:
		config.InsecureSkipVerify = true
		config.VerifyConnection = verifyChain(config.RootCAs)
	}
	return config, nil
}

// verifyChain accepts a certificate of a trusted authority, whatever name it is for.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		intermediates := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			intermediates.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
		return err
	}
}

// identity is the key that triggers share connections by.
func (s server) identity() [32]byte {
	parts := []string{s.user, s.password, s.database, s.searchPath, s.application, s.sslmode, s.attrs, s.channelBinding, fmt.Sprint(len(s.hosts))}
	for _, host := range s.hosts {
		parts = append(parts, host.host, fmt.Sprint(host.port))
	}
	return pool.Key(append(parts, s.tls.Identity()...)...)
}
