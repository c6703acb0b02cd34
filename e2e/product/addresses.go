package product

// MetricsAddress is where the replica serves /metrics.
func (a *Autoscaler) MetricsAddress() string { return a.metrics.String() }

// HealthAddress is where the replica serves /readyz and /healthz.
func (a *Autoscaler) HealthAddress() string { return a.health.String() }
