// Package schema turns text that people write into typed Go values, guided by struct tags, and reports everything that is wrong with it
// at once.
//
// One struct declares a set of parameters; the same tags serve the decoder, the documentation and the suggestions for a
// misspelt name:
//
//	type params struct {
//		Stream   string        `name:"stream" required:"true" doc:"Key of the stream."`
//		Measure  string        `name:"measure" enum:"backlog,lag" default:"backlog" doc:"What is counted."`
//		Password string        `name:"password" secret:"true" doc:"Password of the user."`
//		TLS      TLS           `name:"tls"`  // a nested mapping: tls.ca, tls.cert, …
//	}
//
// The tags: name (the path; a field without one is left alone), alias (other accepted names, comma separated; full paths), required, default, enum,
// min (≥), above (>), max (≤), secret (the value is never quoted) and doc. Values the tags cannot express implement Parser.
//
// Any parameter p may be given indirectly, as pFrom ({secret, key} or {configMap, key}) or pFromEnv (a variable of the workload's container); the
// package recognises these and hands them back as references.
//
// It owns names, types, bounds and the wording of faults. It knows nothing of Kubernetes objects or scalers, and resolves no reference.
package schema
