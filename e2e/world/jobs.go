package world

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"autoscale.io/e2e/product"
)

// Spawning are settings of a template: one read a second, one Job a message.
func (w *World) Spawning(stream string, more Settings) Settings {
	settings := Settings{"job-mode": "spawn", "max-replicas": "50", "polling-interval": product.TestInterval, "trigger.orders": w.OneEach(stream)}
	for key, value := range more {
		settings[key] = value
	}
	return settings
}

// OneEach is a redis-streams trigger on the shared Redis with a target of 1.
func (w *World) OneEach(stream string) string {
	return fmt.Sprintf("{type: redis-streams, address: %q, stream: %q, consumerGroup: workers, target: 1}", w.Redis.Addr(), stream)
}

// ForHours is longer than any case; a pod of a Job then ends when the case says so.
const ForHours = "10h"

// Job is a manifest as a user would write it: 50 completions, of which a pod each takes hours.
func (w *World) Job(name string, parallelism int32, settings Settings) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace, Annotations: w.annotations(settings)},
		Spec: batchv1.JobSpec{
			Parallelism: &parallelism, Completions: ptr.To[int32](50),
			Template: corev1.PodTemplateSpec{
				// A container takes a second to start, as it does on a node that has the image.
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"pod-ready.stage.kwok.x-k8s.io/delay": "1s", "pod-complete.stage.kwok.x-k8s.io/delay": ForHours}},
				Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "worker", Image: "worker"}}},
			},
		},
	}
}

// CreateJob creates a Job as it is.
func (w *World) CreateJob(job *batchv1.Job) {
	w.T.Helper()
	if _, err := w.Kube.BatchV1().Jobs(w.Namespace).Create(w.T.Context(), job, metav1.CreateOptions{}); err != nil {
		w.T.Fatalf("create Job %s: %v", job.Name, err)
	}
}
