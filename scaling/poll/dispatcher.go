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

	mu    sync.Mutex
	queue appointments
	timer *time.Timer
}

// appointment is when a workload is due.
type appointment struct {
	workload *workload
	at       time.Time
	// index is the place in the queue, -1 outside of it.
	index int
}

// set makes a workload due at a time, in place of any other one.
func (d *dispatcher) set(a *appointment, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a.at = at
	if a.index < 0 {
		heap.Push(&d.queue, a)
	} else {
		heap.Fix(&d.queue, a.index)
	}
	if a.index == 0 {
		d.wind()
	}
}

// cancel makes a workload due no more.
func (d *dispatcher) cancel(a *appointment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.index >= 0 {
		heap.Remove(&d.queue, a.index)
	}
}

// wind sets the timer to the first appointment. The caller holds the lock.
func (d *dispatcher) wind() {
	delay := max(d.queue[0].at.Sub(d.now()), 0)
	if d.timer == nil {
		d.timer = time.AfterFunc(delay, func() { d.start(d.run) })
		return
	}
	d.timer.Reset(delay)
}

// run starts what is due.
func (d *dispatcher) run() {
	for _, a := range d.due() {
		a.workload.poll()
	}
}

func (d *dispatcher) due() (due []*appointment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for len(d.queue) > 0 && !d.queue[0].at.After(now) {
		due = append(due, heap.Pop(&d.queue).(*appointment))
	}
	if len(d.queue) > 0 {
		d.wind()
	}
	return due
}

// close forgets all appointments.
func (d *dispatcher) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}

// appointments are a heap, for package heap: the first is the earliest.
type appointments []*appointment

// Len implements heap.Interface.
func (q appointments) Len() int { return len(q) }

// Less implements heap.Interface.
func (q appointments) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

// Swap implements heap.Interface.
func (q appointments) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *appointments) Push(x any) {
	a := x.(*appointment)
	a.index = len(*q)
	*q = append(*q, a)
}

// Pop implements heap.Interface.
func (q *appointments) Pop() any {
	last := len(*q) - 1
	a := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	a.index = -1
	return a
}
