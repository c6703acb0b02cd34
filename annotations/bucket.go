package annotations

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Buckets is the fixed number of shards. Every workload belongs to one by the hash of its identity, so changing the number moves most of them.
const Buckets = 16

// BucketOf returns the value of the label Bucket for an object: two digits.
func BucketOf(group, kind, namespace, name string) string {
	h := fnv.New32a()
	// Writing to a hash cannot fail.
	_, _ = h.Write([]byte(group + "/" + kind + "/" + namespace + "/" + name))
	return BucketName(int(h.Sum32() % Buckets))
}

// BucketName is the label's value for a bucket's number, 0 to Buckets-1.
func BucketName(number int) string { return fmt.Sprintf("%02d", number) }

// BucketLabel is the value of the label Bucket for a bucket of an install with that class; the empty class is the usual one.
func BucketLabel(class, bucket string) string {
	if class == "" {
		return bucket
	}
	return class + "." + bucket
}

// OfClass says whether a value of the label Bucket is one of an install with that class.
func OfClass(label, class string) bool {
	prefix, _, classed := strings.Cut(label, ".")
	if class == "" {
		return !classed
	}
	return classed && prefix == class
}
