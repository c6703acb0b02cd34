package redisstreams

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"autoscale.io/scalers/scalertest/servers"
)

const (
	noteNoGroup = `consumer group "g" does not exist; every entry of the stream counts`
	noteMissing = `stream "s" does not exist; it counts as empty`
)

// A script is one Redis command a line; "COUNT" lines read in between, so that what the counter remembers is tried too. *N adds N entries.
func play(t *testing.T, client *redis.Client, counter *Counter, script string) {
	t.Helper()
	for line := range strings.Lines(script) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "COUNT":
			mustCount(t, counter)
		case strings.HasPrefix(fields[0], "*"):
			var n int
			if _, err := fmt.Sscanf(fields[0], "*%d", &n); err != nil {
				t.Fatal(err)
			}
			add(t, client, "s", n)
		default:
			args := make([]any, len(fields))
			for i, field := range fields {
				args[i] = field
			}
			do(t, client, args...)
		}
	}
}

// Entries 1-0 to 5-0, a group that starts at 0 and reads; ack takes everything off the pending list.
const (
	five  = "XADD s 1-0 k v\nXADD s 2-0 k v\nXADD s 3-0 k v\nXADD s 4-0 k v\nXADD s 5-0 k v\n"
	group = "XGROUP CREATE s g 0 MKSTREAM\n"
	read1 = "XREADGROUP GROUP g c COUNT 1 NOACK STREAMS s >\n"
	read2 = "XREADGROUP GROUP g c COUNT 2 NOACK STREAMS s >\n"
	read5 = "XREADGROUP GROUP g c COUNT 5 NOACK STREAMS s >\n"
)

func TestUnread(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	for _, test := range []struct {
		name, script string
		want         Count
	}{
		{"RS-01 a group made with $ on a stream with entries", "*3\nXGROUP CREATE s g $\nCOUNT\n*50", Count{Value: 50, Note: noteNoLag}},
		{"RS-01 the group caught up", "*3\nXGROUP CREATE s g $\n*2\n" + read5, Count{}},
		{"a group made in the middle", five + "XGROUP CREATE s g 2-0", Count{Value: 3, Note: noteNoLag}},
		{"nothing read", group + five, Count{Value: 5}},
		{"some read", group + five + read2, Count{Value: 3}},
		{"everything read", group + five + read5, Count{}},
		{"one entry, unread", group + "*1", Count{Value: 1}},

		{"RS-03 an unread entry deleted, then all read", group + five + read2 + "XDEL s 3-0\n" + read5, Count{}},
		{"RS-03 an unread entry deleted", group + five + read2 + "XDEL s 3-0", Count{Value: 2, Note: noteNoLag}},
		{"RS-03 read and unread entries deleted", group + five + read2 + "XDEL s 1-0 2-0 3-0", Count{Value: 2}},
		{"RS-03 an unread entry deleted and passed between two readings", group + five + read1 + read1 + "COUNT\nXDEL s 3-0\n" + read1 + "*2", Count{Value: 3}},
		{"a read entry deleted", group + five + read2 + "XDEL s 1-0", Count{Value: 3}},
		{"the last entry deleted, all others read", group + five + read2 + read2 + "XDEL s 5-0", Count{Value: 0, Note: noteNoLag}},
		{"every entry deleted", group + five + read2 + "XDEL s 1-0 2-0 3-0 4-0 5-0", Count{}},

		{"RS-04 trimmed past the group, then all read", group + five + read1 + "XTRIM s MAXLEN 1\n" + read1, Count{}},
		{"RS-04 new entries after that", group + five + read1 + "XTRIM s MAXLEN 1\n" + read1 + "COUNT\n*2", Count{Value: 2}},
		{"RS-04 new entries, some read", group + five + read1 + "XTRIM s MAXLEN 1\n" + read1 + "COUNT\n*9\n" + read5, Count{Value: 4}},
		{"RS-04 found in that state", group + five + read1 + "XTRIM s MAXLEN 1\n" + read1 + "*9\n" + read5, Count{Value: 4}},
		{"trimmed past the group", group + five + read1 + "XTRIM s MAXLEN 1", Count{Value: 1}},
		{"trimmed up to the group", group + five + read2 + "XTRIM s MINID 2-0", Count{Value: 3}},
		{"trimmed past the group and caught up between two readings", group + five + read1 + "COUNT\nXTRIM s MAXLEN 2\n" + read1 + "*3", Count{Value: 4}},
		{"trimmed to nothing", group + five + read2 + "XTRIM s MAXLEN 0", Count{}},
		{"same position, read and lag by chance", group + five + read1 + "XTRIM s MAXLEN 1\n" + read1 + "COUNT\n" +
			"XADD s 6-0 k v\nXADD s 7-0 k v\nXADD s 8-0 k v\nXADD s 9-0 k v\nXDEL s 6-0\nXTRIM s MAXLEN 3", Count{Value: 3}},

		{"counters set by hand to say idle", group + five + read5 + "COUNT\nXGROUP SETID s g 2-0 ENTRIESREAD 5", Count{Value: 3}},
		{"counters set by hand, same position", group + five + read5 + "COUNT\n*2\nXGROUP SETID s g 5-0 ENTRIESREAD 7", Count{Value: 2}},
		{"counters set by hand beyond the end", group + five + read2 + "XGROUP SETID s g 2-0 ENTRIESREAD 90", Count{Value: 3, Note: noteNoLag}},
		{"group sent back", group + five + read1 + "XTRIM s MAXLEN 3\n" + read1 + "COUNT\n*5\n" + read2 + "COUNT\nXGROUP SETID s g 4-0 ENTRIESREAD 4", Count{Value: 6}},
		{"group made anew", group + five + read5 + "COUNT\nXGROUP DESTROY s g\nXGROUP CREATE s g 0", Count{Value: 5}},
		{"stream made anew", group + five + read5 + "COUNT\nDEL s\n" + group + "*4", Count{Value: 4}},

		{"RS-06 no stream", "", Count{Note: noteMissing}},
		{"stream gone", group + five + "COUNT\nDEL s", Count{Note: noteMissing}},
		{"stream gone while idle", group + "*1\n" + read1 + "COUNT\nDEL s", Count{Note: noteMissing}},
		{"RS-08 no group", "*20", Count{Value: 20, Note: noteNoGroup}},
		{"group gone while idle", group + "*3\n" + read5 + "COUNT\nXGROUP DESTROY s g", Count{Value: 3, Note: noteNoGroup}},
		{"another group alone", "*2\nXGROUP CREATE s other $", Count{Value: 2, Note: noteNoGroup}},
		{"empty stream", group, Count{}},
		{"idle, then work", group + "*3\n" + read5 + "COUNT\nCOUNT\n*2", Count{Value: 2}},
		{"idle twice", group + "*3\n" + read5 + "COUNT\nCOUNT", Count{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			do(t, server.Client(), "FLUSHALL")
			counter := NewCounter(connect(t, o), query(Lag))
			play(t, server.Client(), counter, test.script)
			if got := mustCount(t, counter); got != test.want {
				t.Errorf("got %+v, want %+v\n%v", got, test.want, server.Client().Do(within(t), "XINFO", "GROUPS", "s"))
			}
		})
	}
}

func TestMeasures(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	const script = group + "*10\nXREADGROUP GROUP g c COUNT 4 STREAMS s >\n"
	const noGroup = "*10"
	for _, test := range []struct {
		name, script string
		measure      Measure
		want         Count
	}{
		{"backlog", script, Backlog, Count{Value: 10}},
		{"lag", script, Lag, Count{Value: 6, Busy: true}},
		{"pending", script, Pending, Count{Value: 4}},
		{"length", script, Length, Count{Value: 10}},
		{"RS-10 nothing unread, something in progress", script + read5 + read5, Lag, Count{Busy: true}},
		{"SZ-08 backlog keeps work in progress", script + read5 + read5, Backlog, Count{Value: 4}},
		{"trimmed away while pending", script + "XTRIM s MAXLEN 0", Backlog, Count{Value: 4}},
		{"pending without group", noGroup, Pending, Count{Note: `consumer group "g" does not exist; nothing is pending`}},
		{"pending without stream", "", Pending, Count{Note: noteMissing}},
		{"length without stream", "", Length, Count{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			do(t, server.Client(), "FLUSHALL")
			counter := NewCounter(connect(t, o), query(test.measure))
			play(t, server.Client(), counter, test.script)
			if got := mustCount(t, counter); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// Work in progress keeps a workload up only while it is younger than the timeout.
func TestPendingTimeout(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	const abandoned = group + "*3\nXREADGROUP GROUP g c COUNT 3 STREAMS s >\n"
	age := func(id string, d time.Duration) {
		do(t, server.Client(), "XCLAIM", "s", "g", "c", 0, id, "IDLE", d.Milliseconds(), "JUSTID")
	}
	play(t, server.Client(), nil, abandoned)
	pending := do(t, server.Client(), "XPENDING", "s", "g", "-", "+", 10).([]any)
	q := query(Lag)
	q.PendingTimeout = time.Hour
	counter := NewCounter(connect(t, o), q)
	for i, entry := range pending {
		if got := mustCount(t, counter); !got.Busy {
			t.Errorf("%d of %d entries are older than the timeout: not busy", i, len(pending))
		}
		age(entry.([]any)[0].(string), time.Hour+time.Second)
	}
	if got := mustCount(t, counter); got != (Count{}) {
		t.Errorf("every entry is older than the timeout: %+v", got)
	}
	q.PendingTimeout = 0
	age(pending[0].([]any)[0].(string), 0)
	if got := mustCount(t, NewCounter(connect(t, o), q)); got != (Count{}) {
		t.Errorf("no timeout: %+v", got)
	}
}

// More entries than one page of XPENDING, all abandoned but the last.
func TestPendingInPages(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	play(t, server.Client(), nil, group)
	add(t, server.Client(), "s", pendingPage+200)
	do(t, server.Client(), "XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
	claim := []any{"XCLAIM", "s", "g", "c", 0}
	for _, message := range server.Client().XRange(within(t), "s", "-", "+").Val() {
		claim = append(claim, message.ID)
	}
	last := claim[len(claim)-1]
	do(t, server.Client(), append(claim[:len(claim)-1], "IDLE", (2*time.Hour).Milliseconds(), "JUSTID")...)
	counter := NewCounter(connect(t, o), query(Lag))
	if got := mustCount(t, counter); got != (Count{Busy: true}) {
		t.Errorf("one young entry behind %d old ones: %+v", pendingPage+199, got)
	}
	do(t, server.Client(), "XCLAIM", "s", "g", "c", 0, last, "IDLE", (2 * time.Hour).Milliseconds(), "JUSTID")
	if got := mustCount(t, counter); got != (Count{}) {
		t.Errorf("old entries alone: %+v", got)
	}
}

// Counting one by one stops where more could not be used, and goes on over pages.
func TestLimit(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	play(t, server.Client(), nil, "*3\nXGROUP CREATE s g $\n")
	add(t, server.Client(), "s", 2*page+7)
	for limit, want := range map[int64]Count{
		0:            {Value: 1, Note: noteCapped},
		page:         {Value: page, Note: noteCapped},
		page + 1:     {Value: page + 1, Note: noteCapped},
		2*page + 7:   {Value: 2*page + 7, Note: noteCapped},
		2*page + 8:   {Value: 2*page + 7, Note: noteNoLag},
		1_000_000_00: {Value: 2*page + 7, Note: noteNoLag},
	} {
		q := query(Lag)
		q.Limit = limit
		if got := mustCount(t, NewCounter(connect(t, o), q)); got != want {
			t.Errorf("limit %d: got %+v, want %+v", limit, got, want)
		}
	}
}

// A consumer that deletes what it has read moves the stream's beginning all the time. Then the few entries that it holds are counted, not the many that
// wait: Limit would cut those.
func TestDeletingConsumerTakesFewEntries(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	q := query(Backlog)
	q.Limit = 100
	counter := NewCounter(connect(t, o), q)
	play(t, server.Client(), nil, group+"*5000\nXREADGROUP GROUP g c COUNT 8 STREAMS s >\n")
	pending := func() []any { return do(t, server.Client(), "XPENDING", "s", "g", "-", "+", 100).([]any) }
	for i := range 10 {
		want := Count{Value: int64(5000 - 3*i)}
		if got := mustCount(t, counter); got != want {
			t.Fatalf("reading %d: %+v, want %+v", i, got, want)
		}
		// The oldest is a slow one; younger ones are done and deleted.
		for _, entry := range pending()[1:4] {
			id := entry.([]any)[0]
			do(t, server.Client(), "XACK", "s", "g", id)
			do(t, server.Client(), "XDEL", "s", id)
		}
		do(t, server.Client(), "XREADGROUP", "GROUP", "g", "c", "COUNT", 3, "STREAMS", "s", ">")
	}
}

// The usual case is one round trip; an idle stream does not even send its entries.
func TestRoundTrips(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	client := connect(t, o)
	seen := &commands{}
	client.AddHook(seen)
	counter := NewCounter(client, query(Backlog))
	play(t, server.Client(), nil, group)
	add(t, server.Client(), "s", 20)
	for _, step := range []struct{ name, script, want string }{
		{"first", "", "[xinfo xinfo]"},
		{"backlog", "XREADGROUP GROUP g c COUNT 5 STREAMS s >", "[xinfo xinfo]"},
		{"drained", "XREADGROUP GROUP g c COUNT 50 STREAMS s >", "[xinfo xinfo]"},
		{"idle", "", "[xinfo]"},
		{"work comes", "*1", "[xinfo] [xinfo xinfo]"},
		{"work is left", "", "[xinfo xinfo]"},
	} {
		play(t, server.Client(), nil, step.script)
		seen.sent = ""
		mustCount(t, counter)
		if got := strings.TrimSpace(seen.sent); got != step.want {
			t.Errorf("%s: sent %s, want %s", step.name, got, step.want)
		}
	}
}

// A lag that is off is measured once; from then on it is corrected without reading entries, as long as only read entries are trimmed.
func TestCorrectedLagTakesNoEntries(t *testing.T) {
	server, o := standalone(t, servers.RedisOptions{})
	client := connect(t, o)
	seen := &commands{}
	client.AddHook(seen)
	counter := NewCounter(client, query(Lag))
	// Five entries are lost unread, and then all but ten are read: the server says 15.
	play(t, server.Client(), nil, group+"*7\n"+read1+"XTRIM s MAXLEN 1\n*40\n"+read5+read5+read5+read5+read5+read5+read1)
	ranges := func() int { return strings.Count(seen.sent, "xrange") }
	if got := mustCount(t, counter); got != (Count{Value: 10}) || ranges() != 1 {
		t.Fatalf("first reading: %+v with %d XRANGE, want 10 with 1", got, ranges())
	}
	for i := range maxTrust {
		add(t, server.Client(), "s", 2)
		play(t, server.Client(), nil, "XREADGROUP GROUP g c COUNT 2 NOACK STREAMS s >\nXTRIM s MAXLEN 30\n")
		if got := mustCount(t, counter); got != (Count{Value: 10}) {
			t.Fatalf("reading %d: %+v, want 10", i, got)
		}
	}
	if ranges() != 1 {
		t.Errorf("%d XRANGE in %d readings, want 1", ranges(), maxTrust+1)
	}
	if got := mustCount(t, counter); got != (Count{Value: 10}) || ranges() != 2 {
		t.Errorf("after %d readings: %+v with %d XRANGE, want 10 and a second one", maxTrust, got, ranges())
	}
}
