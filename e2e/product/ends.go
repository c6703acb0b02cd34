package product

import "errors"

// Ends are what has to be ended of that which was started. The zero Ends is ready.
type Ends []func() error

// Add remembers how something is ended.
func (e *Ends) Add(end func() error) { *e = append(*e, end) }

// Stop ends all, the last first, whatever fails.
func (e Ends) Stop() error {
	var errs []error
	for i := len(e) - 1; i >= 0; i-- {
		errs = append(errs, e[i]())
	}
	return errors.Join(errs...)
}
