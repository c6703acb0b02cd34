package install

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// Release is the name under which the chart is installed.
const Release = "autoscaler"

// OldestKubernetes is what the install needs, and what the chart is rendered for.
const OldestKubernetes = "v1.30.0"

// patience bounds one action of Helm.
const patience = time.Minute

// Chart is the shipped chart, as one namespace of one cluster gets it.
type Chart struct {
	chart     *chart.Chart
	namespace string
	actions   *action.Configuration
}

// Load reads the chart in the folder dir. It is rendered for, or installed in, that namespace.
func Load(dir, namespace string) (*Chart, error) {
	loaded, err := loader.Load(dir)
	if err != nil {
		return nil, fmt.Errorf("read the chart in %s: %w", dir, err)
	}
	return &Chart{
		chart: loaded, namespace: namespace,
		actions: action.NewConfiguration(action.ConfigurationSetLogger(slog.NewTextHandler(io.Discard, nil))),
	}, nil
}

// Connect lets the chart be installed in the cluster of a kubeconfig.
func (c *Chart) Connect(kubeconfig string) error {
	access := genericclioptions.NewConfigFlags(false)
	access.KubeConfig, access.Namespace = &kubeconfig, &c.namespace
	return c.actions.Init(access, c.namespace, "secret")
}

// Template is helm template: the objects as YAML, and the notes. It needs no cluster.
func (c *Chart) Template(ctx context.Context, values map[string]any) (objects, notes string, err error) {
	install := action.NewInstall(action.NewConfiguration(action.ConfigurationSetLogger(slog.NewTextHandler(io.Discard, nil))))
	install.ReleaseName, install.Namespace, install.DryRunStrategy = Release, c.namespace, action.DryRunClient
	oldest, err := common.ParseKubeVersion(OldestKubernetes)
	if err != nil {
		return "", "", err
	}
	install.KubeVersion = oldest
	done, err := install.RunWithContext(ctx, c.chart, values)
	if err != nil {
		return "", "", fmt.Errorf("render the chart: %w", err)
	}
	rendered := done.(*release.Release)
	return rendered.Manifest, rendered.Info.Notes, nil
}

// Install is helm install --create-namespace --wait.
func (c *Chart) Install(ctx context.Context, values map[string]any) error {
	install := action.NewInstall(c.actions)
	install.ReleaseName, install.Namespace, install.CreateNamespace = Release, c.namespace, true
	install.ServerSideApply, install.WaitStrategy, install.Timeout = true, kube.StatusWatcherStrategy, patience
	_, err := install.RunWithContext(ctx, c.chart, values)
	return err
}

// Upgrade is helm upgrade --wait; reuse adds --reuse-values.
func (c *Chart) Upgrade(ctx context.Context, values map[string]any, reuse bool) error {
	upgrade := action.NewUpgrade(c.actions)
	upgrade.Namespace, upgrade.ReuseValues, upgrade.ServerSideApply = c.namespace, reuse, "auto"
	upgrade.WaitStrategy, upgrade.Timeout = kube.StatusWatcherStrategy, patience
	_, err := upgrade.RunWithContext(ctx, Release, c.chart, values)
	return err
}

// Uninstall is helm uninstall --wait.
func (c *Chart) Uninstall() error {
	uninstall := action.NewUninstall(c.actions)
	uninstall.WaitStrategy, uninstall.Timeout = kube.StatusWatcherStrategy, patience
	_, err := uninstall.Run(Release)
	return err
}
