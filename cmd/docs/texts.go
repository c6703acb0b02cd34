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

const triggersIntro = "\n## Triggers\n\n" +
	"`autoscale.io/trigger.<name>` holds one YAML mapping, in block or flow style; JSON is YAML. The name is a DNS label and labels metrics and reports. " +
	"Anchors, aliases and merge keys are not supported. With several triggers the largest proposal wins.\n\n" +
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
