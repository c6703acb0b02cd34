package mysql

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"autoscale.io/scalers/scalertest"
	"autoscale.io/scalers/scalertest/sqltest"
)

// greedy is a server that answers every query by asking for a file of the client's, as LOAD DATA LOCAL lets a server do.
type greedy struct {
	file string
	mu   sync.Mutex
	// got is everything that clients have sent after being asked.
	got []byte
	// asked is how often a file was asked for.
	asked int
}

func send(w io.Writer, sequence byte, payload string) error {
	header := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
	header[3] = sequence
	_, err := w.Write(append(header, payload...))
	return err
}

func receive(r io.Reader) (sequence byte, payload []byte, err error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(r, header); err != nil {
		return 0, nil, err
	}
	sequence, header[3] = header[3], 0
	payload = make([]byte, binary.LittleEndian.Uint32(header))
	_, err = io.ReadFull(r, payload)
	return sequence, payload, err
}

// serve ends when the client goes.
func (g *greedy) serve(conn net.Conn) { _ = g.talk(conn) }

func (g *greedy) talk(conn net.Conn) error {
	const (
		// greeting is that of protocol 10, with every capability that a client could need for a file.
		greeting = "\x0a8.0.0\x00\x01\x00\x00\x00abcdefgh\x00\xff\xf7\x21\x02\x00\xff\x81\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00abcdefghijkl\x00mysql_native_password\x00"
		ok       = "\x00\x00\x00\x02\x00\x00\x00"
	)
	if err := send(conn, 0, greeting); err != nil {
		return err
	}
	sequence, _, err := receive(conn)
	if err != nil {
		return err
	}
	if err := send(conn, sequence+1, ok); err != nil {
		return err
	}
	for {
		if _, _, err := receive(conn); err != nil {
			return err
		}
		if err := send(conn, 1, "\xfb"+g.file); err != nil {
			return err
		}
		g.mu.Lock()
		g.asked++
		g.mu.Unlock()
		// The file comes in packets, of which the last one is empty.
		for {
			sequence, payload, err := receive(conn)
			if err != nil {
				return err
			}
			g.mu.Lock()
			g.got = append(g.got, payload...)
			g.mu.Unlock()
			if len(payload) > 0 {
				continue
			}
			if err := send(conn, sequence+1, ok); err != nil {
				return err
			}
			break
		}
	}
}

// AU-04: a server that asks for a file of the autoscaler's gets none.
func TestServerGetsNoFile(t *testing.T) {
	for _, file := range []string{"/etc/passwd", "./main_test.go", "Reader::x"} {
		server := &greedy{file: file}
		source := open(t, kit().Bench(t), at(scalertest.MustServe(t, server.serve))+query("select 1"), sqltest.WithPassword())
		_, err := source.Read(scalertest.Within(t))
		if err == nil || strings.Contains(err.Error(), "root:") {
			t.Errorf("%s: got %v", file, err)
		}
		server.mu.Lock()
		if server.asked == 0 {
			t.Errorf("%s: the server never came to ask; the test proves nothing: %v", file, err)
		}
		if len(server.got) > 0 {
			t.Errorf("%s: the server got %q", file, server.got)
		}
		server.mu.Unlock()
	}
}
