package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"autoscale.io/scalers/scalertest/ports"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInstalledNamesTheCommandThatInstalls(t *testing.T) {
	err := installed("no-such-package", "sh", "no-such-binary")
	want := "no-such-binary: not found in PATH; install it with: apt-get install no-such-package"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := Installed(); err != nil {
		t.Error(err)
	}
}

func TestRedisKeepsItsDataAndPortOverKill(t *testing.T) {
	server := MustRedis(t, RedisOptions{})
	if err := server.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	addr := server.Addr()
	server.Kill()
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dial after Kill: %v", err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := server.Client().Get(t.Context(), "k").Result(); got != "v" || err != nil || server.Addr() != addr {
		t.Errorf("after Restart: %q, %v at %s, want v at %s", got, err, server.Addr(), addr)
	}
}

func TestRedisPause(t *testing.T) {
	server := MustRedis(t, RedisOptions{})
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ReadTimeout: 50 * time.Millisecond, MaxRetries: -1})
	defer client.Close()
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if err := client.Ping(t.Context()).Err(); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("ping of a paused server: %v", err)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := server.Client().Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestRedisStopLeavesNothing(t *testing.T) {
	server, err := StartRedis(t.Context(), RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	server.Stop()
	if err := syscall.Kill(server.proc.pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Stop: %v", server.proc.pid, err)
	}
	if _, err := os.Stat(server.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory after Stop: %v", err)
	}
}

func TestRedisBadConfigurationSaysWhy(t *testing.T) {
	_, err := StartRedis(t.Context(), RedisOptions{Config: []string{"no-such-directive yes"}})
	if err == nil || !strings.Contains(err.Error(), "redis-server did not start: it ended: ") || !strings.Contains(err.Error(), "no-such-directive") {
		t.Errorf("got %v", err)
	}
}

func TestRedisUsersAndPassword(t *testing.T) {
	server := MustRedis(t, RedisOptions{Password: "admin", Users: []string{"scaler on >secret ~orders +xlen"}})
	if err := server.Client().Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "scaler", Password: "secret", DisableIdentity: true})
	defer client.Close()
	if err := client.XLen(t.Context(), "orders").Err(); err != nil {
		t.Error(err)
	}
	if err := client.XLen(t.Context(), "other").Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
		t.Errorf("other key: %v", err)
	}
}

func TestRedisTLSDemandsAClientCertificate(t *testing.T) {
	pem, err := NewPEM(time.Time{}, "redis.example")
	if err != nil {
		t.Fatal(err)
	}
	server := MustRedis(t, RedisOptions{TLS: &pem, TLSClientAuth: true})
	if err := server.Client().Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	config, err := pem.ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = nil
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), TLSConfig: config, MaxRetries: -1})
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("a client without a certificate was let in")
	}
}

func TestRedisClusterServesEveryKey(t *testing.T) {
	cluster := MustRedisCluster(t, 3, RedisOptions{})
	owners := map[*Redis]bool{}
	for i := range 30 {
		key := fmt.Sprint("key", i)
		if err := cluster.Client().Set(t.Context(), key, "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		owner, err := cluster.Owner(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := owner.Client().Get(t.Context(), key).Err(); err != nil {
			t.Errorf("%s at its owner: %v", key, err)
		}
		owners[owner] = true
	}
	if len(owners) != 3 {
		t.Errorf("30 keys live on %d of 3 nodes", len(owners))
	}
}

func TestRedisSentinelFailsOver(t *testing.T) {
	setup := MustRedisSentinel(t, RedisSentinelOptions{Redis: RedisOptions{Password: "p"}, SentinelPassword: "s"})
	before, err := setup.Master(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := before.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	after, err := setup.Failover(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if after == before {
		t.Error("the master is the same")
	}
	if err := after.Client().Set(t.Context(), "k", "w", 0).Err(); err != nil {
		t.Errorf("write to the new master: %v", err)
	}
}

// The child of a child dies with its parent, even when that is killed without a chance to clean up.
func TestServersDieWithTheirParent(t *testing.T) {
	if os.Getenv("SERVERS_PARENT") == "1" {
		server, err := StartRedis(t.Context(), RedisOptions{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("pid %d dir %s\n", server.proc.pid, server.dir)
		select {}
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestServersDieWithTheirParent$")
	parent.Env = append(os.Environ(), "SERVERS_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(line)
	pid, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(fields[3]) })
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	err = waitFor(t.Context(), "the server lives on", func(context.Context) error {
		state, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil || strings.Contains(string(state), ") Z ") {
			return nil
		}
		return fmt.Errorf("pid %d: %s", pid, state)
	})
	if err != nil {
		t.Error(err)
	}
}

// echo is an upstream that returns every byte.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", ports.Loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// ask sends a byte and waits for it to come back.
func ask(conn net.Conn, timeout time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

func TestProxyModes(t *testing.T) {
	proxy := MustProxy(t, echo(t))
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", proxy.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	set := func(mode Mode) {
		t.Helper()
		if err := proxy.Set(mode); err != nil {
			t.Fatal(err)
		}
	}
	const soon, patient = 50 * time.Millisecond, 10 * time.Second

	old := dial()
	if err := ask(old, patient); err != nil {
		t.Fatalf("pass: %v", err)
	}

	set(Freeze)
	if err := ask(old, soon); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("freeze: %v", err)
	}
	set(Pass)
	_ = old.SetDeadline(time.Now().Add(patient))
	if _, err := io.ReadFull(old, make([]byte, 1)); err != nil {
		t.Errorf("the byte sent while frozen did not arrive: %v", err)
	}

	set(Silent)
	for name, conn := range map[string]net.Conn{"old": old, "new": dial()} {
		if err := ask(conn, soon); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("silent, %s connection: %v", name, err)
		}
	}

	set(Pass)
	old = dial()
	if err := ask(old, patient); err != nil {
		t.Errorf("pass again: %v", err)
	}

	set(Reset)
	if err := ask(old, patient); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reset, old connection: %v", err)
	}
	if err := ask(dial(), patient); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset, new connection: %v", err)
	}

	set(Refuse)
	if _, err := net.Dial("tcp", proxy.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refuse: %v", err)
	}

	if err := proxy.SetLatency(30 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := ask(dial(), patient); err != nil || time.Since(start) < 30*time.Millisecond {
		t.Errorf("latency: %v after %s", err, time.Since(start))
	}
}
