package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Measure is what is counted.
type Measure string

const (
	// Backlog is what a consumer group has not read plus what it has read and not acknowledged.
	Backlog Measure = "backlog"
	// Lag is what the group has not read.
	Lag Measure = "lag"
	// Pending is what the group has read and not acknowledged.
	Pending Measure = "pending"
	// Length is the number of entries in the stream.
	Length Measure = "length"
)

// Query says what to count.
type Query struct {
	Stream string
	// Group is the consumer group; Length alone goes without.
	Group   string
	Measure Measure
	// PendingTimeout is how long an unacknowledged entry counts as work in progress; 0 means not at all. Only Lag looks at it.
	PendingTimeout time.Duration
	// Limit bounds how many entries are counted one by one, where that is the only way. Less than 1 means 1.
	Limit int64
	// User is the name that errors call the server's user by; empty for the default user.
	User string
}

// Count is what was found. Note says, in a sentence that stays the same while its cause does, what a person should know about it.
type Count struct {
	Value int64
	Busy  bool
	Note  string
}

// Counter counts one stream. It remembers between counts what makes the next one cheap; calls must not overlap.
type Counter struct {
	client redis.UniversalClient
	batch  *batch
	query  Query
	ledger ledger
	// last is the ID of the last entry that the latest count has seen.
	last streamID
}

// NewCounter makes a counter. It does no I/O, and the client stays the caller's.
func NewCounter(client redis.UniversalClient, query Query) *Counter {
	return newCounter(&batch{client: client}, query)
}

// newCounter makes a counter that shares its pipelines with others.
func newCounter(b *batch, query Query) *Counter {
	query.Limit = max(query.Limit, 1)
	return &Counter{client: b.client, batch: b, query: query}
}

// Count asks the server, in one round trip as long as its answer can be proved. Everything that is not a proof is an error.
func (c *Counter) Count(ctx context.Context) (Count, error) {
	if c.query.Measure == Length {
		return c.length(ctx)
	}
	group, stream, err := c.info(ctx)
	if err != nil {
		return Count{}, err
	}
	if count, proved := c.proved(group, stream); proved {
		return count, nil
	}
	if stream != nil && stream.missing {
		return c.absent(ctx)
	}
	count, err := c.unread(ctx, group.groupInfo, stream)
	if err != nil {
		return Count{}, err
	}
	if c.query.Measure == Backlog {
		count.Value += group.pending
		return count, nil
	}
	count.Busy, err = c.busy(ctx, group.pending)
	return count, err
}

// start asks as Count does and leaves. The answer is not whole when it is no proof, and a Count is called for.
func (c *Counter) start(ctx context.Context, answered func(conclude func() (count Count, whole bool, err error))) {
	if c.query.Measure == Length {
		answered(func() (Count, bool, error) { return Count{}, false, nil })
		return
	}
	q := c.ask(ctx, !c.brief())
	c.batch.start(ctx, func(failed error) { answered(func() (Count, bool, error) { return c.conclude(q, failed) }) }, q.commands()...)
}

func (c *Counter) conclude(q question, failed error) (count Count, whole bool, err error) {
	group, stream, enough, err := c.answer(q, failed)
	if err != nil {
		return Count{}, false, err
	}
	if !enough {
		c.ledger.isIdle = false // so that the Count asks for the stream at once
		return Count{}, false, nil
	}
	count, whole = c.proved(group, stream)
	return count, whole, nil
}

// proved is the count, if it takes no further question.
func (c *Counter) proved(group foundGroup, stream *foundStream) (count Count, proved bool) {
	switch {
	case stream != nil && stream.missing:
		return Count{}, false
	case !group.found:
		return c.withoutGroup(*stream), true
	case c.query.Measure == Pending:
		return Count{Value: group.pending}, true
	case c.query.Measure == Lag && c.mayBeBusy(group.pending):
		return Count{}, false
	}
	if stream != nil {
		if count.Value, proved = c.ledger.unread(group.groupInfo, stream.streamInfo); !proved {
			return Count{}, false
		}
	}
	if c.query.Measure == Backlog {
		count.Value += group.pending
	}
	return count, true
}

// seen is how far the latest count has seen. XLEN does not say.
func (c *Counter) seen() position { return position{id: c.last, atEnd: c.query.Measure == Length} }

type foundGroup struct {
	groupInfo
	found bool
}

type foundStream struct {
	streamInfo
	missing bool
}

// question is what a count begins with: commands that go in one pipeline on one connection, but in no transaction. What follows from the answers is true even if
// somebody adds, reads or trims between the two.
type question struct {
	groups *redis.Cmd
	// stream is nil when the group alone is asked for.
	stream *redis.Cmd
}

func (q question) commands() []redis.Cmder {
	if q.stream == nil {
		return []redis.Cmder{q.groups}
	}
	return []redis.Cmder{q.groups, q.stream}
}

// brief says that the group alone may do.
func (c *Counter) brief() bool { return c.query.Measure == Pending || c.ledger.isIdle }

func (c *Counter) ask(ctx context.Context, whole bool) question {
	q := question{groups: redis.NewCmd(ctx, "XINFO", "GROUPS", c.query.Stream)}
	if whole {
		q.stream = redis.NewCmd(ctx, "XINFO", "STREAM", c.query.Stream)
	}
	return q
}

// info asks for the group and, unless the group alone will do, for the stream; the stream is nil when it was not needed.
func (c *Counter) info(ctx context.Context) (foundGroup, *foundStream, error) {
	for whole := !c.brief(); ; whole = true {
		q := c.ask(ctx, whole)
		group, stream, enough, err := c.answer(q, c.batch.do(ctx, q.commands()...))
		if enough || err != nil {
			return group, stream, err
		}
	}
}

// answer reads what the server said. It is not enough when the group alone will not do.
func (c *Counter) answer(q question, failed error) (group foundGroup, stream *foundStream, enough bool, err error) {
	group, missing, err := c.readGroup(result(q.groups, failed))
	if err != nil {
		return foundGroup{}, nil, false, err
	}
	if q.stream == nil {
		switch {
		case missing:
			return foundGroup{}, &foundStream{missing: true}, true, nil
		case group.found && (c.query.Measure == Pending || c.ledger.stillIdle(group.groupInfo)):
			return group, nil, true, nil
		}
		return group, &foundStream{}, c.query.Measure == Pending, nil
	}
	reply, err := result(q.stream, failed)
	switch {
	case missing || isMissingKey(err):
		return group, &foundStream{missing: true}, true, nil
	case err != nil:
		return foundGroup{}, nil, false, c.explain("XINFO STREAM", err)
	}
	info, err := parseStream(reply)
	if err != nil {
		return foundGroup{}, nil, false, c.explain("XINFO STREAM", err)
	}
	c.last = info.last
	return group, &foundStream{streamInfo: info}, true, nil
}

// result is a command's reply or error. A pipeline that fails before it is sent, such as at a login that the server refuses, leaves its commands without
// either; then its own error counts.
func result(cmd *redis.Cmd, failed error) (any, error) {
	if left := (unanswered{}); errors.As(failed, &left) {
		return nil, failed
	}
	reply, err := cmd.Result()
	if reply == nil && err == nil && failed != nil {
		return nil, failed
	}
	return reply, err
}

func (c *Counter) readGroup(reply any, err error) (group foundGroup, missing bool, failed error) {
	if isMissingKey(err) {
		return foundGroup{}, true, nil
	}
	if err == nil {
		group.groupInfo, group.found, err = findGroup(reply, c.query.Group)
	}
	if err != nil {
		return foundGroup{}, false, c.explain("XINFO GROUPS", err)
	}
	return group, false, nil
}

// unread counts the entries after the group's position.
func (c *Counter) unread(ctx context.Context, group groupInfo, stream *foundStream) (Count, error) {
	if stream == nil {
		return Count{}, nil
	}
	if count, proved := c.ledger.unread(group, stream.streamInfo); proved {
		return Count{Value: count}, nil
	}
	return c.oneByOne(ctx, group, stream.streamInfo)
}

// withoutGroup counts a stream whose group does not exist: a consumer makes the group when it first runs, and will then find every entry.
func (c *Counter) withoutGroup(stream foundStream) Count {
	c.ledger.forget()
	if c.query.Measure == Pending {
		return Count{Note: fmt.Sprintf("consumer group %q does not exist; nothing is pending", c.query.Group)}
	}
	return Count{Value: stream.length, Note: fmt.Sprintf("consumer group %q does not exist; every entry of the stream counts", c.query.Group)}
}

// absent counts a stream that does not exist, once it is sure that it would be seen if it did.
func (c *Counter) absent(ctx context.Context) (Count, error) {
	c.ledger.forget()
	c.last = streamID{}
	if err := c.checkReplica(ctx); err != nil {
		return Count{}, err
	}
	return Count{Note: fmt.Sprintf("stream %q does not exist; it counts as empty", c.query.Stream)}, nil
}

// length counts the whole stream.
func (c *Counter) length(ctx context.Context) (Count, error) {
	length, err := c.client.XLen(ctx, c.query.Stream).Result()
	if err != nil {
		return Count{}, c.explain("XLEN", err)
	}
	if length == 0 {
		// To XLEN a stream that is not there yet is an empty one.
		if err := c.checkReplica(ctx); err != nil {
			return Count{}, err
		}
	}
	return Count{Value: length}, nil
}

// isMissingKey recognises what XINFO says of a key that does not exist.
func isMissingKey(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "ERR no such key")
}
