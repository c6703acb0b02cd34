package controller

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"autoscale.io/annotations"
)

// LeaseTimes are those of client-go's leader election.
type LeaseTimes struct {
	// Duration is how long a bucket stays without a writer when its holder dies.
	Duration time.Duration
	// RenewDeadline is when a holder that cannot renew stops writing; less than Duration.
	RenewDeadline time.Duration
	// RetryPeriod is the time between two renewals.
	RetryPeriod time.Duration
}

// DefaultLease hands a dead holder's buckets over within 15 seconds.
func DefaultLease() LeaseTimes {
	return LeaseTimes{Duration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 4 * time.Second}
}

// bucketLabel is the value of the bucket label for a bucket of this install.
func (c *Controller) bucketLabel(bucket string) string {
	return annotations.BucketLabel(c.Class, bucket)
}

// leadBuckets stands for election in every bucket until ctx ends, then hands back what it holds.
func (c *Controller) leadBuckets(ctx context.Context) {
	select {
	case <-c.ready: // there is a queue to put workloads into
	case <-ctx.Done():
		return
	}
	var electors sync.WaitGroup
	for number := range annotations.Buckets {
		electors.Go(func() { c.leadBucket(ctx, annotations.BucketName(number)) })
	}
	electors.Wait()
}

func (c *Controller) leadBucket(ctx context.Context, bucket string) {
	name := "autoscaler-bucket-" + bucket
	if c.Class != "" {
		name += "-" + c.Class
	}
	for ctx.Err() == nil {
		// Each term waits for the work of the one before, so that two terms of one bucket never overlap in a process.
		var term sync.WaitGroup
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Namespace: c.Namespace, Name: name},
				Client:     c.Kube.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: c.Identity},
			},
			LeaseDuration: c.Lease.Duration, RenewDeadline: c.Lease.RenewDeadline, RetryPeriod: c.Lease.RetryPeriod,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(ctx context.Context) {
					term.Add(1)
					defer term.Done()
					c.runBucket(ctx, bucket)
				},
				OnStoppedLeading: func() {},
			},
		})
		if err != nil {
			c.Log.Error(err, "the times of the lease do not fit together", "lease", name)
			return
		}
		elector.Run(ctx)
		term.Wait()
	}
}

// runBucket works on one bucket while it is led.
func (c *Controller) runBucket(ctx context.Context, bucket string) {
	label := c.bucketLabel(bucket)
	c.mu.Lock()
	c.owned[label] = ctx
	c.mu.Unlock()
	select {
	case c.sweepSoon <- struct{}{}:
	default:
	}
	c.watchBucket(ctx, label)
	c.mu.Lock()
	delete(c.owned, label)
	delete(c.children, label) // the next term lists anew
	c.mu.Unlock()
	c.forgetBucket(label)
}
