package redisstreams

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"autoscale.io/scalers/scalertest"
)

// fake is a server that answers what no real one would: answer makes a reply of the protocol out of a command, whose words are joined by spaces.
func fake(t *testing.T, answer func(command string) string) (address string) {
	t.Helper()
	return scalertest.MustServe(t, func(conn net.Conn) { serve(conn, answer) })
}

func serve(conn net.Conn, answer func(command string) string) {
	in := bufio.NewReader(conn)
	for {
		var words int
		if _, err := fmt.Fscanf(in, "*%d\r\n", &words); err != nil {
			return
		}
		command := make([]string, words)
		for i := range command {
			var length int
			if _, err := fmt.Fscanf(in, "$%d\r\n", &length); err != nil {
				return
			}
			word := make([]byte, length+len("\r\n"))
			if _, err := io.ReadFull(in, word); err != nil {
				return
			}
			command[i] = string(word[:length])
		}
		if _, err := io.WriteString(conn, answer(strings.Join(command, " "))); err != nil {
			return
		}
	}
}

// bulk is a text of the protocol, and array a list of replies.
func bulk(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }

func array(replies ...string) string {
	return fmt.Sprintf("*%d\r\n%s", len(replies), strings.Join(replies, ""))
}
