package servers

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pollEvery is the pause between two looks at a server that is not there yet.
const pollEvery = 10 * time.Millisecond

// waitFor polls the condition until it returns nil or the context ends; then the error says what was waited for and what was last seen.
func waitFor(ctx context.Context, what string, condition func(context.Context) error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		var final finalError
		if errors.As(err, &final) {
			return fmt.Errorf("%s: %w", what, final.error)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; last seen: %w", what, ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// finalError ends a wait: what is waited for cannot happen any more.
type finalError struct{ error }
