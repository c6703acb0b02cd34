// Package decide turns the readings of a workload's triggers into a replica count.
//
// It owns the whole of the arithmetic and every rule between a reading and a count: what one trigger asks for, the
// maximum over several, tolerance, stabilization windows, scaling policies, bounds, activation, the cooldown before zero,
// pauses, and the reason and the sentence that explain the answer. One function does it:
//
//	decision, state = decide.Step(now, input, state)
//
// Input is what the world is like now, State is what must be remembered from earlier Steps, Decision is the answer. The
// zero State is a new one: it starts as though the present count had just been recommended and as though work had just
// been seen, so that forgetting never lowers a count.
//
// A template of Jobs has no count to follow: [Spawn] decides how many Jobs to start beside those that run, from the same Input and without a State.
//
// It refuses to know where readings come from, how a count is written, what an annotation or a Kubernetes object is, and
// what time it is. It reads no clock, holds no lock, starts no goroutine, logs nothing, imports only the standard library
// and a Step allocates nothing once its State has warmed up. What it cannot be told it cannot get wrong; that is why it is the part
// that is fuzzed.
//
// The arithmetic is that of the HorizontalPodAutoscaler v2. The differences are deliberate:
//
//   - Proposals of event triggers are absolute counts and are reached in one step unless Behavior.EventRamp is set. The
//     policies of Behavior.ScaleUp then apply to cpu and memory only.
//   - A count above the maximum is lowered by the scale-down policies, where the HPA lowers it at once. A count below the floor
//     is raised at once as in the HPA, but may go further up in the same Step. The recommendation is remembered in both cases.
//   - Pods that have finished count for nothing in cpu and memory, as deleted and failed ones do; the HPA takes them for pods without a
//     measurement.
//   - The count does not fall while a rollout is in progress, nor rise while a guard is at its limit; a fallback votes for a trigger
//     that cannot be read. The HPA has none of these.
//   - A target finer than a thousandth is not rounded up to a thousandth.
//   - When triggers have been UNKNOWN, or a person's zero has lasted, for longer than the scale-down window, it starts full
//     again, with the present count. The HPA would act on the first reading.
//   - Recommendations are remembered for an hour and changes for half an hour, the longest window and period there are. The
//     HPA may forget those that only the other direction, or a later edit, asks for.
//   - Sums saturate where the HPA's would wrap. What pods without a measurement are taken to use is rounded once, for all of them together.
package decide
