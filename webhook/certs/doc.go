// Package certs keeps the webhook's serving certificate, and the bundle by which the API servers trust it.
//
// It owns where certificates come from (made here and kept in a Secret, or issued by cert-manager), the steps from one certificate or source to the next, and
// what the webhook configuration trusts. The steps are pure functions, advance and rollover, so that each order of events can be tested without a cluster: no
// request is lost on the way.
//
// It knows nothing of admission, and serves nothing itself: a server asks GetCertificate.
package certs
