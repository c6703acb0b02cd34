package annotations

import (
	"slices"
	"testing"
)

func TestFaultsOfKinds(t *testing.T) {
	tests := []struct {
		group, kind, mode string
		want              []string
	}{
		{"apps", "Deployment", "", nil},
		{"batch", "Job", "", nil},
		{"batch", "Job", "resize", nil},
		{"batch", "Job", "spawn", nil},
		{"batch", "CronJob", "spawn", nil},
		{"apps", "Deployment", "spawn", []string{"autoscale.io/job-mode: is for Jobs and CronJobs, not for the kind Deployment"}},
		{"example.com", "Job", "resize", []string{"autoscale.io/job-mode: is for Jobs and CronJobs, not for the kind Job"}},
		{"batch", "CronJob", "", []string{`autoscale.io/job-mode: missing; want "spawn" on a CronJob, which has no parallelism of its own`}},
		{"batch", "CronJob", "resize", []string{`autoscale.io/job-mode: got "resize", want "spawn" on a CronJob, which has no parallelism of its own`}},
	}
	for _, tt := range tests {
		t.Run(tt.group+" "+tt.kind+" "+tt.mode, func(t *testing.T) {
			var r Result
			r.Workload.JobMode = tt.mode
			if got := r.On(tt.group, tt.kind).Faults.Texts(); !slices.Equal(got, tt.want) {
				t.Errorf("faults: got %q, want %q", got, tt.want)
			}
		})
	}
}
