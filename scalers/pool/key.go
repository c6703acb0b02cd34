package pool

import (
	"crypto/sha256"
	"encoding/binary"
)

// Key hashes the parts that identify a connection: address, user, password, certificates, database. Hashing keeps secrets out of keys, and writing each part
// with its length keeps ("ab", "c") apart from ("a", "bc").
func Key(parts ...string) [sha256.Size]byte {
	h := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		// Writing to a hash cannot fail.
		_, _ = h.Write(length[:])
		_, _ = h.Write([]byte(part))
	}
	return [sha256.Size]byte(h.Sum(nil))
}
