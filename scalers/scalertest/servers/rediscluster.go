package servers

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers/scalertest/ports"
)

// clusterSlots is the number of hash slots of a Redis Cluster.
const clusterSlots = 16384

// RedisCluster is a running Redis Cluster of masters without replicas.
type RedisCluster struct {
	nodes  []*Redis
	bus    []*ports.Port
	client *redis.ClusterClient
}

// MustRedisCluster is StartRedisCluster for a test: it ends with the test.
func MustRedisCluster(tb TB, masters int, opts RedisOptions) *RedisCluster {
	tb.Helper()
	cluster, err := StartRedisCluster(tb.Context(), masters, opts)
	return must(tb, cluster, err)
}

// StartRedisCluster starts the given number of masters, shares the slots out evenly and returns when every master says that the cluster is ok.
// The context bounds the start, not the life of the cluster: Stop ends it.
func StartRedisCluster(ctx context.Context, masters int, opts RedisOptions) (*RedisCluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cluster := &RedisCluster{}
	if err := cluster.start(ctx, masters, opts); err != nil {
		cluster.Stop()
		return nil, err
	}
	return cluster, nil
}

func (c *RedisCluster) start(ctx context.Context, masters int, opts RedisOptions) error {
	for range masters {
		bus, err := ports.Reserve()
		if err != nil {
			return err
		}
		c.bus = append(c.bus, bus)
		node := opts
		node.Config = append([]string{
			"cluster-enabled yes",
			"cluster-config-file nodes.conf",
			"cluster-node-timeout 1000",
			"cluster-port " + bus.Digits(),
		}, opts.Config...)
		if opts.TLS != nil {
			node.Config = append(node.Config, "tls-cluster yes")
		}
		server, err := StartRedis(ctx, node)
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, server)
	}
	for i, node := range c.nodes {
		if err := c.join(ctx, i); err != nil {
			return fmt.Errorf("cluster node %s: %w", node.Addr(), err)
		}
	}
	for _, node := range c.nodes {
		if err := waitFor(ctx, "redis cluster did not form", node.clusterOK(masters)); err != nil {
			return err
		}
	}
	config, err := opts.clientTLS()
	if err != nil {
		return err
	}
	c.client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Password: opts.Password, TLSConfig: config})
	return nil
}

// join gives node i its share of the slots and introduces it to the first node.
func (c *RedisCluster) join(ctx context.Context, i int) error {
	masters := len(c.nodes)
	first, last := i*clusterSlots/masters, (i+1)*clusterSlots/masters-1
	pipe := c.nodes[i].client.Pipeline()
	pipe.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", first, last)
	// Distinct epochs from the start: nodes that meet with equal ones would have to settle the collision first.
	pipe.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
	if i > 0 {
		pipe.Do(ctx, "CLUSTER", "MEET", ports.Loopback, c.nodes[0].port.Number(), c.bus[0].Number())
	}
	_, err := pipe.Exec(ctx)
	return err
}

func (r *Redis) clusterOK(masters int) func(context.Context) error {
	return func(ctx context.Context) error {
		info, err := r.client.ClusterInfo(ctx).Result()
		if err != nil {
			return err
		}
		for _, want := range []string{"cluster_state:ok", fmt.Sprintf("cluster_known_nodes:%d", masters), fmt.Sprintf("cluster_size:%d", masters)} {
			if !strings.Contains(info, want+"\r\n") {
				return fmt.Errorf("%s does not say %s", r.Addr(), want)
			}
		}
		return nil
	}
}

// Addrs lists the host:port of every node.
func (c *RedisCluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, node := range c.nodes {
		addrs[i] = node.Addr()
	}
	return addrs
}

// Nodes lists the nodes, so that a test can pause or kill one.
func (c *RedisCluster) Nodes() []*Redis { return c.nodes }

// Client is logged in as the default user, who may do everything. Stop closes it.
func (c *RedisCluster) Client() *redis.ClusterClient { return c.client }

// Owner returns the node that holds the key.
func (c *RedisCluster) Owner(ctx context.Context, key string) (*Redis, error) {
	slot, err := c.client.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return nil, fmt.Errorf("slot of key %q: %w", key, err)
	}
	for i, node := range c.nodes {
		if int(slot) < (i+1)*clusterSlots/len(c.nodes) {
			return node, nil
		}
	}
	return nil, fmt.Errorf("slot %d of key %q has no owner", slot, key)
}

// Stop ends every node and removes the data. It may be called twice.
func (c *RedisCluster) Stop() {
	if c.client != nil {
		_ = c.client.Close()
	}
	for _, node := range c.nodes {
		node.Stop()
	}
	for _, bus := range c.bus {
		bus.Release()
	}
}
