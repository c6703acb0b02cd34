package decide

import "time"

const (
	// longestWindow and longestPeriod are what the HPA allows at most. Histories reach back as far whatever the present
	// behavior says, so that an edit of it costs no history.
	longestWindow = time.Hour
	longestPeriod = 30 * time.Minute
	// exact is how many marks a history keeps without loss. Beyond it marks that are close in time are merged, so that a
	// workload which is decided a hundred times a second does not grow without bound.
	exact = 64
	// grain is the share of the window or period within which marks are merged: what is held is held that much longer.
	grain = 256
	// coarse is the time within which marks are merged that only a longer window could still see.
	coarse = time.Minute
)

// mark is a number and when it held. Times are offsets from the State's epoch.
type mark struct {
	first, last time.Duration
	n           int32
}

// peaks answers "the highest number in the last d" for any window up to longestWindow. It keeps, oldest first, only the
// marks that can still become the highest: each is followed by lower ones only.
type peaks []mark

// add notes n at the time at, which is never earlier than that of the last mark. The window is the present one.
func (p peaks) add(at time.Duration, n int32, window time.Duration) peaks {
	p = p.forget(at)
	for len(p) > 0 && p[len(p)-1].n <= n {
		p = p[:len(p)-1]
	}
	if len(p) >= exact {
		p = p.thin(at - window)
		if last := &p[len(p)-1]; at-last.first <= window/grain {
			last.last = at // the higher number stands for both
			return p
		}
	}
	return append(p, mark{at, at, n})
}

// forget drops what no window can see.
func (p peaks) forget(at time.Duration) peaks {
	old := 0
	for old < len(p) && p[old].last <= at-longestWindow {
		old++
	}
	if old == 0 {
		return p
	}
	return p[:copy(p, p[old:])]
}

// thin merges the marks before the present window, which begins at start; the higher number stands for its neighbours.
func (p peaks) thin(start time.Duration) peaks {
	kept := 0
	for _, m := range p[1:] {
		if m.last <= start && m.last-p[kept].first <= coarse {
			p[kept].last = m.last
			continue
		}
		kept++
		p[kept] = m
	}
	return p[:kept+1]
}

// highest is the highest number inside the window and the time at which it leaves it.
func (p peaks) highest(at, window time.Duration) (n int32, until time.Duration, ok bool) {
	for i := range p {
		if p[i].last > at-window {
			return p[i].n, p[i].last + window, true
		}
	}
	return 0, 0, false
}

// changes remembers by how much the count moved in one direction, oldest first.
type changes []mark

// add notes a change of n > 0 replicas at the time at.
func (c changes) add(at time.Duration, n int32) changes {
	old := 0
	for old < len(c) && c[old].last <= at-longestPeriod {
		old++
	}
	if old > 0 {
		c = c[:copy(c, c[old:])]
	}
	if last := len(c) - 1; last >= exact && at-c[last].first <= longestPeriod/grain {
		c[last].last = at
		c[last].n = saturate(int64(c[last].n) + int64(n))
		return c
	}
	return append(c, mark{at, at, n})
}

// within is the sum of the changes in the last period, and when the first of them leaves it (0 when there are none).
func (c changes) within(at, period time.Duration) (sum int64, until time.Duration) {
	for i := len(c) - 1; i >= 0 && c[i].last > at-period; i-- {
		sum += int64(c[i].n)
		until = c[i].last + period
	}
	return sum, until
}
