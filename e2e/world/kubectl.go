package world

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"

	"autoscale.io/annotations"
	"autoscale.io/e2e/tree"
)

// ClientSideApply runs the real kubectl.
func (w *World) ClientSideApply(d *appsv1.Deployment) error {
	_, err := w.Kubectl(d, "apply", "-f")
	return err
}

// Kubectl runs the real kubectl on a manifest, which is the last argument.
func (w *World) Kubectl(manifest any, args ...string) (string, error) {
	data, err := yaml.Marshal(manifest)
	if err != nil {
		return "", err
	}
	path := filepath.Join(w.T.TempDir(), "manifest.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", err
	}
	return w.KubectlArgs(append(args, path)...)
}

// KubectlArgs runs the real kubectl. A replace reads the object and then writes it whole, so any status that a controller writes in between is a
// conflict that kubectl hands to the person, who runs it again.
func (w *World) KubectlArgs(args ...string) (string, error) {
	var out []byte
	err := retry.OnError(retry.DefaultRetry, hasConflict, func() (err error) {
		command := exec.CommandContext(w.T.Context(), w.kubectl, append([]string{"--kubeconfig", w.Cluster.Kubeconfig(), "-n", w.Namespace}, args...)...)
		if out, err = command.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	})
	return string(out), err
}

func hasConflict(err error) bool {
	return strings.Contains(err.Error(), "Error from server (Conflict)")
}

// AtSix is a Deployment that was applied with 2 replicas, scaled to 6 and reported on.
func (w *World) AtSix(name string) *appsv1.Deployment {
	w.T.Helper()
	stream := w.Stream(name)
	w.Group(w.Redis.Client(), stream, "0")
	w.Add(w.Redis.Client(), stream, 28)
	settings := Quick(Settings{"min-replicas": "1", "trigger.orders": w.Trigger(stream, Group)})
	d := w.Deployment(name, 2, settings)
	if err := w.ClientSideApply(d); err != nil {
		w.T.Fatal(err)
	}
	w.AwaitReplicas(name, 6, Soon)
	w.AwaitStatus(name)
	return d
}

// AwaitStatus waits until a Deployment has been reported on.
func (w *World) AwaitStatus(name string) {
	w.T.Helper()
	w.Await("the status of "+name+" is written", Soon, func(context.Context) error {
		if w.Get(name).Annotations[annotations.StatusKey] == "" {
			return fmt.Errorf("it is not there yet")
		}
		return nil
	})
}

// Dynamic is a client for any kind, which says nothing of warnings.
func (w *World) Dynamic() dynamic.Interface {
	w.T.Helper()
	config := rest.CopyConfig(w.Cluster.Config())
	config.WarningHandler = rest.NoWarnings{}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		w.T.Fatal(err)
	}
	return client
}

// Define installs the definition of a kind and waits until it is served.
func (w *World) Define(definition string, objects dynamic.ResourceInterface) {
	w.T.Helper()
	if err := w.Cluster.Apply(w.T.Context(), []byte(definition)); err != nil {
		w.T.Fatal(err)
	}
	w.Await("the new kind is served", Soon, func(ctx context.Context) error {
		_, err := objects.List(ctx, metav1.ListOptions{})
		return err
	})
}

// ApplyManifest applies one file of the install, by its path below manifests.
func (w *World) ApplyManifest(ctx context.Context, path ...string) error {
	root, err := tree.Root(ctx)
	if err != nil {
		return err
	}
	manifest, err := os.ReadFile(filepath.Join(append([]string{root, "manifests"}, path...)...))
	if err != nil {
		return err
	}
	return w.Cluster.Apply(ctx, manifest)
}
