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
	// Template, TemplateBucket and TemplateHash are labels of the Jobs that were made of a template, and of their pods: its name, shortened if it is no
	// label's value; the value of its label Bucket; and a hash of what they were made of.
	Template       = Prefix + "template"
	TemplateBucket = Prefix + "template-bucket"
	TemplateHash   = Prefix + "template-hash"
	// StatusKey holds the conditions, written only when one changes.
	StatusKey = Prefix + "status"
)

const (
	triggerPrefix  = "trigger."
	guardPrefix    = "guard."
	schedulePrefix = "schedule."
	fallbackKey    = "fallback"
	formulaKey     = "formula"
	strategyKey    = "job-strategy"
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
