// Package clustertest lets Go tests use clusters: it ties lives to testing.TB and turns errors into failures. It owns no
// process and knows no part; package cluster does.
package clustertest

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"autoscale.io/e2e/cluster"
)

// Main runs the tests of a package on one shared cluster, for its TestMain; use receives the cluster first:
//
//	var shared *cluster.Cluster
//
//	func TestMain(m *testing.M) {
//		os.Exit(clustertest.Main(m, cluster.Options{}, func(c *cluster.Cluster) { shared = c }))
//	}
func Main(m *testing.M, options cluster.Options, use func(*cluster.Cluster)) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	c, err := cluster.Start(ctx, options)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := c.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the cluster:", err)
			code = 1
		}
	}()
	use(c)
	return m.Run()
}

// Start starts a cluster that ends with the test.
func Start(t testing.TB, options cluster.Options) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("stopping the cluster: %v", err)
		}
	})
	return c
}

// Namespace returns a namespace of the test's own, deleted when the test ends.
func Namespace(t testing.TB, c *cluster.Cluster, prefix string) string {
	t.Helper()
	name, err := c.Namespace(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.DeleteNamespace(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	return name
}

// Process starts a process that ends with the test. The end of its log is shown if the test has failed.
func Process(t testing.TB, command cluster.Command) *cluster.Process {
	t.Helper()
	p := cluster.NewProcess(command)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the log of %s ends:\n%s", p.Name(), p.LogTail())
		}
	})
	return p
}
