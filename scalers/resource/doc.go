// Package resource reads how much cpu or memory the pods of a workload use.
//
// It owns the rules of the HorizontalPodAutoscaler about which pods count: which are left out, which are too young to be believed, which run without a measurement, and
// what they request. A request that is missing and a measurement that is too old are never taken for 0.
//
// It knows no client and no API: pods and their samples come from [scalers.Usage]. What a usage means for the number of replicas is not its business either.
package resource
