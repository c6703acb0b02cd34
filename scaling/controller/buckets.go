package controller

import (
	"context"

	"autoscale.io/annotations"
	"autoscale.io/scaling/shards"
)

// bucketLabel is the value of the bucket label for a bucket of this install.
func (c *Controller) bucketLabel(bucket string) string {
	return annotations.BucketLabel(c.Class, bucket)
}

// shareBuckets takes part in the sharing of the buckets until ctx ends, then hands back what it holds.
func (c *Controller) shareBuckets(ctx context.Context) error {
	select {
	case <-c.ready: // there is a queue to put workloads into
	case <-ctx.Done():
		return nil
	}
	var names []string
	for number := range annotations.Buckets {
		names = append(names, annotations.BucketName(number))
	}
	return shards.New(shards.Options{
		Log: c.Log, Kube: c.Kube, Namespace: c.Namespace, Identity: c.Identity, Class: c.Class, Buckets: names, Times: c.Lease,
		Work: c.runBucket, Observe: c.Metrics.Share,
	}).Run(ctx)
}

// runBucket works on one bucket while it is held. It ends before the bucket is handed back.
func (c *Controller) runBucket(ctx context.Context, bucket string) {
	label := c.bucketLabel(bucket)
	c.mu.Lock()
	c.owned[label] = ctx
	c.mu.Unlock()
	c.askForSweep()
	c.watchBucket(ctx, label)
	c.mu.Lock()
	delete(c.owned, label)
	delete(c.children, label) // whose watches end with the term; the next one lists anew
	c.mu.Unlock()
	c.forgetBucket(label)
}
