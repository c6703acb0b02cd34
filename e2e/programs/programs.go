// Package programs compiles the programs that the tests and the demo start: the control plane, cert-manager, and single
// programs of this tree. It shows how far a compilation is and how long it will take.
//
// The package owns the folder of built programs in the user's cache. It starts none of the programs and refuses to know
// what they do. It imports the standard library alone: whatever needs it compiles in seconds, so that a first run shows
// its progress from the beginning.
package programs

import (
	"context"
	"io"
	"path/filepath"
)

const (
	modulePath        = "autoscale.io/e2e"
	controlPlaneName  = "controlplane"
	kwokPackage       = "sigs.k8s.io/kwok/cmd/kwok"
	kubectlPackage    = "k8s.io/kubernetes/cmd/kubectl"
	kubernetesModule  = "k8s.io/kubernetes"
	certManagerName   = "certmanager"
	certManagerModule = "github.com/cert-manager/cert-manager"
)

// Set is a set of programs that is built together into one folder. Use [ControlPlane] or [CertManager].
type Set struct {
	what string
	// module is the folder of the sources below the module autoscale.io/e2e, a module of its own.
	module string
	// packages are those of the programs; the first is the module's own.
	packages []string
	// links are further names of the first program.
	links []string
	// versioned is the module whose version the programs report. Optional.
	versioned string
	// copies are folders to copy out of modules, by the name in the build.
	copies map[string]moduleFolder
}

type moduleFolder struct{ module, folder string }

// ControlPlane is etcd, kube-apiserver, kube-controller-manager, kube-scheduler, metrics-server, kwok and kubectl.
//
// The first five are one program. Of the 109 MB of sources, the scheduler alone needs 0.05 MB and metrics-server 2 MB,
// while a second program without them takes 20 seconds to link and 190 MB.
func ControlPlane() Set {
	return Set{
		what: "the Kubernetes control plane", module: controlPlaneName, packages: []string{".", kwokPackage, kubectlPackage},
		links:     []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "metrics-server"},
		versioned: kubernetesModule,
	}
}

// CertManager is the program certmanager and the folder crds with the definitions of its kinds.
func CertManager() Set {
	return Set{
		what: "cert-manager", module: certManagerName, packages: []string{"."},
		copies: map[string]moduleFolder{"crds": {certManagerModule, "deploy/crds"}},
	}
}

// Folder holds the programs of a set. That of the control plane can serve as KUBEBUILDER_ASSETS of controller-runtime's
// envtest.
type Folder struct {
	Dir string
}

// Path returns the path of a program by its name.
func (f Folder) Path(name string) string { return filepath.Join(f.Dir, name) }

// Options says where programs are built.
type Options struct {
	// Source is the folder of the set's module. Defaults to what the go command finds from the working directory, which
	// then has to lie inside the module autoscale.io/e2e.
	Source string
	// Cache is the folder for the built programs, 300 MB for each control plane and 70 MB for each cert-manager.
	// Defaults to autoscale.io in the user's cache folder. Builds that nobody used for 14 days are removed from it.
	Cache string
	// Progress shows how far the build is. Defaults to standard error.
	Progress io.Writer
}

// Build returns the programs and compiles them if the cache does not hold them. Processes that build at the same time
// wait for each other. A build that fails or is cancelled leaves nothing behind.
func (s Set) Build(ctx context.Context, options Options) (Folder, error) {
	b, err := s.builder(ctx, options)
	if err != nil {
		return Folder{}, err
	}
	if err := b.ensure(ctx); err != nil {
		return Folder{}, err
	}
	return Folder{Dir: b.target}, nil
}

// Built tells whether the cache holds the programs, so that Build returns at once.
func (s Set) Built(ctx context.Context, options Options) (bool, error) {
	b, err := s.builder(ctx, options)
	return err == nil && b.cached(), err
}
