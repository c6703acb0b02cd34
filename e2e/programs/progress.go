package programs

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	// perCore is how many bytes of sources one core compiles in a second, measured with Kubernetes on a machine of 2
	// cores.
	perCore = 190e3
	// trusted is for how long that rate is taken to have been seen when the rate of this machine is worked out.
	trusted = 45 * time.Second
	// linkedPerSecond is how many packages are linked in a second.
	linkedPerSecond = 130
	// usefulCores is how many cores a compilation keeps busy: the large packages wait for each other.
	usefulCores = 8
)

// meter estimates how far a compilation is, by the bytes of the sources.
type meter struct {
	work
	cores       int
	total, link float64 // bytes, seconds

	mu    sync.Mutex
	begun []int64 // the sizes of the packages whose compilation has begun, in that order
}

func newMeter(w work) *meter {
	m := &meter{work: w, cores: min(runtime.NumCPU(), usefulCores), link: float64(w.packages) / linkedPerSecond}
	for _, size := range w.pending {
		m.total += float64(size)
	}
	return m
}

// compiles takes a line of go build -v, which names a package whose compilation begins.
func (m *meter) compiles(line string) bool {
	size, pending := m.pending[line]
	if !pending {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begun = append(m.begun, size)
	return true
}

// done returns what is compiled: all that has begun but the last, one for each core.
func (m *meter) done() (packages int, size float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	packages = len(m.begun)
	if packages < len(m.pending) {
		packages = max(0, packages-m.cores)
	}
	for _, one := range m.begun[:packages] {
		size += float64(one)
	}
	return packages, size
}

// left estimates the time to the end.
func (m *meter) left(elapsed time.Duration, size float64) time.Duration {
	rate := (perCore*float64(m.cores)*trusted.Seconds() + size) / (trusted + elapsed).Seconds()
	return time.Duration(((m.total-size)/rate + m.link) * float64(time.Second))
}

// forecast is the line before the compilation.
func (m *meter) forecast() string {
	return fmt.Sprintf("%d of %d packages are to be compiled: about %s with %d cores", len(m.pending), m.packages, short(m.left(0, 0)), m.cores)
}

// text is the line about the compilation. elapsed is the time since it began, whole that since the job began.
func (m *meter) text(elapsed, whole time.Duration) string {
	packages, size := m.done()
	if packages == len(m.pending) {
		return fmt.Sprintf("%d packages compiled, linking; %s elapsed", packages, short(whole))
	}
	return fmt.Sprintf("%d of %d packages compiled, %.0f%%; %s elapsed, about %s left",
		packages, len(m.pending), 100*size/m.total, short(whole), short(m.left(elapsed, size)))
}

// short is a duration for people.
func short(d time.Duration) string {
	d = d.Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}

// screen shows lines, and one status: on a terminal the status is written over itself every second, elsewhere it is a
// line every ten seconds.
type screen struct {
	w        io.Writer
	terminal bool
	every    time.Duration
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w, every: 10 * time.Second}
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if s.terminal {
		s.every = time.Second
	}
	return s
}

// line shows a line for good.
func (s *screen) line(text string) {
	s.clear()
	fmt.Fprintf(s.w, "  %s\n", text)
}

// clear removes the status.
func (s *screen) clear() {
	if s.terminal {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
}

func (s *screen) status(text string) {
	if !s.terminal {
		s.line(text)
		return
	}
	fmt.Fprintf(s.w, "\r\x1b[K  %s", text)
}

// while shows a status until run returns.
func (s *screen) while(run func() error, status func() string) error {
	done := make(chan error, 1)
	go func() { done <- run() }()
	if s.terminal {
		s.status(status())
	}
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ticker.C:
			s.status(status())
		}
	}
}
