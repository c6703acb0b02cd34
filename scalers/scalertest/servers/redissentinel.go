package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers/scalertest/ports"
)

// SentinelMaster is the name under which the sentinels know the master.
const SentinelMaster = "mymaster"

// sentinels is how many watch the master; quorum of them agree on its death.
const (
	sentinels = 3
	quorum    = 2
)

// RedisSentinelOptions says what to start. The zero value is a master with one replica and no passwords.
type RedisSentinelOptions struct {
	// Replicas of the master. Defaults to 1.
	Replicas int
	// Redis are the options of the master and the replicas; its TLS options apply to the sentinels too.
	Redis RedisOptions
	// SentinelPassword is the password of the sentinels themselves. Defaults to none.
	SentinelPassword string
}

// RedisSentinel is a running master with replicas and three sentinels.
type RedisSentinel struct {
	nodes     []*Redis
	sentinels []*Redis
}

// MustRedisSentinel is StartRedisSentinel for a test: it ends with the test.
func MustRedisSentinel(tb TB, opts RedisSentinelOptions) *RedisSentinel {
	tb.Helper()
	server, err := StartRedisSentinel(tb.Context(), opts)
	return must(tb, server, err)
}

// StartRedisSentinel starts everything and returns when the sentinels know each other and every replica. The context bounds the start, not the life
// of the servers: Stop ends them.
func StartRedisSentinel(ctx context.Context, opts RedisSentinelOptions) (*RedisSentinel, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if opts.Replicas == 0 {
		opts.Replicas = 1
	}
	s := &RedisSentinel{}
	if err := s.start(ctx, opts); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *RedisSentinel) start(ctx context.Context, opts RedisSentinelOptions) error {
	node := opts.Redis
	node.Config = append([]string{"repl-diskless-sync-delay 0"}, node.Config...)
	if node.Password != "" {
		node.Config = append([]string{"masterauth " + node.Password}, node.Config...)
	}
	if node.TLS != nil {
		node.Config = append([]string{"tls-replication yes"}, node.Config...)
	}
	master, err := StartRedis(ctx, node)
	if err != nil {
		return err
	}
	s.nodes = append(s.nodes, master)
	for range opts.Replicas {
		replica, err := StartRedis(ctx, node)
		if err != nil {
			return err
		}
		s.nodes = append(s.nodes, replica)
		if err := replica.client.ReplicaOf(ctx, ports.Loopback, master.port.Digits()).Err(); err != nil {
			return fmt.Errorf("replica %s: %w", replica.Addr(), err)
		}
	}
	// Sentinels ask a master for its replicas every 10 s only: they must be there at the first look.
	if err := waitFor(ctx, "replication did not start", func(ctx context.Context) error { return s.replicating(ctx, master) }); err != nil {
		return err
	}
	for range sentinels {
		sentinel, err := startRedis(ctx, "redis-sentinel", sentinelOptions(opts, master))
		if err != nil {
			return err
		}
		s.sentinels = append(s.sentinels, sentinel)
		if err := hurry(ctx, sentinel); err != nil {
			return err
		}
	}
	return waitFor(ctx, "sentinels do not know each other", s.sentinelsAgree)
}

// hurry shortens the periods of seconds at which sentinels look at servers and at each other, so that a failover takes a moment and not half a minute.
// Four publish periods after its promotion a replica that a sentinel has not been told about is sent back: the period must leave time for a failover.
func hurry(ctx context.Context, sentinel *Redis) error {
	periods := []any{"SENTINEL", "DEBUG", "INFO-PERIOD", 100, "ASK-PERIOD", 100, "PUBLISH-PERIOD", 1000}
	if err := sentinel.client.Do(ctx, periods...).Err(); err != nil {
		return fmt.Errorf("periods of sentinel %s: %w", sentinel.Addr(), err)
	}
	return nil
}

// sentinelOptions are those of one sentinel that watches the master.
func sentinelOptions(opts RedisSentinelOptions, master *Redis) RedisOptions {
	config := []string{
		fmt.Sprintf("sentinel monitor %s %s %d %d", SentinelMaster, ports.Loopback, master.port.Number(), quorum),
		"sentinel down-after-milliseconds " + SentinelMaster + " 1000",
		"sentinel failover-timeout " + SentinelMaster + " 5000",
	}
	if opts.Redis.Password != "" {
		config = append(config, "sentinel auth-pass "+SentinelMaster+" "+opts.Redis.Password)
	}
	if opts.Redis.TLS != nil {
		config = append(config, "tls-replication yes")
	}
	return RedisOptions{
		Config:        config,
		Password:      opts.SentinelPassword,
		TLS:           opts.Redis.TLS,
		TLSClientAuth: opts.Redis.TLSClientAuth,
	}
}

// replicating reports an error unless every other running node follows the master and is in step.
func (s *RedisSentinel) replicating(ctx context.Context, master *Redis) error {
	for _, node := range s.nodes {
		if node == master || node.proc.exited() {
			continue
		}
		info, err := node.client.Info(ctx, "replication").Result()
		if err != nil {
			return err
		}
		for _, want := range []string{"role:slave", "master_port:" + master.port.Digits(), "master_link_status:up"} {
			if !strings.Contains(info, want+"\r\n") {
				return fmt.Errorf("%s does not say %s", node.Addr(), want)
			}
		}
	}
	return nil
}

// sentinelsAgree reports an error unless every running sentinel knows the others, the replicas and the same master.
func (s *RedisSentinel) sentinelsAgree(ctx context.Context) error {
	seen := ""
	for _, sentinel := range s.sentinels {
		if sentinel.proc.exited() {
			continue
		}
		state, err := sentinel.client.Do(ctx, "SENTINEL", "MASTER", SentinelMaster).Result()
		if err != nil {
			return err
		}
		fields := textFields(state)
		for name, want := range map[string]int{"num-slaves": len(s.nodes) - 1, "num-other-sentinels": sentinels - 1} {
			if fields[name] != fmt.Sprint(want) {
				return fmt.Errorf("%s: %s is %s of %d", sentinel.Addr(), name, fields[name], want)
			}
		}
		if seen != "" && seen != fields["port"] {
			return fmt.Errorf("%s: master is on port %s, others say %s", sentinel.Addr(), fields["port"], seen)
		}
		seen = fields["port"]
	}
	return nil
}

// textFields turns a map or a flat list of name and value into a map of texts.
func textFields(reply any) map[string]string {
	fields := map[string]string{}
	switch reply := reply.(type) {
	case map[any]any:
		for name, value := range reply {
			fields[fmt.Sprint(name)] = fmt.Sprint(value)
		}
	case []any:
		for i := 0; i+1 < len(reply); i += 2 {
			fields[fmt.Sprint(reply[i])] = fmt.Sprint(reply[i+1])
		}
	}
	return fields
}

// Addrs lists the host:port of every sentinel.
func (s *RedisSentinel) Addrs() []string {
	addrs := make([]string, len(s.sentinels))
	for i, sentinel := range s.sentinels {
		addrs[i] = sentinel.Addr()
	}
	return addrs
}

// Sentinels lists the sentinels, so that a test can kill one.
func (s *RedisSentinel) Sentinels() []*Redis { return s.sentinels }

// Nodes lists the master and the replicas in no particular order.
func (s *RedisSentinel) Nodes() []*Redis { return s.nodes }

// Master returns the node that the first running sentinel takes for the master.
func (s *RedisSentinel) Master(ctx context.Context) (*Redis, error) {
	for _, sentinel := range s.sentinels {
		if sentinel.proc.exited() {
			continue
		}
		addr := redis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelMaster)
		if err := sentinel.client.Process(ctx, addr); err != nil {
			return nil, fmt.Errorf("ask sentinel %s for the master: %w", sentinel.Addr(), err)
		}
		if parts := addr.Val(); len(parts) == 2 {
			return s.node(net.JoinHostPort(parts[0], parts[1]))
		}
	}
	return nil, errors.New("no sentinel runs")
}

func (s *RedisSentinel) node(addr string) (*Redis, error) {
	for _, node := range s.nodes {
		if node.Addr() == addr {
			return node, nil
		}
	}
	return nil, fmt.Errorf("no node has the address %s", addr)
}

// Failover promotes a replica and returns the new master when the sentinels agree on it and every other running node follows it.
func (s *RedisSentinel) Failover(ctx context.Context) (*Redis, error) {
	old, err := s.Master(ctx)
	if err != nil {
		return nil, err
	}
	var master *Redis
	err = waitFor(ctx, "failover did not end", func(ctx context.Context) error {
		var err error
		if master, err = s.Master(ctx); err != nil {
			return err
		}
		if master == old {
			// Refused for a moment while no replica is known to be fit, which can also end a failover that was accepted.
			return fmt.Errorf("%s is still the master (%w)", old.Addr(), s.order(ctx))
		}
		if err := s.sentinelsAgree(ctx); err != nil {
			return err
		}
		return s.replicating(ctx, master)
	})
	return master, err
}

// order asks the first running sentinel, the one that Master asks, for a failover. It returns what the sentinel said.
func (s *RedisSentinel) order(ctx context.Context) error {
	for _, sentinel := range s.sentinels {
		if sentinel.proc.exited() {
			continue
		}
		if err := sentinel.client.Do(ctx, "SENTINEL", "FAILOVER", SentinelMaster).Err(); err != nil {
			return err
		}
		return errors.New("a failover was ordered")
	}
	return errors.New("no sentinel runs")
}

// Stop ends everything and removes the data. It may be called twice.
func (s *RedisSentinel) Stop() {
	for _, server := range append(s.sentinels[:len(s.sentinels):len(s.sentinels)], s.nodes...) {
		server.Stop()
	}
}
