package scalers

// Env is what every scaler shares. Its zero value is not usable; each field must be set.
type Env struct {
	// Dial opens every connection of every scaler.
	Dial DialContext
	// Usage measures the pods of workloads.
	Usage Usage
}
