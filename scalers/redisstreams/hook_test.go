package redisstreams

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// commands records the names of what is sent, one bracket a round trip.
type commands struct{ sent string }

func (c *commands) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.record(cmd)
		return next(ctx, cmd)
	}
}

func (c *commands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.record(cmds...)
		return next(ctx, cmds)
	}
}

func (c *commands) record(cmds ...redis.Cmder) {
	names := ""
	for _, cmd := range cmds {
		names += " " + cmd.Name()
	}
	// Opening a connection sends HELLO and ROLE; they are no part of a reading.
	if names == " hello" || names == " role" {
		return
	}
	c.sent += "[" + names[1:] + "] "
}
