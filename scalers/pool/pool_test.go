package pool

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

type thing struct{ closed atomic.Int32 }

func (t *thing) Close() error {
	t.closed.Add(1)
	return nil
}

func TestLastUserCloses(t *testing.T) {
	var p Pool[string, *thing]
	opened := 0
	open := func() (*thing, error) { opened++; return &thing{}, nil }
	first, err := p.Get("a", open)
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.Get("a", open)
	if err != nil {
		t.Fatal(err)
	}
	if opened != 1 || first.Value != second.Value {
		t.Fatalf("opened %d times, want one shared thing", opened)
	}
	for range 2 {
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if first.Value.closed.Load() != 0 {
		t.Fatal("closed while a user was left: a second Close of one lease must not count")
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if first.Value.closed.Load() != 1 || p.Len() != 0 {
		t.Fatalf("closed %d times with %d held, want once and none", first.Value.closed.Load(), p.Len())
	}
}

func TestFailedOpenHoldsNothing(t *testing.T) {
	var p Pool[string, *thing]
	_, err := p.Get("a", func() (*thing, error) { return nil, errors.New("no") })
	if err == nil || err.Error() != "open a shared connection: no" || p.Len() != 0 {
		t.Fatalf("got %v with %d held", err, p.Len())
	}
}

func TestConcurrentUsersShareAndClose(t *testing.T) {
	var p Pool[int, *thing]
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 100 {
				lease, err := p.Get(i%3, func() (*thing, error) { return &thing{}, nil })
				if err != nil || lease.Value.closed.Load() != 0 {
					t.Errorf("got a closed thing or %v", err)
					return
				}
				if err := lease.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if p.Len() != 0 {
		t.Fatalf("%d things are left", p.Len())
	}
}

func TestKeyKeepsPartsApart(t *testing.T) {
	if Key("ab", "c") == Key("a", "bc") {
		t.Fatal("two different connections share a key")
	}
	if first, second := Key("a", "b"), Key("a", "b"); first != second {
		t.Fatal("a key is not stable")
	}
}

func TestLimit(t *testing.T) {
	p := Pool[string, *thing]{Limit: 2}
	open := func() (*thing, error) { return &thing{}, nil }
	get := func(key string) *Lease[*thing] {
		t.Helper()
		lease, err := p.Get(key, open)
		if err != nil {
			t.Fatal(err)
		}
		return lease
	}
	first, _ := get("a"), get("b")
	if _, err := p.Get("c", open); !errors.Is(err, ErrFull) {
		t.Errorf("a third thing: got %v, want %v", err, ErrFull)
	}
	shared := get("a")
	for _, lease := range []*Lease[*thing]{first, shared} {
		if err := lease.Close(); err != nil {
			t.Fatal(err)
		}
	}
	get("c") // in the place of a
}
