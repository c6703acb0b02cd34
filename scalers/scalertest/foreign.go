package scalertest

import (
	"io"
	"net"
	"strings"
	"testing"

	"autoscale.io/scalers"
)

// foreignWord is in everything that a foreign server says.
const foreignWord = "canary"

// MustSay starts a server on loopback that says a text to whoever connects, and nothing more.
func MustSay(t *testing.T, text string) (address string) {
	t.Helper()
	return MustServe(t, func(conn net.Conn) {
		// Who has gone already hears nothing.
		_, _ = conn.Write([]byte(text))
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
}

// WantForeignUnquoted reads a trigger, made by trigger for an address, from servers of other kinds: nothing of what they say may be in the error.
func WantForeignUnquoted(t *testing.T, define func(scalers.Env) scalers.Definition, trigger func(address string) string, refs Texts) {
	t.Helper()
	for _, text := range []string{
		"HTTP/1.1 400 Bad canary\r\nContent-Length: 6\r\n\r\ncanary", "220 canary ESMTP\r\n", "SSH-2.0-canary\r\n", "canary\r\n", "Scanary\r\n", "Ncanarycanarycanary",
		"{\"canary\": \"canary\"}\n", strings.Repeat("canary", 1000),
	} {
		err := NewBench(t, define).Attempt(t, trigger(MustSay(t, text)), refs)
		if err == nil || strings.Contains(err.Error(), foreignWord) {
			t.Errorf("the server said %.30q, and the error is %v; want one that does not quote it", text, err)
		}
	}
}
