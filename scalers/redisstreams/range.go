package redisstreams

import (
	"context"
	"fmt"
)

// page is how many entries one XRANGE fetches. Entries come with their payload; the page bounds what one answer holds in memory.
const page = 250

const (
	noteCapped = "the unread entries were counted one by one, and only as many as max-replicas can use; there may be more"
	noteNoLag  = "the server does not know the lag of the group; the unread entries were counted one by one"
)

// oneByOne counts what cannot be proved from numbers, on the side of the group's position where the server's lag leads to expect fewer entries.
func (c *Counter) oneByOne(ctx context.Context, group groupInfo, stream streamInfo) (Count, error) {
	if read := stream.length - group.lag.value; group.lag.known && plausible(group.lag.value, stream) && read < min(group.lag.value, c.query.Limit) {
		limit := min(group.lag.value, c.query.Limit)
		count, err := c.countRange(ctx, stream.first, group.delivered, limit)
		if err != nil {
			return Count{}, err
		}
		if count < limit {
			// Entries taken out since the stream told its length make this too high for a moment; so the ledger does not learn from it.
			return Count{Value: stream.length - count}, nil
		}
	}
	// Only up to the last entry that the server has told of: entries that come later would be missing from lag.
	count, err := c.countRange(ctx, group.delivered.next(), stream.last, c.query.Limit)
	if err != nil {
		return Count{}, err
	}
	if count >= c.query.Limit {
		return Count{Value: count, Note: noteCapped}, nil
	}
	c.ledger.measured(group, stream, count)
	if !group.lag.known {
		return Count{Value: count, Note: noteNoLag}, nil
	}
	return Count{Value: count}, nil
}

// countRange counts the entries from one ID to another, both included, up to the limit.
func (c *Counter) countRange(ctx context.Context, from, to streamID, limit int64) (int64, error) {
	var count int64
	for count < limit {
		size := min(page, limit-count)
		reply, err := c.client.Do(ctx, "XRANGE", c.query.Stream, from.String(), to.String(), "COUNT", size).Slice()
		if err != nil {
			return 0, c.explain("XRANGE", err)
		}
		count += int64(len(reply))
		if int64(len(reply)) < size {
			break
		}
		last, err := entryID(reply[len(reply)-1])
		if err != nil {
			return 0, c.explain("XRANGE", err)
		}
		from = last.next()
	}
	return count, nil
}

func entryID(reply any) (streamID, error) {
	entry, ok := reply.([]any)
	if !ok || len(entry) == 0 {
		return streamID{}, fmt.Errorf("%w: %T for an entry", errForm, reply)
	}
	return toID("entry", entry[0])
}
