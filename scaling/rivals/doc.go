// Package rivals knows who else scales a workload: the HorizontalPodAutoscalers of the cluster and, while KEDA's API is served, its ScaledObjects, by
// what they scale.
//
// It owns those two watches and the index over them. An answer comes from memory at once, so that admission can ask as well as the loop. What it cannot
// look up, for want of rights or because it has only just begun, is nobody: it never stands in anybody's way. It knows no annotation, no decision and
// no workload, and writes nothing.
package rivals
