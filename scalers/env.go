package scalers

import "autoscale.io/scalers/egress"

// Env is what every scaler shares.
type Env struct {
	// Dial opens every connection of every scaler. Defaults to the dialer that refuses what package egress refuses by itself.
	Dial DialContext
	// Usage measures the pods of workloads. The scalers that need it cannot be opened without.
	Usage Usage
}

// Dialer is how a scaler opens a connection, never nil.
func (e Env) Dialer() DialContext {
	if e.Dial == nil {
		return new(egress.Dialer).DialContext
	}
	return e.Dial
}
