package redisstreams

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// pendingPage is how many pending entries one XPENDING lists, and pendingPages how many lists are asked for.
const (
	pendingPage  = 1000
	pendingPages = 10
)

// busy says whether an entry was handed to a consumer within the timeout and not acknowledged: somebody may still work on it. XPENDING can list only the entries
// that are idle for longer; so those are counted, and a younger one exists if they are fewer than all. Too many to list count as busy.
func (c *Counter) busy(ctx context.Context, pending int64) (bool, error) {
	if !c.mayBeBusy(pending) {
		return false, nil
	}
	var old int64
	from := streamID{}
	for range pendingPages {
		reply, err := c.client.Do(ctx, "XPENDING", c.query.Stream, c.query.Group,
			"IDLE", c.query.PendingTimeout.Milliseconds(), from.String(), "+", pendingPage).Slice()
		if err != nil {
			return false, c.explain("XPENDING", err)
		}
		old += int64(len(reply))
		if len(reply) < pendingPage {
			return old < pending, nil
		}
		last, err := entryID(reply[len(reply)-1])
		if err != nil {
			return false, c.explain("XPENDING", err)
		}
		from = last.next()
	}
	return true, nil
}

func (c *Counter) mayBeBusy(pending int64) bool { return pending > 0 && c.query.PendingTimeout > 0 }

// checkReplica reports an error if the server is a replica without a working link to its master: it would say that a stream which it has not
// copied yet does not exist. A server that does not let the user ask is believed. In a cluster only masters answer.
func (c *Counter) checkReplica(ctx context.Context) error {
	if _, cluster := c.client.(*redis.ClusterClient); cluster {
		return nil
	}
	reply, err := c.client.Do(ctx, "ROLE").Slice()
	if isReply(err) {
		return nil
	}
	if err != nil {
		return c.explain("ROLE", err)
	}
	return replicaFault(reply)
}

// replicaFault reads a reply of ROLE: a replica's is slave, host, port, state of the link, offset.
func replicaFault(reply []any) error {
	if len(reply) < 4 || reply[0] != any("slave") || reply[3] == any("connected") {
		return nil
	}
	return fmt.Errorf("the server is a replica whose link to its master %v:%v is not up (%v); what it holds may be old or incomplete",
		reply[1], reply[2], reply[3])
}
