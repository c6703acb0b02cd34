package redisstreams

import "strings"

// slotOf is the hash slot of a key in a Redis Cluster: the CRC-16/XMODEM of the key, or of what stands between its first { and the next } if that is not empty,
// modulo 16384. Source: the Redis Cluster specification, "Key distribution model". The client library knows it too and keeps it to itself.
func slotOf(key string) int {
	const slots = 16384
	if _, rest, open := strings.Cut(key, "{"); open {
		if tag, _, closed := strings.Cut(rest, "}"); closed && tag != "" {
			key = tag
		}
	}
	var sum uint16
	for i := range len(key) {
		sum ^= uint16(key[i]) << 8
		for range 8 {
			const polynomial = 0x1021
			carry := sum&0x8000 != 0
			sum <<= 1
			if carry {
				sum ^= polynomial
			}
		}
	}
	return int(sum) % slots
}
