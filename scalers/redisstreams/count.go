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
	switch {
	case err != nil:
		return Count{}, err
	case stream != nil && stream.missing:
		return c.absent(ctx)
	case !group.found:
		return c.withoutGroup(*stream), nil
	case c.query.Measure == Pending:
		return Count{Value: group.pending}, nil
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

// info asks for the group and, unless the group alone will do, for the stream; the stream is nil when it was not needed.
func (c *Counter) info(ctx context.Context) (foundGroup, *foundStream, error) {
	if c.query.Measure == Pending || c.ledger.isIdle {
		groups := redis.NewCmd(ctx, "XINFO", "GROUPS", c.query.Stream)
		group, missing, err := c.readGroup(result(groups, c.batch.do(ctx, groups)))
		switch {
		case err != nil:
			return foundGroup{}, nil, err
		case missing:
			return foundGroup{}, &foundStream{missing: true}, nil
		case group.found && (c.query.Measure == Pending || c.ledger.stillIdle(group.groupInfo)):
			return group, nil, nil
		case c.query.Measure == Pending:
			return group, &foundStream{}, nil
		}
	}
	// One pipeline on one connection, but no transaction: what follows is true even if somebody adds, reads or trims between the two.
	groups, stream := redis.NewCmd(ctx, "XINFO", "GROUPS", c.query.Stream), redis.NewCmd(ctx, "XINFO", "STREAM", c.query.Stream)
	failed := c.batch.do(ctx, groups, stream)
	group, missing, err := c.readGroup(result(groups, failed))
	if err != nil {
		return foundGroup{}, nil, err
	}
	reply, err := result(stream, failed)
	switch {
	case missing || isMissingKey(err):
		return group, &foundStream{missing: true}, nil
	case err != nil:
		return foundGroup{}, nil, c.explain("XINFO STREAM", err)
	}
	info, err := parseStream(reply)
	if err != nil {
		return foundGroup{}, nil, c.explain("XINFO STREAM", err)
	}
	c.last = info.last
	return group, &foundStream{streamInfo: info}, nil
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
