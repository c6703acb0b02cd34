// Package shards shares the buckets of the workloads among the replicas of the autoscaler, and keeps a replica that lost a bucket from writing for it.
//
// Every bucket is a coordination Lease, and so is every replica, which shows by its own that it lives. From these Leases each replica finds by itself which buckets
// it should hold: every bucket is wanted by exactly one live replica, and what they hold differs by one at most. A replica hands back what another should hold.
//
//	Leases ─ watch ─▶ view: who lives, who holds what ─▶ share: who should ─▶ one elector a bucket ─▶ Term ─▶ the work
//	                                                     own Lease ─▶ life: this replica lives ─────────┘
//
// A replica's own Lease is the only one that is renewed all the time: it stands for those of the buckets that the replica holds, as the Lease of a node does for its
// pods. A bucket may be taken when its holder has let its own Lease run out, and by then the holder has ended its terms.
//
// Time is that of this process alone: a Lease has expired when it has not been seen to change for as long as it lasts. No time that another machine wrote is ever
// compared.
//
// It owns the Leases, the electors, and the Term within which work may write. It knows nothing of what the work is.
package shards
