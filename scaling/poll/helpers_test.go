package poll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"autoscale.io/scalers/scalertest/bubble"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
	"autoscale.io/scaling/decisions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var worker = decisions.Key{Resource: appsv1.SchemeGroupVersion.WithResource("deployments"), Namespace: "shop", Name: "worker"}

// fakeParams are the parameters of the type fake: queue picks the source, password is what it is opened with.
type fakeParams struct {
	Queue    string `name:"queue" required:"true" doc:"Which source."`
	Password string `name:"password" secret:"true" doc:"Its password."`
}

// source is one queue of the fake world, and counts what is done to it. read and open may be set before it is used, and changed under mu.
type source struct {
	mu             sync.Mutex
	opened, closed int
	max            int32
	reads          []time.Time
	value          float64
	open           func(password string) error
	read           func(ctx context.Context, password string) (scalers.Reading, error)
	close          func() error
	// wakes makes the source one that can tell when work arrives: whoever sends wakes it.
	wakes    chan struct{}
	watching int
}

// is compares the number of opens and closes, and says that nothing was closed twice.
func (s *source) is(t *testing.T, opened, closed int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened != opened || s.closed != closed {
		t.Errorf("opened %d and closed %d times, want %d and %d", s.opened, s.closed, opened, closed)
	}
}

func (s *source) readCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.reads)
}

func (s *source) set(value float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = value
}

// gaps are the times between reads.
func (s *source) gaps() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gaps []time.Duration
	for i := 1; i < len(s.reads); i++ {
		gaps = append(gaps, s.reads[i].Sub(s.reads[i-1]).Round(2*firstRead)) // the first read comes a little after the beat
	}
	return gaps
}

type fakeScaler struct {
	source   *source
	password string
}

func (f *fakeScaler) Read(ctx context.Context) (scalers.Reading, error) {
	f.source.mu.Lock()
	f.source.reads = append(f.source.reads, time.Now())
	read, value := f.source.read, f.source.value
	f.source.mu.Unlock()
	if read != nil {
		return read(ctx, f.password)
	}
	return scalers.Reading{Value: value}, nil
}

// Start reads on another goroutine, as if that were a server's answer.
func (f *fakeScaler) Start(ctx context.Context, answered func(func() (scalers.Reading, bool, error))) {
	go func() {
		var reading scalers.Reading
		var err error
		var broken any
		func() {
			defer func() { broken = recover() }()
			reading, err = f.Read(ctx)
		}()
		answered(func() (scalers.Reading, bool, error) {
			if broken != nil {
				panic(broken)
			}
			return reading, true, err
		})
	}()
}

// reader hides that a scaler can start reads.
type reader struct {
	scalers.Scaler
	io.Closer
}

func (f *fakeScaler) Close() error {
	f.source.mu.Lock()
	f.source.closed++
	closing := f.source.close
	f.source.mu.Unlock()
	if closing != nil {
		return closing()
	}
	return nil
}

// references is what the annotations refer to, by place.
type references struct {
	mu    sync.Mutex
	texts map[string]string
	asked int
}

func (r *references) Resolve(_ context.Context, ref schema.Ref) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if text, ok := r.texts[ref.String()]; ok {
		return text, nil
	}
	return "", errors.New(ref.String() + " does not exist; create it or name another")
}

func (r *references) set(place, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts[place] = text
}

// world is a poller over fake sources and a real store.
type world struct {
	t         *testing.T
	poller    *Poller
	decisions *decisions.Store
	registry  *scalers.Registry
	sources   map[string]*source
	refs      *references
	// containers are those whose environment was asked for.
	mu         sync.Mutex
	containers []string
	// host is what the latest source was opened for.
	host scalers.Host
	// starts says that the sources start their reads.
	starts bool
}

// run runs test on a fake clock, in a world with the sources orders and mails, and ends the world after it: once with sources that start their reads, and
// once with others.
func run(t *testing.T, test func(*world)) {
	for _, starts := range []bool{true, false} {
		t.Run(fmt.Sprint("starts ", starts), func(t *testing.T) { runOnce(t, starts, test) })
	}
}

func runOnce(t *testing.T, starts bool, test func(*world)) {
	bubble.Test(t, func(t *testing.T) {
		w := &world{t: t, starts: starts, decisions: decisions.New(func(decisions.Key) {}), refs: &references{texts: map[string]string{}}}
		w.sources = map[string]*source{"orders": {}, "mails": {}}
		var err error
		w.registry, err = scalers.NewRegistry(
			scalers.Define(scalers.Definition{TriggerType: annotations.TriggerType{Name: "fake"}}, w.open),
			scalers.Define(scalers.Definition{TriggerType: annotations.TriggerType{Name: "cpu", Resource: "cpu"}}, w.open),
		)
		if err != nil {
			t.Fatal(err)
		}
		w.poller = New(t.Context(), Deps{Registry: w.registry, Decisions: w.decisions, References: w.references, Log: logr.Discard(), Now: time.Now})
		t.Cleanup(w.poller.Close)
		test(w)
	})
}

func (w *world) open(host scalers.Host, p *fakeParams) (scalers.Scaler, error) {
	w.mu.Lock()
	w.host = host
	w.mu.Unlock()
	s := w.sources[p.Queue]
	s.mu.Lock()
	opening := s.open
	s.opened, s.max = s.opened+1, host.MaxReplicas
	s.mu.Unlock()
	if opening != nil {
		if err := opening(p.Password); err != nil {
			return nil, err
		}
	}
	fake := &fakeScaler{s, p.Password}
	waking := &wakingScaler{*fake}
	switch {
	case s.wakes != nil && w.starts:
		return waking, nil
	case s.wakes != nil:
		return struct {
			reader
			scalers.Waker
		}{reader{waking, waking}, waking}, nil
	case w.starts:
		return fake, nil
	}
	return reader{fake, fake}, nil
}

type wakingScaler struct{ fakeScaler }

func (f *wakingScaler) Watch(wake func(), _ func(error)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	f.count(1)
	go func() {
		wake()
		for {
			select {
			case <-ctx.Done():
				return
			case <-f.source.wakes:
				wake()
			}
		}
	}()
	return func() {
		f.count(-1)
		cancel()
	}
}

func (f *wakingScaler) count(n int) {
	f.source.mu.Lock()
	defer f.source.mu.Unlock()
	f.source.watching += n
}

func (w *world) references(_ decisions.Key, container string) scalers.References {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.containers = append(w.containers, container)
	return w.refs
}

// after lets d pass on the fake clock of synctest, which takes no time, and everything that happens until then settle.
func (w *world) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// entry is the decision on key, which must be there.
func (w *world) entry(key decisions.Key) *decisions.Entry {
	w.t.Helper()
	e := w.decisions.Get(key)
	if e == nil {
		w.t.Fatalf("%s has no decision", key)
	}
	return e
}

// onTheBeat is a UID with which a workload is read at whole intervals, as the clock of the tests begins with one.
func onTheBeat(name string) types.UID {
	for i := 0; ; i++ {
		w := workload{uid: types.UID(fmt.Sprintf("uid-%s-%d", name, i))}
		if w.spread(time.Hour) == 0 {
			return w.uid
		}
	}
}

// upsert polls key as the annotations say, whose keys are without the prefix.
func (w *world) upsert(key decisions.Key, keys map[string]string) {
	w.t.Helper()
	w.poller.Upsert(key, w.spec(key, keys))
}

func (w *world) spec(key decisions.Key, keys map[string]string) Spec {
	w.t.Helper()
	prefixed := map[string]string{}
	for k, v := range keys {
		prefixed[annotations.Prefix+k] = v
	}
	result := annotations.Decode(prefixed, w.registry)
	if len(result.Faults) > 0 {
		w.t.Fatal(result.Faults)
	}
	return Spec{UID: onTheBeat(key.Name), Workload: result.Workload}
}

// on are annotations with the trigger orders at a target of 10, changed by edits; an empty text removes a key.
func on(edits map[string]string) map[string]string {
	keys := map[string]string{
		"min-replicas": "1", "max-replicas": "20", "polling-interval": "10s", "trigger.orders": "{type: fake, target: 10, queue: orders}",
	}
	maps.Copy(keys, edits)
	maps.DeleteFunc(keys, func(_, v string) bool { return v == "" })
	return keys
}
