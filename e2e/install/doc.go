// Package install proves that the shipped install works: that kustomize and Helm yield the same objects, that a real API server takes each of them, what
// upgrades and removals leave behind, and that the alert rules fire.
//
// It owns the reading of the chart. It knows nothing of how workloads are scaled; package cases does.
package install
