package poll

import (
	"container/heap"
	"sync"
	"time"
)

// dispatcher starts the polls of all workloads when they are due. Those of one tick run one after the other on one goroutine, which none of them may hold up.
type dispatcher struct {
	now func() time.Time
	// start runs a function on another goroutine.
	start func(func())

	mu sync.Mutex
	// queue has the workloads of each moment, and moments are its keys. Many workloads have few moments, since they are read on common ticks.
	queue   map[moment][]*workload
	moments moments
	timer   *time.Timer
	// length is that of the queue, and limit how long it may become before it is tidied.
	length, limit int
}

// moment is a time in nanoseconds since 1970; 0 is none.
type moment int64

// diary is what the dispatcher knows of a workload; its lock guards it. Of the workload's places in the queue only that at due counts; the others stay until their
// time comes, since to look for them would cost more.
type diary struct {
	// due is when the workload is; 0 for never.
	due moment
	// last is the last of its places that are known to be in the queue; 0 for none. A workload that was woken goes back to it.
	last moment
}

// set makes a workload due at a time, in place of any other one.
func (d *dispatcher) set(w *workload, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	when, before := moment(at.UnixNano()), w.diary
	w.diary = diary{due: when, last: max(when, before.last)}
	if when == before.due || when == before.last {
		return
	}
	d.tidy()
	d.add(when, w)
	if d.moments[0] == when {
		d.wind()
	}
}

// add puts a workload into the queue. The caller holds the lock.
func (d *dispatcher) add(at moment, w *workload) {
	list, ok := d.queue[at]
	if !ok {
		heap.Push(&d.moments, at)
	}
	if d.queue == nil {
		d.queue = map[moment][]*workload{}
	}
	d.queue[at] = append(list, w)
	d.length++
}

// cancel makes a workload due no more.
func (d *dispatcher) cancel(w *workload) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.diary = diary{}
}

// tidy forgets the places that do not count any more when there are many. The caller holds the lock.
func (d *dispatcher) tidy() {
	if d.length < d.limit {
		return
	}
	before := d.queue
	d.queue, d.moments, d.length = nil, nil, 0
	for at, list := range before {
		for _, w := range list {
			if at == w.diary.due || at == w.diary.last {
				d.add(at, w)
			}
		}
	}
	const few = 100
	d.limit = max(2*d.length, few)
}

// wind sets the timer to the first moment. The caller holds the lock.
func (d *dispatcher) wind() {
	delay := max(time.Duration(d.moments[0])-time.Duration(d.now().UnixNano()), 0)
	if d.timer == nil {
		d.timer = time.AfterFunc(delay, func() { d.start(d.run) })
		return
	}
	d.timer.Reset(delay)
}

// run starts what is due.
func (d *dispatcher) run() {
	for _, w := range d.due() {
		w.poll()
	}
}

func (d *dispatcher) due() (due []*workload) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for now := moment(d.now().UnixNano()); len(d.moments) > 0 && d.moments[0] <= now; {
		at := heap.Pop(&d.moments).(moment)
		list := d.queue[at]
		delete(d.queue, at)
		d.length -= len(list)
		for _, w := range list {
			if at == w.diary.last {
				w.diary.last = 0
			}
			if at == w.diary.due {
				w.diary.due = 0
				due = append(due, w)
			}
		}
	}
	if len(d.moments) > 0 {
		d.wind()
	}
	return due
}

// close stops the timer.
func (d *dispatcher) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}

// moments are a heap for package heap: the first is the earliest.
type moments []moment

// Len implements heap.Interface.
func (m moments) Len() int { return len(m) }

// Less implements heap.Interface.
func (m moments) Less(i, j int) bool { return m[i] < m[j] }

// Swap implements heap.Interface.
func (m moments) Swap(i, j int) { m[i], m[j] = m[j], m[i] }

// Push implements heap.Interface.
func (m *moments) Push(x any) { *m = append(*m, x.(moment)) }

// Pop implements heap.Interface.
func (m *moments) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
