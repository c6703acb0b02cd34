package controller

import (
	"autoscale.io/scaling/decisions"
	"autoscale.io/scaling/rivals"
)

// rivalOf names another controller that sets the count of a workload; it is empty for none. A dry run sets no count, so there nobody is a rival: it may
// run beside an HPA, to compare.
func (c *Controller) rivalOf(key decisions.Key, w *workload) string {
	if w.decoded.Workload.DryRun {
		return ""
	}
	if name := c.Rivals.Of(rivals.Target{Group: w.kind.Group, Kind: w.kind.Kind, Namespace: key.Namespace, Name: key.Name}); name != "" {
		return name
	}
	return w.duel.rival(c.Now())
}

// RivalChanged queues a workload that something else began or ceased to scale, if it is one of ours.
func (c *Controller) RivalChanged(target rivals.Target) {
	select {
	case <-c.ready:
	default:
		return // not running yet; the first reconcile asks anyway
	}
	for _, kind := range c.managed() {
		if kind.Kind != target.Kind || kind.Group != target.Group {
			continue
		}
		key := decisions.Key{Resource: kind.Resource, Namespace: target.Namespace, Name: target.Name}
		c.mu.Lock()
		tracked := c.tracked[key] != nil
		c.mu.Unlock()
		if tracked {
			c.queue.Add(key)
		}
	}
}
