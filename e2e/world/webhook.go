package world

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"context"
	"fmt"

	"autoscale.io/annotations"
)

// AwaitWebhook waits until the API server calls the webhook, or does not.
func (w *World) AwaitWebhook(called bool) {
	w.T.Helper()
	probe := w.Deployment("probe", 1, Quick(Settings{"trigger.orders": w.Trigger(w.Stream("probe"), "")}))
	w.Await(fmt.Sprintf("the webhook is called: %t", called), Soon, func(ctx context.Context) error {
		answer, err := w.Kube.AppsV1().Deployments(w.Namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		if labelled := answer.Labels[annotations.Bucket] != ""; labelled != called {
			return fmt.Errorf("labelled: %t", labelled)
		}
		return nil
	})
}
