package annotations

import "strings"

// Prefix is what every annotation and label of the project starts with.
const Prefix = "autoscale.io/"

// Keys that the autoscaler itself writes; they configure nothing.
const (
	// Bucket is the label whose presence means managed and whose value is the shard, such as "07".
	Bucket = Prefix + "bucket"
	// StateKey holds a State.
	StateKey = Prefix + "state"
	// StatusKey holds the conditions, written only when one changes.
	StatusKey = Prefix + "status"
)

const (
	triggerPrefix  = "trigger."
	guardPrefix    = "guard."
	schedulePrefix = "schedule."
	fallbackKey    = "fallback"
	formulaKey     = "formula"
)

// Configured says whether any annotation asks for management: one under the prefix that the autoscaler does not write itself.
func Configured(annotations map[string]string) bool {
	for key := range annotations {
		if configures(key) {
			return true
		}
	}
	return false
}

func configures(key string) bool {
	return strings.HasPrefix(key, Prefix) && key != StateKey && key != StatusKey
}
