// Package rights holds the shipped RBAC to the audit log of a real API server: a tour makes the autoscaler use everything that it has rights for, none of its requests is
// refused, and each right that is taken away is missed.
//
// It owns the reading of rules and of audit logs, and the tour. It knows no rule by heart: what the manifests grant is what it asks proof of, so that a grant that nobody
// needs fails the test.
package rights
