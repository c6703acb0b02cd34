package jobs

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/e2e/world"
)

// A pile of finished Jobs, the memory that it may cost at the peak, which is less than half of what its manifests take, and how many of it are not to be kept.
const (
	pile        = 10_000
	pileMemory  = 40 << 20
	pileSurplus = 500
)

func spawnHistoryGrows(t *testing.T, w *world.World) {
	s := newSpawns(w)
	stream := s.queue("s", 0)
	s.CreateJob(s.template("consumer", w.Spawning(stream, world.Settings{"min-replicas": "1", "successful-jobs-history-limit": "20000"})))
	s.awaitMade("consumer", 1)
	s.restart(t)
	before := s.peakMemory(t)
	made := s.children("consumer")[0]
	var group sync.WaitGroup
	const clients = 16
	for worker := range clients {
		group.Go(func() {
			for i := worker; i < pile; i += clients {
				if err := s.makeFinished(t.Context(), &made, fmt.Sprint("old-", i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	s.restart(t)
	after := s.peakMemory(t)
	t.Logf("%d finished Jobs: peak memory %d MiB without and %d MiB with them", pile, before>>20, after>>20)
	if after-before > pileMemory {
		t.Errorf("%d finished Jobs cost %d MiB, want at most %d", pile, (after-before)>>20, pileMemory>>20)
	}
	_, unfinished, _ := s.seen("consumer")
	if unfinished != 1 {
		t.Errorf("%d are unfinished, want the one of before", unfinished)
	}
	s.mustMerge("consumer", fmt.Sprintf(`{"metadata":{"annotations":{"autoscale.io/successful-jobs-history-limit":"%d"}}}`, pile-pileSurplus))
	w.Await("the surplus is deleted", time.Minute, func(context.Context) error {
		if n := len(s.children("consumer")); n != pile-pileSurplus+1 {
			return fmt.Errorf("there are %d Jobs", n)
		}
		return nil
	})
	s.awaitRunning("consumer", 1)
}

func (s *spawns) restart(t *testing.T) {
	t.Helper()
	s.Kill()
	s.Restart()
	s.AwaitDecisions("consumer", 3)
}

// peakMemory is the most memory that the autoscaler has had since its start.
func (s *spawns) peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Scaler.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("read the peak of the memory: %v", err)
	}
	return kib << 10
}

// makeFinished makes a Job as the template's, which has succeeded.
func (s *spawns) makeFinished(ctx context.Context, like *batchv1.Job, name string) error {
	job := like.DeepCopy()
	job.ObjectMeta = metav1.ObjectMeta{Name: name, Labels: like.Labels, OwnerReferences: like.OwnerReferences}
	job.Spec.Selector, job.Spec.Template.Labels, job.Status = nil, nil, batchv1.JobStatus{}
	nobody := "example.com/nobody" // so that the Job controller makes no pod of it
	job.Spec.ManagedBy = &nobody
	if _, err := s.client.Create(ctx, job, metav1.CreateOptions{}); err != nil {
		return err
	}
	now := time.Now().UTC().Format(time.RFC3339)
	patch := fmt.Sprintf(`{"status":{"startTime":%q,"completionTime":%q,"succeeded":1,"conditions":[{"type":"SuccessCriteriaMet","status":"True"},{"type":"Complete","status":"True","lastTransitionTime":%q}]}}`, now, now, now)
	_, err := s.client.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	return err
}
