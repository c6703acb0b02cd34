package sqlquery

import (
	"context"
	"errors"
	"fmt"

	"autoscale.io/scalers"
	"autoscale.io/scalers/pool"
)

// Scaler reads one query of a shared database.
type Scaler struct {
	lease  *pool.Lease[*Database]
	query  string
	nullAs NullAs
}

var _ scalers.Scaler = (*Scaler)(nil)

// New makes a scaler, which takes over the lease.
func New(lease *pool.Lease[*Database], p *Params) *Scaler {
	return &Scaler{lease: lease, query: p.Query, nullAs: p.NullAs}
}

// Read implements scalers.Scaler.
func (s *Scaler) Read(ctx context.Context) (scalers.Reading, error) {
	found, err := s.lease.Value.read(ctx, s.query)
	switch {
	case err != nil:
		return scalers.Reading{}, err
	case found.null && s.nullAs.Unknown:
		return scalers.Reading{}, errors.New("the query answered NULL, which nullAs makes unknown; want a number, such as coalesce(sum(cost), 0)")
	case found.null:
		return scalers.Reading{Value: s.nullAs.Value, Note: fmt.Sprintf("the query answered NULL; it counts as %s", s.nullAs)}, nil
	}
	return scalers.Reading{Value: found.value}, nil
}

// Close lets go of the shared connections.
func (s *Scaler) Close() error { return s.lease.Close() }
