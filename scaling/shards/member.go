package shards

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leaveTimeout bounds the deletion of a Lease.
const leaveTimeout = 2 * time.Second

// buryAfter is for how many times its duration the Lease of a replica that died is kept.
const buryAfter = 4

// memberLease is the name of a replica's own Lease. Identities may hold what names may not, so it is made of a hash; the Lease shows the identity as its holder.
func (s *Shards) memberLease(identity string) string {
	sum := sha256.Sum256([]byte(s.Class + "/" + identity))
	const enough = 6 // bytes, for a few replicas
	return "autoscaler-replica-" + hex.EncodeToString(sum[:enough])
}

// join shows the other replicas that this one lives, until ctx ends; then it takes its Lease away, so that they need not wait.
func (s *Shards) join(ctx context.Context) {
	name := s.memberLease(s.Identity)
	for ctx.Err() == nil {
		own := s.lock(name)
		own.renewed = s.life.renew
		elector, err := s.elector(own, false, func() {})
		if err != nil {
			s.Log.Error(err, "the times of the lease do not fit together", "lease", name)
			return
		}
		elector.Run(ctx)
	}
	s.remove(context.WithoutCancel(ctx), name, metav1.DeleteOptions{})
}

func (s *Shards) remove(ctx context.Context, name string, options metav1.DeleteOptions) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	err := s.Kube.CoordinationV1().Leases(s.Namespace).Delete(ctx, name, options)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		s.Log.Info("cannot delete the Lease of a replica that is gone; another replica will", "lease", name, "error", err.Error())
	}
}

// bury deletes the Leases of replicas that died long ago, at the version that was seen to stand still.
func (s *Shards) bury(ctx context.Context, dead map[string]string) {
	for name, version := range dead {
		s.Log.Info("deleting the Lease of a replica that is gone", "lease", name)
		s.remove(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &version}})
	}
}
