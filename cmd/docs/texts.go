package main

// The texts around the tables. What a tag can say is said there.

const annotationsIntro = "# Annotations\n\n" +
	"All keys begin with `autoscale.io/`. They stand on a Deployment, a StatefulSet or any other object with a scale subresource, and need nothing else: " +
	"`max-replicas` and one trigger make it managed.\n\n" +
	"```yaml\n" +
	"metadata:\n" +
	"  annotations:\n" +
	"    autoscale.io/min-replicas: \"0\"\n" +
	"    autoscale.io/max-replicas: \"50\"\n" +
	"    autoscale.io/trigger.orders: |\n" +
	"      type: redis-streams\n" +
	"      address: redis:6379\n" +
	"      stream: orders\n" +
	"      consumerGroup: workers\n" +
	"      target: 10\n" +
	"```\n\n" +
	"Reading is strict. An unknown key or parameter, a value out of its bounds, and a key given twice are faults; all faults are reported at once, each with " +
	"the key, what was given and what was wanted. Empty, zero and absent are three things: an empty value is a fault, zero is zero, and only " +
	"what is absent has its default.\n\n" +
	"## Settings\n\n"

// mappingIntros go before the tables of annotations that hold a mapping.
func mappingIntros() map[string]string {
	return map[string]string{
		"autoscale.io/fallback": "What a trigger asks for once it could not be read several times in a row. It is that trigger's vote; the highest vote wins as ever. KEDA's `failureThreshold` is read as `after`.\n\n" +
			"```yaml\nautoscale.io/fallback: \"{after: 3, replicas: 6}\"\n```\n",
		"autoscale.io/formula": "One number made of all event triggers, which then has a target in place of theirs. KEDA's `formula` and `activationTarget` are read as `expression` and `activation`.\n\n" +
			"```yaml\nautoscale.io/formula: \"{expression: 'orders + 2 * (payments ?? 0)', target: 10}\"\n```\n\n" +
			"The quotes are needed, since YAML gives `?` a meaning. A trigger that cannot be read is `nil`. An expression that needs it then gives no number, and the result is UNKNOWN; one that has something in its place, as `?? 0`, goes on, " +
			"but is no proof that there is no work: the last step to zero waits until every trigger can be read.\n",
		"autoscale.io/schedule.<name>": "Other bounds inside a window of time.\n\n" +
			"```yaml\nautoscale.io/schedule.office: \"{start: 0 8 * * 1-5, end: 0 20 * * 1-5, timezone: Europe/Berlin, min: 5, max: 20}\"\n```\n\n" +
			"Where several windows are open, the largest min and the largest max count, so that none gets less than it asks for. An end beats a start at the same time.\n",
		"autoscale.io/job-strategy": "How many Jobs a value asks for with `job-mode: spawn`; [spawning Jobs](spawning-jobs.md) has the formulas. A word such as `accurate`, or a mapping:\n\n" +
			"```yaml\nautoscale.io/job-strategy: \"{strategy: custom, queueLengthDeduction: 1, runningJobPercentage: 0.5}\"\n```\n\n" +
			"KEDA's `customScalingQueueLengthDeduction` and `customScalingRunningJobPercentage` are read, too.\n",
	}
}

const guardText = "\n### `autoscale.io/guard.<name>`\n\n" +
	"A trigger that holds back in place of asking: while its value is at `limit` or above, replicas do not rise. It has the parameters of a trigger but `target`, `activation` and " +
	"`metricType`.\n\n" +
	"```yaml\nautoscale.io/guard.failures: \"{type: redis-streams, address: redis:6379, stream: failures, limit: 100}\"\n```\n\n" +
	"A guard that cannot be read may be at its limit, so it holds back too, and says so. `min-replicas` of a workload that never rests is reached all the same, and so is the number of a `pause`.\n"

const triggersIntro = "\n## Triggers\n\n" +
	"`autoscale.io/trigger.<name>` holds one YAML mapping, in block or flow style; JSON is YAML. The name is a DNS label and labels metrics and reports. " +
	"Anchors, aliases and merge keys are not supported. With several triggers the largest proposal wins.\n\n" +
	"A trigger on cpu or memory can be as short as its target: `autoscale.io/cpu: 70%` or `autoscale.io/memory: 400Mi`. It has the name of the resource then.\n\n" +
	"The sources, by `type`:\n\n"

const referencesText = "\n### Values that are kept elsewhere\n\n" +
	"Any parameter `p` of a trigger but `type` can be given by reference instead of directly:\n\n" +
	"| form | the value is |\n|---|---|\n" +
	"| `pFrom: {secret: NAME, key: KEY}` | that key of a Secret in the workload's namespace |\n" +
	"| `pFrom: {configMap: NAME, key: KEY}` | that key of a ConfigMap in the workload's namespace |\n" +
	"| `pFromEnv: VARIABLE` | that variable of the workload's own container, whether from `env`, `envFrom`, a Secret or a ConfigMap |\n\n" +
	"For a nested parameter the form stands where the parameter would: `tls: {caFrom: {secret: redis, key: ca.crt}}`. " +
	"A reference that cannot be resolved makes the trigger UNKNOWN, never empty.\n"

const tlsText = "\n### TLS\n\n" +
	"Every source that can be secured takes the same block. Certificates and keys are PEM text, never paths:\n\n" +
	"```yaml\n" +
	"tls:\n" +
	"  caFrom: {secret: redis-tls, key: ca.crt}\n" +
	"  certFrom: {secret: redis-tls, key: tls.crt}\n" +
	"  keyFrom: {secret: redis-tls, key: tls.key}\n" +
	"```\n\n"

const ownText = "\n## What the autoscaler writes itself\n\n" +
	"| | |\n|---|---|\n" +
	"| label `%s` | The object is managed; the value is its shard. |\n" +
	"| annotation `%s` | What must be known after a restart: the count from before adoption, when it was adopted, whether a zero is the autoscaler's. Bound to the object's UID; a copy is not believed. |\n" +
	"| annotation `%s` | Conditions, written when one changes. |\n"
