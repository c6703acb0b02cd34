package redisstreams

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers/scalertest/servers"
)

func TestCluster(t *testing.T) {
	cluster := servers.MustRedisCluster(t, 3, servers.RedisOptions{Config: []string{"latency-tracking no"}})
	o := ClientOptions{Mode: Cluster, Addresses: cluster.Addrs()[:1]}
	client := connect(t, o)
	work(t, cluster.Client())

	counter := NewCounter(client, query(Backlog))
	if got := mustCount(t, counter); got != (Count{Value: 5}) {
		t.Fatalf("got %+v, want 5", got)
	}

	t.Run("RS-06 a missing stream does not touch the others", func(t *testing.T) {
		var wg sync.WaitGroup
		for _, name := range []string{"missing1", "missing2", "missing3"} {
			q := query(Backlog)
			q.Stream = name
			missing := NewCounter(client, q)
			wg.Go(func() {
				for range 100 {
					count, err := missing.Count(t.Context())
					if err != nil || count != (Count{Note: `stream "` + name + `" does not exist; it counts as empty`}) {
						t.Errorf("%s: %+v, %v", name, count, err)
					}
				}
			})
		}
		for range 3 {
			counter := NewCounter(client, query(Backlog))
			wg.Go(func() {
				for range 100 {
					if count, err := counter.Count(t.Context()); err != nil || count != (Count{Value: 5}) {
						t.Errorf("s: %+v, %v, want 5", count, err)
					}
				}
			})
		}
		wg.Wait()
	})

	t.Run("least permissions", func(t *testing.T) {
		for _, node := range cluster.Nodes() {
			allow(t, node.Client(), "+xinfo|groups", "+xinfo|stream", "+cluster|slots")
		}
		o := o
		o.Username, o.Password = "scaler", "secret"
		if got := mustCount(t, NewCounter(connect(t, o), userQuery(Backlog))); got != (Count{Value: 5}) {
			t.Errorf("got %+v, want 5", got)
		}
		for _, node := range cluster.Nodes() {
			allow(t, node.Client(), "+xinfo|groups", "+xinfo|stream")
		}
		wantError(t, NewCounter(connect(t, o), userQuery(Backlog)), cluster.Addrs()[0],
			`user scaler may not use CLUSTER SLOTS for stream "s"; grant it with: ACL SETUSER scaler +cluster|slots ~s: `+
				`NOPERM this user has no permissions to run the 'cluster|slots' command`)
	})

	t.Run("RC-05 a slot without an owner", func(t *testing.T) {
		owner, err := cluster.Owner(within(t), "s")
		if err != nil {
			t.Fatal(err)
		}
		owner.Kill()
		elsewhere := "a"
		for {
			other, err := cluster.Owner(within(t), elsewhere)
			if err != nil {
				t.Fatal(err)
			}
			if other != owner {
				break
			}
			elsewhere += "a"
		}
		q := query(Backlog)
		q.Stream = elsewhere
		other := NewCounter(client, q)
		await(t, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if count, err := counter.Count(ctx); err == nil {
				t.Fatalf("without an owner: %+v", count)
			}
			_, err := other.Count(ctx)
			if redis.IsClusterDownError(err) {
				return nil
			}
			return context.DeadlineExceeded
		})
		if err := owner.Restart(within(t)); err != nil {
			t.Fatal(err)
		}
		await(t, func() error {
			count, err := counter.Count(within(t))
			if err == nil && count.Value != 5 {
				t.Errorf("after the restart: %+v, want 5", count)
			}
			return err
		})
	})
}

// RC-04: nodes that announce host names.
func TestClusterOfHostNames(t *testing.T) {
	cluster := servers.MustRedisCluster(t, 3, servers.RedisOptions{Config: []string{
		"cluster-announce-hostname localhost", "cluster-preferred-endpoint-type hostname",
	}})
	work(t, cluster.Client())
	counter := NewCounter(connect(t, ClientOptions{Mode: Cluster, Addresses: cluster.Addrs()}), query(Backlog))
	if got := mustCount(t, counter); got != (Count{Value: 5}) {
		t.Errorf("got %+v, want 5", got)
	}
}

// RC-01: two failovers, the second with a sentinel gone.
func TestSentinel(t *testing.T) {
	setup := servers.MustRedisSentinel(t, servers.RedisSentinelOptions{Replicas: 2, Redis: servers.RedisOptions{Password: "data"}, SentinelPassword: "watch"})
	o := ClientOptions{
		Mode: Sentinel, Addresses: setup.Addrs(), Password: "data",
		SentinelMaster: servers.SentinelMaster, SentinelPassword: "watch",
	}
	master, err := setup.Master(within(t))
	if err != nil {
		t.Fatal(err)
	}
	work(t, master.Client())
	counter := NewCounter(connect(t, o), query(Backlog))
	if got := mustCount(t, counter); got != (Count{Value: 5}) {
		t.Fatalf("got %+v, want 5", got)
	}
	want := int64(5)
	for round := range 2 {
		if round == 1 {
			setup.Sentinels()[0].Kill()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		master, err := setup.Failover(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		add(t, master.Client(), "s", 1)
		want++
		// One reading may meet the old connection.
		if _, err := counter.Count(within(t)); err != nil {
			t.Logf("first reading after failover %d: %v", round+1, err)
		}
		if got := mustCount(t, counter); got.Value != want {
			t.Errorf("after failover %d: %+v, want %d", round+1, got, want)
		}
	}

	for _, wrong := range []struct {
		name, want string
		change     func(*ClientOptions)
	}{
		{"sentinel password", "all sentinels", func(o *ClientOptions) { o.SentinelPassword = "canary" }},
		{"master name", "all sentinels", func(o *ClientOptions) { o.SentinelMaster = "other" }},
		{"data password", "the server refused user default or the password: WRONGPASS", func(o *ClientOptions) { o.Password = "canary" }},
	} {
		o := o
		wrong.change(&o)
		count, err := NewCounter(connect(t, o), query(Backlog)).Count(within(t))
		if err == nil || !strings.Contains(err.Error(), wrong.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("wrong %s: %+v, %v", wrong.name, count, err)
		}
	}

	for _, sentinel := range setup.Sentinels() {
		sentinel.Kill()
	}
	// Without a sentinel the connections that exist still serve; a new client knows nothing.
	if count, err := NewCounter(connect(t, o), query(Backlog)).Count(within(t)); err == nil {
		t.Errorf("no sentinel: %+v, want an error", count)
	}
}
