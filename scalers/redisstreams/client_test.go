package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers"
	"autoscale.io/scalers/scalertest/servers"
)

// work puts three unread entries and two pending ones into stream s.
func work(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	do(t, client, "XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
	add(t, client, "s", 5)
	do(t, client, "XREADGROUP", "GROUP", "g", "c", "COUNT", 2, "STREAMS", "s", ">")
}

// wantError counts once and wants this whole error, in which ADDR stands for the address.
func wantError(t *testing.T, c *Counter, addr, want string) {
	t.Helper()
	count, err := c.Count(within(t))
	if err == nil {
		t.Fatalf("got %+v, want an error", count)
	}
	if got := strings.ReplaceAll(err.Error(), addr, "ADDR"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLeastPermissions(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	o.Username, o.Password = "scaler", "secret"
	prepare := map[string]string{
		"common":  group + "*5\n" + read2,
		"no lag":  "*3\nXGROUP CREATE s g $\n*2",
		"missing": "",
		"pending": group + "*5\nXREADGROUP GROUP g c COUNT 5 STREAMS s >",
	}
	for _, test := range []struct {
		measure Measure
		state   string
		rules   []string
		want    Count
	}{
		{Backlog, "common", []string{"+xinfo|groups", "+xinfo|stream"}, Count{Value: 3}},
		{Backlog, "no lag", []string{"+xinfo|groups", "+xinfo|stream", "+xrange"}, Count{Value: 2, Note: noteNoLag}},
		{Backlog, "missing", []string{"+xinfo|groups"}, Count{Note: noteMissing}},
		{Lag, "pending", []string{"+xinfo|groups", "+xinfo|stream", "+xpending"}, Count{Busy: true}},
		{Pending, "pending", []string{"+xinfo|groups"}, Count{Value: 5}},
		{Length, "common", []string{"+xlen"}, Count{Value: 5}},
		{Length, "missing", []string{"+xlen"}, Count{}},
	} {
		t.Run(fmt.Sprintf("%s %s", test.measure, test.state), func(t *testing.T) {
			do(t, server.Client(), "FLUSHALL")
			play(t, server.Client(), nil, prepare[test.state])
			// All of them suffice, and none can be left out.
			allow(t, server.Client(), test.rules...)
			if got := mustCount(t, NewCounter(connect(t, o), userQuery(test.measure))); got != test.want {
				t.Errorf("with %v: got %+v, want %+v", test.rules, got, test.want)
			}
			for i, left := range test.rules {
				allow(t, server.Client(), append(append([]string{}, test.rules[:i]...), test.rules[i+1:]...)...)
				count, err := NewCounter(connect(t, o), userQuery(test.measure)).Count(within(t))
				if !redis.IsPermissionError(err) || !strings.Contains(err.Error(), "ACL SETUSER scaler "+left+" ~s") {
					t.Errorf("without %s: got %+v, %v; want an error that names it", left, count, err)
				}
			}
		})
	}
}

func userQuery(measure Measure) Query {
	q := query(measure)
	q.User = "scaler"
	return q
}

// allow gives user scaler these permissions on stream s and no others.
func allow(t *testing.T, admin redis.UniversalClient, rules ...string) {
	t.Helper()
	args := []any{"ACL", "SETUSER", "scaler", "reset", "on", ">secret", "~s"}
	for _, rule := range rules {
		args = append(args, rule)
	}
	do(t, admin, args...)
}

func TestServerErrors(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{
		Password: "admin",
		Users:    []string{"scaler on >secret ~s +xinfo", "lengths on >secret ~* +xlen +info", "elsewhere on >secret ~other +@all"},
	})
	work(t, server.Client())
	do(t, server.Client(), "SET", "text", "x")
	as := func(user, password, stream string) *Counter {
		o := o
		o.Username, o.Password = user, password
		q := query(Backlog)
		q.User, q.Stream = user, stream
		return NewCounter(connect(t, o), q)
	}
	if got := mustCount(t, as("scaler", "secret", "s")); got != (Count{Value: 5}) {
		t.Fatalf("got %+v, want 5", got)
	}
	wantError(t, as("scaler", "canary", "s"), server.Addr(),
		"the server refused user scaler or the password: WRONGPASS invalid username-password pair or user is disabled.")
	wantError(t, as("", "canary", "s"), server.Addr(),
		"the server refused user default or the password: WRONGPASS invalid username-password pair or user is disabled.")
	wantError(t, as("", "", "s"), server.Addr(),
		"the server wants a password and the trigger has none; set password: NOAUTH Authentication required.")
	// RS-07: a user who may not ask must not fall back to the whole history.
	wantError(t, as("lengths", "secret", "s"), server.Addr(),
		`user lengths may not use XINFO GROUPS for stream "s"; grant it with: ACL SETUSER lengths +xinfo|groups ~s: `+
			`NOPERM this user has no permissions to run the 'xinfo|groups' command`)
	wantError(t, as("elsewhere", "secret", "s"), server.Addr(),
		`user elsewhere may not use XINFO GROUPS for stream "s"; grant it with: ACL SETUSER elsewhere +xinfo|groups ~s: `+
			`NOPERM this user has no permissions to access one of the keys used as arguments`)
	wantError(t, as("", "admin", "text"), server.Addr(),
		`key "text" is no stream: WRONGTYPE Operation against a key holding the wrong kind of value`)
	length := query(Length)
	length.Stream = "text"
	o.Password = "admin"
	wantError(t, NewCounter(connect(t, o), length), server.Addr(),
		`key "text" is no stream: WRONGTYPE Operation against a key holding the wrong kind of value`)
}

func TestNetworkFaults(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	work(t, server.Client())
	proxy := servers.MustProxy(t, server.Addr())
	o.Addresses = []string{proxy.Addr()}
	counter := NewCounter(connect(t, o), query(Backlog))
	if got := mustCount(t, counter); got != (Count{Value: 5}) {
		t.Fatalf("got %+v, want 5", got)
	}
	for name, mode := range map[string]servers.Mode{"refuse": servers.Refuse, "reset": servers.Reset, "silent": servers.Silent, "freeze": servers.Freeze} {
		if err := proxy.Set(mode); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			deadline := 300 * time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			start := time.Now()
			count, err := counter.Count(ctx)
			cancel()
			if err == nil {
				t.Errorf("%s: got %+v, want an error", name, count)
			}
			// A busy machine is late by tenths of a second. Without the deadline, the client's own limit would end the read.
			if late := time.Since(start) - deadline; late > ioTimeout/2 {
				t.Errorf("%s: %v after the deadline", name, late)
			}
		}
		if err := proxy.Set(servers.Pass); err != nil {
			t.Fatal(err)
		}
		// After many refusals the client looks once a second whether the server is back.
		await(t, func() error {
			count, err := counter.Count(within(t))
			if err == nil && count != (Count{Value: 5}) {
				t.Errorf("%s: afterwards %+v, want 5", name, count)
			}
			return err
		})
	}
}

func TestRefusedNamesTheAddress(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	server.Kill()
	counter := NewCounter(connect(t, o), query(Backlog))
	wantError(t, counter, server.Addr(), `XINFO GROUPS on stream "s": dial tcp ADDR: connect: connection refused`)
}

func TestSilentServerSaysSo(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	proxy := servers.MustProxy(t, server.Addr())
	if err := proxy.Set(servers.Silent); err != nil {
		t.Fatal(err)
	}
	o.Addresses = []string{proxy.Addr()}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := NewCounter(connect(t, o), query(Backlog)).Count(ctx)
	if err == nil || !strings.HasPrefix(err.Error(), `XINFO GROUPS on stream "s": no answer in time: `) {
		t.Errorf("got %v", err)
	}
}

// RC-05: for as long as the server loads its data, nothing is known.
func TestLoading(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{Config: []string{"key-load-delay 300"}})
	work(t, server.Client())
	add(t, server.Client(), "filler", 5000)
	restarted := make(chan error, 1)
	go func() { restarted <- server.Restart(within(t)) }()
	const want = "the server is still loading its data: LOADING Redis is loading the dataset in memory"
	seen := false
	for !seen {
		select {
		case err := <-restarted:
			t.Fatalf("restarted (%v) before LOADING was seen", err)
		default:
		}
		// A client that was refused some times would look once a second only.
		client := connect(t, o)
		count, err := NewCounter(client, query(Backlog)).Count(within(t))
		_ = client.Close()
		if err == nil && count.Value != 5 {
			t.Fatalf("while loading: %+v", count)
		}
		seen = err != nil && err.Error() == want
	}
	if err := <-restarted; err != nil {
		t.Fatal(err)
	}
	// A server that was restarted does not know the lag any more.
	if got := mustCount(t, NewCounter(connect(t, o), query(Backlog))); got.Value != 5 {
		t.Errorf("after loading: %+v, want 5", got)
	}
}

// A replica that lost its master does not know what it lacks.
func TestReplicaWithoutMaster(t *testing.T) {
	master := servers.MustRedis(t, servers.RedisOptions{Config: []string{"repl-diskless-sync-delay 0"}})
	replica, o := standalone(t, servers.RedisOptions{})
	host, port, _ := strings.Cut(master.Addr(), ":")
	do(t, replica.Client(), "REPLICAOF", host, port)
	work(t, master.Client())
	untilSynced(t, replica.Client())
	counter := NewCounter(connect(t, o), query(Backlog))
	if got := mustCount(t, counter); got.Value != 5 {
		t.Fatalf("a replica in step: %+v, want 5", got)
	}
	missing := NewCounter(connect(t, o), Query{Stream: "missing", Group: "g", Measure: Backlog})
	if got := mustCount(t, missing); got != (Count{Note: `stream "missing" does not exist; it counts as empty`}) {
		t.Fatalf("a replica in step, no stream: %+v", got)
	}
	empty := NewCounter(connect(t, o), Query{Stream: "missing", Measure: Length})
	if got := mustCount(t, empty); got != (Count{}) {
		t.Fatalf("a replica in step, no stream: %+v", got)
	}

	master.Kill()
	await(t, func() error {
		if err := replicaFault(do(t, replica.Client(), "ROLE").([]any)); err == nil {
			return errors.New("the link is still up")
		}
		return nil
	})
	want := fmt.Sprintf("the server is a replica whose link to its master %s is not up (connect); what it holds may be old or incomplete", master.Addr())
	for name, c := range map[string]*Counter{"missing stream": missing, "empty stream": empty} {
		if _, err := c.Count(within(t)); err == nil || !strings.HasPrefix(strings.Replace(err.Error(), "(connecting)", "(connect)", 1), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, want)
		}
	}
	// New connections are not even opened.
	if _, err := NewCounter(connect(t, o), query(Backlog)).Count(within(t)); err == nil || !strings.Contains(err.Error(), "the server is a replica whose link") {
		t.Errorf("new connection: %v", err)
	}
}

func untilSynced(t *testing.T, replica redis.UniversalClient) {
	t.Helper()
	await(t, func() error {
		if reply := do(t, replica, "XLEN", "s"); reply != any(int64(5)) {
			return fmt.Errorf("replica has %v of 5 entries", reply)
		}
		return nil
	})
}

// await polls until the condition returns nil.
func await(t *testing.T, condition func() error) {
	t.Helper()
	ctx := within(t)
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestTLS(t *testing.T) {
	pem, err := servers.NewPEM(time.Time{}, "redis.example")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := servers.NewPEM(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	server, o := standalone(t, servers.RedisOptions{TLS: &pem, TLSClientAuth: true})
	work(t, server.Client())
	for _, test := range []struct {
		name string
		tls  scalers.TLS
		want string
	}{
		{"own authority and client certificate", scalers.TLS{CA: pem.CA, Cert: pem.ClientCert, Key: pem.ClientKey}, ""},
		{"server name", scalers.TLS{CA: pem.CA, Cert: pem.ClientCert, Key: pem.ClientKey, ServerName: "redis.example"}, ""},
		{"no verification", scalers.TLS{Cert: pem.ClientCert, Key: pem.ClientKey, InsecureSkipVerify: true}, ""},
		// The server's refusal and the end of the connection race.
		{"no client certificate", scalers.TLS{CA: pem.CA}, `XINFO GROUPS on stream "s": `},
		{"another authority", scalers.TLS{CA: stranger.CA, Cert: pem.ClientCert, Key: pem.ClientKey}, "x509: certificate signed by unknown authority"},
		{"system authorities", scalers.TLS{Cert: pem.ClientCert, Key: pem.ClientKey}, "x509: certificate signed by unknown authority"},
		{
			"another name", scalers.TLS{CA: pem.CA, Cert: pem.ClientCert, Key: pem.ClientKey, ServerName: "other.example"},
			"x509: certificate is valid for localhost, redis.example, not other.example",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := o
			if o.TLS, err = test.tls.Config(""); err != nil {
				t.Fatal(err)
			}
			count, err := NewCounter(connect(t, o), query(Backlog)).Count(within(t))
			switch {
			case test.want == "" && (err != nil || count != (Count{Value: 5})):
				t.Errorf("got %+v, %v, want 5", count, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %+v, %v, want %s", count, err, test.want)
			}
		})
	}
}

func TestExpiredCertificate(t *testing.T) {
	pem, err := servers.NewPEM(time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	_, o := standalone(t, servers.RedisOptions{TLS: &pem})
	if o.TLS, err = (scalers.TLS{CA: pem.CA}).Config(""); err != nil {
		t.Fatal(err)
	}
	if _, err := NewCounter(connect(t, o), query(Backlog)).Count(within(t)); err == nil || !strings.Contains(err.Error(), "certificate has expired") {
		t.Errorf("got %v", err)
	}
}

// The server sees the name of the client, few connections, and nothing that a least user may not send.
func TestConnections(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	work(t, server.Client())
	client := connect(t, o)
	done := make(chan error)
	for range 200 {
		go func() {
			_, err := NewCounter(client, query(Backlog)).Count(within(t))
			done <- err
		}()
	}
	for range 200 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	list := do(t, server.Client(), "CLIENT", "LIST").(string)
	if n := strings.Count(list, "name=autoscale.io"); n < 1 || n > maxConnections {
		t.Errorf("%d connections, want 1 to %d:\n%s", n, maxConnections, list)
	}
	stats := do(t, server.Client(), "INFO", "commandstats").(string)
	for line := range strings.Lines(stats) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		switch name {
		// The first four are ours, the others the test's.
		case "hello", "role", "xinfo|groups", "xinfo|stream", "xadd", "xgroup|create", "xreadgroup", "client|list", "info", "client|setinfo", "client|maint_notifications":
		default:
			if strings.HasPrefix(line, "cmdstat_") {
				t.Errorf("unexpected command: %s", line)
			}
		}
	}
}
