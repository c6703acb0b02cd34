package world

import (
	"context"
	"sync"
	"time"

	"autoscale.io/e2e/product"
)

// scrapePause is the least time between two reads of the metrics of one autoscaler.
const scrapePause = 100 * time.Millisecond

// scraper reads the metrics of one autoscaler for all who wait for something in them: what many cases ask for at the
// same time is read once. The answer is always of a read that began after the question.
type scraper struct {
	autoscaler *product.Autoscaler

	reading sync.Mutex // held by the one that reads
	last    time.Time  // when the latest read began; guarded by reading

	mu   sync.Mutex
	next *scrape // the read that has not begun yet; nil if nobody waits for one
}

type scrape struct {
	done chan struct{}
	text string
	err  error
}

// metrics returns the text of the metrics endpoint.
func (s *scraper) metrics(ctx context.Context) (string, error) {
	s.mu.Lock()
	one := s.next
	if one == nil {
		one = &scrape{done: make(chan struct{})}
		s.next = one
		go s.read(one)
	}
	s.mu.Unlock()
	select {
	case <-one.done:
		return one.text, one.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func (s *scraper) read(one *scrape) {
	s.reading.Lock()
	defer s.reading.Unlock()
	time.Sleep(time.Until(s.last.Add(scrapePause))) // the pause itself, not a wait for something
	s.last = time.Now()
	s.mu.Lock()
	s.next = nil
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	one.text, one.err = s.autoscaler.Metrics(ctx)
	close(one.done)
}

// scrapers has one for each autoscaler.
type scrapers struct {
	mu sync.Mutex
	of map[*product.Autoscaler]*scraper
}

func (s *scrapers) scraper(a *product.Autoscaler) *scraper {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[*product.Autoscaler]*scraper{}
	}
	if s.of[a] == nil {
		s.of[a] = &scraper{autoscaler: a}
	}
	return s.of[a]
}

// Metrics returns the text of the metrics endpoint of the case's autoscaler, as it is now or a moment later.
func (w *World) Metrics(ctx context.Context) (string, error) {
	return w.scraper(w.Scaler).metrics(ctx)
}
