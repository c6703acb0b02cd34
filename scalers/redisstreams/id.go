package redisstreams

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// streamID is the ID of an entry: a time in milliseconds and a sequence number. The zero ID comes before every entry.
type streamID struct {
	ms, seq uint64
}

func parseID(text string) (streamID, error) {
	ms, seq, _ := strings.Cut(text, "-")
	var id streamID
	var err error
	if id.ms, err = strconv.ParseUint(ms, 10, 64); err != nil {
		return streamID{}, fmt.Errorf("%q is no stream ID", text)
	}
	if id.seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return streamID{}, fmt.Errorf("%q is no stream ID", text)
	}
	return id, nil
}

func (a streamID) compare(b streamID) int {
	return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.seq, b.seq))
}

// next is the smallest ID after this one. Ranges start there because the exclusive form "(ID" needs Redis 6.2.
func (a streamID) next() streamID {
	if a.seq == math.MaxUint64 {
		return streamID{ms: a.ms + 1}
	}
	return streamID{ms: a.ms, seq: a.seq + 1}
}

func (a streamID) String() string {
	return strconv.FormatUint(a.ms, 10) + "-" + strconv.FormatUint(a.seq, 10)
}
