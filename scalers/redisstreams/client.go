package redisstreams

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Mode is how the server is reached.
type Mode string

const (
	// Standalone is one server.
	Standalone Mode = "standalone"
	// Sentinel asks sentinels for the master.
	Sentinel Mode = "sentinel"
	// Cluster is a Redis Cluster.
	Cluster Mode = "cluster"
)

// ClientOptions is everything that identifies a server and a user on it.
type ClientOptions struct {
	Mode Mode
	// Addresses are host:port: of the server, of the sentinels, or of any nodes of the cluster.
	Addresses          []string
	Username, Password string
	// Database is a number ≥ 0; a cluster has only 0.
	Database int
	// SentinelMaster is the name that the sentinels know the master by.
	SentinelMaster                     string
	SentinelUsername, SentinelPassword string
	// TLS secures every connection, those to sentinels too; nil for none. Where it names no server, the dialled host is expected.
	TLS *tls.Config
	// Dial opens every connection.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	// maxConnections bounds a pool. A thousand polls of a server are served by few connections, as each holds one for less than a millisecond.
	maxConnections = 4
	// ioTimeout bounds dialling, reading and writing each; the deadline of the poll is nearly always nearer.
	ioTimeout = 5 * time.Second
	// maxIdle closes a connection before firewalls and servers with their usual 5 minutes forget it.
	maxIdle = 4 * time.Minute
	// maxAge makes every connection be opened anew, and so resolved, logged in and asked for its role: a master that was demoted keeps its connections, and to
	// who only reads it looks well.
	maxAge = 2 * time.Minute
	// maxAgeSpread keeps the connections of a pool from ending at the same moment.
	maxAgeSpread = 15 * time.Second
	// protocol is RESP2: every server, fork and proxy speaks it, its replies are the ones parsed here, and no push message can come between them.
	protocol = 2
	// clientName is shown by CLIENT LIST.
	clientName = "autoscale.io"
)

// NewClient makes a client. It does no I/O until the first command. Every option that go-redis would otherwise choose by itself is set: its defaults ignore the
// deadline of a context, retry for longer than a poll lasts and send commands that a user with few permissions may not use.
func NewClient(o ClientOptions) redis.UniversalClient {
	switch o.Mode {
	case Cluster:
		return redis.NewClusterClient(o.cluster())
	case Sentinel:
		return redis.NewFailoverClient(o.failover())
	}
	return redis.NewClient(o.standalone())
}

func (o ClientOptions) standalone() *redis.Options {
	return &redis.Options{
		Addr: o.Addresses[0], Dialer: o.dial, OnConnect: greet, Protocol: protocol,
		Username: o.Username, Password: o.Password, DB: o.Database,
		MaxRetries: 1, DialerRetries: 1,
		DialTimeout: ioTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout, ContextTimeoutEnabled: true,
		PoolSize: maxConnections, MaxActiveConns: maxConnections, PipelinePoolSize: -1, PoolTimeout: ioTimeout,
		ConnMaxIdleTime: maxIdle, ConnMaxLifetime: maxAge, ConnMaxLifetimeJitter: maxAgeSpread,
		DisableIdentity: true, MaintNotificationsConfig: noNotifications(),
	}
}

func (o ClientOptions) failover() *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: o.SentinelMaster, SentinelAddrs: o.Addresses, SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
		Dialer: o.dial, OnConnect: greet, Protocol: protocol,
		Username: o.Username, Password: o.Password, DB: o.Database,
		MaxRetries: 1, DialerRetries: 1,
		DialTimeout: ioTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout, ContextTimeoutEnabled: true,
		PoolSize: maxConnections, MaxActiveConns: maxConnections, PipelinePoolSize: -1, PoolTimeout: ioTimeout,
		ConnMaxIdleTime: maxIdle, ConnMaxLifetime: maxAge, ConnMaxLifetimeJitter: maxAgeSpread,
		DisableIdentity: true,
	}
}

func (o ClientOptions) cluster() *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs: o.Addresses, Dialer: o.dial, OnConnect: setName, Protocol: protocol,
		Username: o.Username, Password: o.Password,
		// A slot that moved costs one redirect; more only happens while a cluster is being rebuilt.
		MaxRedirects: 3, DialerRetries: 1,
		DialTimeout: ioTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout, ContextTimeoutEnabled: true,
		PoolSize: maxConnections, MaxActiveConns: maxConnections, PoolTimeout: ioTimeout,
		ConnMaxIdleTime: maxIdle, ConnMaxLifetime: maxAge, ConnMaxLifetimeJitter: maxAgeSpread,
		DisableIdentity: true, MaintNotificationsConfig: noNotifications(),
		// Commands go where their key lives. The routing policies would ask the server for its list of commands, which takes a permission.
		DisableRoutingPolicies: true,
	}
}

// noNotifications keeps the client from asking the server for notices of maintenance, which takes a permission.
func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// dial opens a connection and secures it. go-redis leaves TLS to a dialer of ours.
func (o ClientOptions) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := o.Dial(ctx, network, address)
	if err != nil || o.TLS == nil {
		return conn, err
	}
	config := o.TLS
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("address %q: %w", address, err)
		}
		config = config.Clone()
		config.ServerName = host
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS to %s: %w", address, err)
	}
	return secured, nil
}

// greet gives a new connection its name and refuses a replica that is cut off from its master.
func greet(ctx context.Context, conn *redis.Conn) error {
	if err := setName(ctx, conn); err != nil {
		return err
	}
	reply, err := conn.Do(ctx, "ROLE").Slice()
	if isReply(err) {
		// Not allowed to ask, or not logged in, which the first command will tell.
		return nil
	}
	if err != nil {
		return err
	}
	return replicaFault(reply)
}

// setName names the connection through HELLO, which, unlike CLIENT SETNAME, takes no permission. A server too old for it goes without.
func setName(ctx context.Context, conn *redis.Conn) error {
	if err := conn.Hello(ctx, protocol, "", "", clientName).Err(); err != nil && !isReply(err) {
		return err
	}
	return nil
}
