package release

import (
	"errors"

	"github.com/spf13/pflag"

	"autoscale.io/scaling/controller"
)

// Options say what is released, and how.
type Options struct {
	Kubeconfig, Context string
	// All releases in every namespace; Namespace in one. One of the two must be given.
	All       bool
	Namespace string
	// Objects are KIND/NAME in the Namespace. Defaults to all that are managed.
	Objects []string
	// Kinds are looked at, as RESOURCE.GROUP.
	Kinds []string
	// Class is that of the install. Defaults to none.
	Class string
	// Install is the namespace that the autoscaler runs in, where its leases are.
	Install string
	// DryRun says what would be done and writes nothing.
	DryRun bool
	// Restore puts back the counts from before adoption.
	Restore bool
	// Annotations removes those that people have written, too.
	Annotations bool
}

// DefaultOptions are those of the shipped manifests.
func DefaultOptions() Options {
	return Options{Kinds: controller.DefaultKinds(), Install: "autoscale-system"}
}

// AddFlags declares a flag for each option, with the present value as its default.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.All, "all", o.All, "release the workloads of every namespace")
	flags.StringVarP(&o.Namespace, "namespace", "n", o.Namespace, "release the workloads of one namespace, or those of it that are named as KIND/NAME")
	flags.BoolVar(&o.DryRun, "dry-run", o.DryRun, "say what would be done and write nothing")
	flags.BoolVar(&o.Restore, "restore", o.Restore, "put back the count from before the autoscaler, as on-removal: restore does for one workload. Otherwise each stays at its present count, and those at 0 are listed")
	flags.BoolVar(&o.Annotations, "annotations", o.Annotations, "remove all annotations of autoscale.io/, those that people have written too. Otherwise only the autoscaler's own go, and another install takes the workloads up again")
	flags.StringSliceVar(&o.Kinds, "kinds", o.Kinds, "kinds to look at, as RESOURCE.GROUP: the value of the autoscaler's own flag")
	flags.StringVar(&o.Class, "class", o.Class, "class of the install: the value of the autoscaler's own flag")
	flags.StringVar(&o.Install, "install-namespace", o.Install, "namespace that the autoscaler is installed in, to see whether it still runs")
	flags.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "kubeconfig to use; the usual places when empty")
	flags.StringVar(&o.Context, "context", o.Context, "context of the kubeconfig to use; the current one when empty")
}

func (o *Options) validate() error {
	switch {
	case o.All == (o.Namespace != ""):
		return errors.New("want either --all or --namespace")
	case o.All && len(o.Objects) > 0:
		return errors.New("--all takes no names; want --namespace with KIND/NAME")
	}
	return nil
}
