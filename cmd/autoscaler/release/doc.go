// Package release ends the management of workloads when the autoscaler is about to be uninstalled.
//
// It owns what is left behind: labels, annotations and the count of each workload, and the list of those that nothing wakes any more. It never looks at a trigger,
// and it runs with the rights of the person who calls it, not with those of the autoscaler.
package release
