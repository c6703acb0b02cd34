package redisstreams

import (
	"errors"
	"fmt"
)

// number is a count that the server may leave out or answer with nil; then it is not known, which is never 0.
type number struct {
	value int64
	known bool
}

// groupInfo is what XINFO GROUPS says of one group.
type groupInfo struct {
	pending int64
	// delivered is the ID of the last entry handed to a consumer.
	delivered streamID
	// read is how many entries the server believes to have handed out, and lag how many it believes to be left. Both are absent before Redis 7 and nil when
	// the server knows that it does not know.
	read, lag number
}

// streamInfo is what XINFO STREAM says.
type streamInfo struct {
	length int64
	// first is the ID of the first entry; it means nothing when length is 0.
	first streamID
	// last is the ID of the last entry that was ever added.
	last streamID
	// added is how many entries were ever added, and deleted the greatest ID taken out by XDEL, zero for none. Both are absent before Redis 7.
	added      number
	deleted    streamID
	hasDeleted bool
}

// errForm is wrapped when a reply is not one that the command can give.
var errForm = errors.New("the server's answer has an unknown form")

// findGroup reads a raw reply of XINFO GROUPS. The client library's own type is no use here: it turns a lag that is missing into 0.
func findGroup(reply any, name string) (info groupInfo, found bool, err error) {
	groups, ok := reply.([]any)
	if !ok {
		return groupInfo{}, false, fmt.Errorf("%w: %T for the groups", errForm, reply)
	}
	for _, group := range groups {
		matches := false
		err := eachField(group, func(field string, value any) error {
			if field == "name" && value == any(name) {
				matches = true
			}
			return nil
		})
		if err != nil {
			return groupInfo{}, false, err
		}
		if matches {
			info, err := parseGroup(group)
			return info, err == nil, err
		}
	}
	return groupInfo{}, false, nil
}

func parseGroup(group any) (groupInfo, error) {
	var info groupInfo
	var pending number
	delivered := false
	err := eachField(group, func(field string, value any) (err error) {
		switch field {
		case "pending":
			pending, err = toNumber(field, value)
		case "last-delivered-id":
			delivered = true
			info.delivered, err = toID(field, value)
		case "entries-read":
			info.read, err = toNumber(field, value)
		case "lag":
			info.lag, err = toNumber(field, value)
		}
		return err
	})
	if err == nil && (!pending.known || !delivered) {
		err = fmt.Errorf("%w: a group without pending or last-delivered-id", errForm)
	}
	info.pending = pending.value
	return info, err
}

// parseStream reads a raw reply of XINFO STREAM.
func parseStream(reply any) (streamInfo, error) {
	var info streamInfo
	var length number
	first, last := false, false
	err := eachField(reply, func(field string, value any) (err error) {
		switch field {
		case "length":
			length, err = toNumber(field, value)
		case "last-generated-id":
			last = true
			info.last, err = toID(field, value)
		case "max-deleted-entry-id":
			info.hasDeleted = true
			info.deleted, err = toID(field, value)
		case "entries-added":
			info.added, err = toNumber(field, value)
		case "first-entry":
			if entry, ok := value.([]any); ok && len(entry) > 0 {
				first = true
				info.first, err = toID(field, entry[0])
			}
		}
		return err
	})
	info.length = length.value
	if err == nil && (!length.known || !last || (info.length > 0 && !first)) {
		err = fmt.Errorf("%w: a stream without length, last-generated-id or first-entry", errForm)
	}
	return info, err
}

// eachField visits the names and values of a reply, a flat list in the second version of the protocol and a map in the third.
func eachField(reply any, visit func(field string, value any) error) error {
	switch reply := reply.(type) {
	case []any:
		for i := 0; i+1 < len(reply); i += 2 {
			name, _ := reply[i].(string)
			if err := visit(name, reply[i+1]); err != nil {
				return err
			}
		}
		return nil
	case map[any]any:
		for key, value := range reply {
			name, _ := key.(string)
			if err := visit(name, value); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%w: %T for a list of fields", errForm, reply)
}

// toNumber takes a count ≥ 0, or nil for one that the server does not know. A negative count is not known either: it is some client's or server's
// way to say so.
func toNumber(field string, value any) (number, error) {
	switch value := value.(type) {
	case nil:
		return number{}, nil
	case int64:
		return number{value, value >= 0}, nil
	}
	return number{}, fmt.Errorf("%w: %T for %s", errForm, value, field)
}

func toID(field string, value any) (streamID, error) {
	text, ok := value.(string)
	if !ok {
		return streamID{}, fmt.Errorf("%w: %T for %s", errForm, value, field)
	}
	id, err := parseID(text)
	if err != nil {
		return streamID{}, fmt.Errorf("%w: %s: %w", errForm, field, err)
	}
	return id, nil
}
