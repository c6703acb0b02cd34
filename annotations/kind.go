package annotations

import (
	"autoscale.io/annotations/schema"
)

// On adds the faults that the annotations have on an object of a kind: how Jobs are scaled is said on Jobs only, and a CronJob has no count of its own.
func (r Result) On(group, kind string) Result {
	const key = Prefix + "job-mode"
	mode := r.Workload.JobMode
	switch {
	case group == "batch" && kind == "Job":
	case group == "batch" && kind == "CronJob":
		switch mode {
		case "":
			r.Faults = append(r.Faults, Fault{key, schema.Problem{Text: `missing; want "spawn" on a CronJob, which has no parallelism of its own`}})
		case JobResize:
			r.Faults = append(r.Faults, Fault{key, schema.Problem{Text: `got "resize", want "spawn" on a CronJob, which has no parallelism of its own`}})
		}
	case mode != "":
		r.Faults = append(r.Faults, Fault{key, schema.Problem{Text: "is for Jobs and CronJobs, not for the kind " + kind}})
	}
	r.Faults = r.Faults.sorted()
	return r
}
