package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// explain says what failed and what to do about it.
func (c *Counter) explain(command string, err error) error {
	stream := fmt.Sprintf("stream %q", c.query.Stream)
	user := c.query.User
	if user == "" {
		user = "default"
	}
	switch {
	case redis.IsPermissionError(err):
		command = refused(err, command)
		return fmt.Errorf("user %s may not use %s for %s; grant it with: ACL SETUSER %s %s ~%s: %w",
			user, command, stream, user, grant(command), c.query.Stream, err)
	case redis.IsAuthError(err) && strings.Contains(err.Error(), "NOAUTH"):
		return fmt.Errorf("the server wants a password and the trigger has none; set password: %w", err)
	case redis.IsAuthError(err):
		return fmt.Errorf("the server refused user %s or the password: %w", user, err)
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return fmt.Errorf("key %q is no stream: %w", c.query.Stream, err)
	case redis.IsLoadingError(err):
		return fmt.Errorf("the server is still loading its data: %w", err)
	case foreign(err):
		// Not quoted: whoever chooses an address would otherwise read what answers there.
		return fmt.Errorf("%s on %s: what answers is no Redis server; want the address of one", command, stream)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s on %s: no answer in time: %w", command, stream, err)
	}
	return fmt.Errorf("%s on %s: %w", command, stream, err)
}

// grant is the permission that a command needs: XINFO GROUPS is +xinfo|groups.
func grant(command string) string {
	return "+" + strings.ToLower(strings.ReplaceAll(command, " ", "|"))
}

// refused is the command that the server names as refused, which may be one that the client library needed on the way, such as CLUSTER SLOTS.
func refused(err error, command string) string {
	_, quoted, _ := strings.Cut(err.Error(), "to run the '")
	name, _, found := strings.Cut(quoted, "'")
	if !found {
		return command
	}
	return strings.ToUpper(strings.ReplaceAll(name, "|", " "))
}

// foreign tells an answer that is not of the protocol. The client's errors about it quote it and have no type.
func foreign(err error) bool {
	var number *strconv.NumError
	return errors.As(err, &number) || strings.Contains(err.Error(), "redis: can't parse") || strings.Contains(err.Error(), "redis: invalid reply")
}

// isReply tells what the server said from what the network did.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}
