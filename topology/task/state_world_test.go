package task_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/mem"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

var (
	numbers = topology.NewTopic("numbers", serde.String, serde.Int64)
	highest = topology.KV("highest", serde.String, serde.Int64)
	counts  = topology.KV("counts", serde.String, serde.Int64, topology.InMemory())
	results = topology.NewTopic("results", serde.String, serde.Int64)
)

// keeping is numbers → the highest of each key, on disk, and how many of each key, in memory → results.
func keeping(b *topology.Builder) {
	grouped := topology.From(b, numbers).GroupByKey()
	grouped.Reduce(func(sum, next int64) int64 { return max(sum, next) }, highest).ToStream().To(results)
	grouped.Count(counts)
}

// partLog is one partition of a topic.
type partLog struct {
	batches    []record.Batch
	start, end record.Offset
	fence      record.Epoch
}

// stateWorld is what one task with stores lives in: topics of one partition, committed offsets, and databases.
// With a seed it does things in random order; without, in the order in which they were asked for.
type stateWorld struct {
	t       *testing.T
	rng     *rand.Rand // nil: no chance
	graph   *plan.Graph
	logs    map[string]*partLog
	states  *mem.States
	faulty  *faultyStates
	offsets map[string]record.Offset
	epoch   record.Epoch
	core    *task.Core
	now     time.Time
	wake    time.Time
	jobs    []func()
	zombies []func() // sends of former lives that may still arrive
	tune    func(*task.Config)
	seen    watcher
	running bool
	stopped bool
	fault   error
	failed  error // with which the task stopped

	careless bool                    // negative control: acknowledges changelog batches that it forgets
	crashes  int                     // lives that ended by RestartError
	crashAt  func(event string) bool // asked at every event
	crashed  bool
	refuse   func(s task.Send) error
	trims    []task.Trim
}

func newStateWorld(t *testing.T, rng *rand.Rand, build func(*topology.Builder)) *stateWorld {
	t.Helper()
	b := topology.NewBuilder("app")
	build(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	w := &stateWorld{
		t: t, rng: rng, graph: topo.Graph(), logs: map[string]*partLog{}, states: mem.NewStates(),
		offsets: map[string]record.Offset{}, now: time.UnixMilli(1_000_000),
	}
	w.faulty = &faultyStates{States: w.states}
	return w
}

func (w *stateWorld) log(topic string) *partLog {
	if w.logs[topic] == nil {
		w.logs[topic] = &partLog{}
	}
	return w.logs[topic]
}

func (l *partLog) append(b record.Batch) record.Offset {
	own := slices.Clone(b)
	own.SetBaseOffset(l.end)
	l.batches = append(l.batches, own)
	base := l.end
	l.end = own.LastOffset() + 1
	return base
}

// put writes numbers, all of one key, at one time in milliseconds.
func (w *stateWorld) put(topic, key string, ms int64, values ...int64) {
	var b record.Builder
	for _, v := range values {
		value, err := serde.Int64.Append(nil, serde.Info{}, v)
		if err == nil {
			err = b.Append(&record.Record{TimestampMs: ms, Key: []byte(key), Value: value})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	frame, err := b.Build(0, record.CodecNone)
	if err != nil {
		w.t.Fatal(err)
	}
	w.log(topic).append(frame)
}

// start begins the next life.
func (w *stateWorld) start() {
	w.epoch++
	w.jobs, w.wake, w.running, w.stopped = nil, time.Time{}, false, false
	cfg := task.Config{
		ID: task.ID{App: "app"}, Graph: w.graph, Epoch: w.epoch, States: w.faulty, Observer: stateWatcher{&w.seen, w},
	}
	if w.rng != nil {
		cfg.MaxUnsentBytes, cfg.BatchBytes = 1+w.rng.IntN(3000), 100+w.rng.IntN(500)
		cfg.MaxDirtyBytes, cfg.MaxFetchBytes = 1+w.rng.IntN(1500), 1+w.rng.IntN(1000)
	}
	if w.tune != nil {
		w.tune(&cfg)
	}
	core, err := task.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.core = core
	w.step(task.Open{})
}

// stateWatcher looks into the stores when they are restored.
type stateWatcher struct {
	*watcher
	w *stateWorld
}

func (s stateWatcher) Running(task.ID) { s.w.running = true }

func (w *stateWorld) step(i task.Input) {
	if w.failed != nil {
		return
	}
	was := w.running
	e, err := w.core.Step(w.now, i)
	if again := (*task.RestartError)(nil); errors.As(err, &again) {
		w.crashes++
		w.start()
		return
	}
	if err != nil {
		w.failed, w.stopped = err, true
		return
	}
	if w.running && !was && e.Commit == nil && e.Send == nil {
		w.checkReplay()
	}
	w.wake, w.stopped = e.Wake, w.stopped || e.Stopped
	if !e.Wake.IsZero() && !e.Wake.After(w.now) && len(e.Send) == 0 { // a batch that can leave cuts a Step short
		w.fail("wants to be woken %v ago: that would spin", w.now.Sub(e.Wake))
	}
	if w.event("stepped") {
		return
	}
	if e.Commit != nil && w.event("applied") {
		return
	}
	life := w.epoch
	task.Carry(statePorts{w, life}, task.ID{}, e, func(a task.Input) {
		w.later(func() {
			if life == w.epoch && !w.event(fmt.Sprintf("%T", a)) {
				w.step(a)
			}
		})
	})
}

// event lets the world crash now; true: it did.
func (w *stateWorld) event(name string) bool {
	if w.crashAt == nil || !w.crashAt(name) {
		return false
	}
	w.crashAt, w.crashed = nil, true
	w.crash()
	return true
}

func (w *stateWorld) fail(format string, args ...any) {
	if w.fault == nil {
		w.fault = fmt.Errorf(format, args...)
	}
}

func (w *stateWorld) later(job func()) { w.jobs = append(w.jobs, job) }

func (w *stateWorld) crash() {
	_ = w.core.Close()
	w.start()
}

// replay is what a changelog says of a store.
func (w *stateWorld) replay(store string) map[string]string {
	rows := map[string]string{}
	for _, b := range w.log("app-" + store + "-changelog").batches {
		for r, err := range b.Records(0) {
			if err != nil {
				w.t.Fatal(err)
			}
			if rows[string(r.Key)] = string(r.Value); r.Value == nil {
				delete(rows, string(r.Key))
			}
		}
	}
	return rows
}

// kept is what the task has of a store.
func (w *stateWorld) kept(store string) map[string]string {
	rows := map[string]string{}
	s, ok := w.core.Rows(store)
	if !ok {
		w.t.Fatalf("no store %s to look into", store)
	}
	if err := s.Range(nil, nil, false, func(k, v []byte) bool {
		rows[string(k)] = string(v)
		return true
	}); err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// checkReplay is P7: a store is the replay of its changelog.
func (w *stateWorld) checkReplay() {
	for _, s := range w.graph.Stores {
		if got, want := w.kept(s.Name), w.replay(s.Name); !maps.Equal(got, want) {
			w.fail("epoch %d: store %s is %q, its changelog says %q", w.epoch, s.Name, got, want)
		}
	}
}

// value reads a number from a store of numbers.
func (w *stateWorld) value(store topology.Store[string, int64], key string) int64 {
	row := w.kept(store.Name())[key]
	if row == "" {
		return -1
	}
	v, _, err := store.DecodeValue("app", []byte(row))
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// settle does what there is to do at the present time, in order.
func (w *stateWorld) settle() {
	for n := 0; len(w.jobs) > 0 && w.fault == nil; n++ {
		if n > 100_000 {
			w.t.Fatal("it does not come to rest")
		}
		job := w.jobs[0]
		w.jobs = w.jobs[1:]
		job()
	}
	if w.fault != nil {
		w.t.Fatal(w.fault)
	}
}

// advance lets time pass, and ticks where the task wants it.
func (w *stateWorld) advance(d time.Duration) {
	end := w.now.Add(d)
	for w.settle(); !w.stopped && !w.wake.IsZero() && !w.wake.After(end); w.settle() {
		w.now = w.wake
		w.step(task.Tick{})
	}
	w.now = end
	w.settle()
}

// statePorts is the world as one life of the task sees it.
type statePorts struct {
	w    *stateWorld
	life record.Epoch
}

func (p statePorts) sometimes(n int) error {
	if p.w.rng == nil || p.w.rng.IntN(n) > 0 {
		return nil
	}
	return fault.New(fault.NotLeader, "the leader has moved")
}

func (p statePorts) Fence(_ task.ID, f task.Fence, done func(task.Fenced)) {
	p.w.later(func() {
		l := p.w.log(f.Topic)
		err := p.sometimes(4)
		if err == nil && l.fence > f.Epoch {
			err = fault.New(fault.ProducerFenced, "epoch %d stands", l.fence)
		}
		if err == nil {
			l.fence = f.Epoch
		}
		done(task.Fenced{Topic: f.Topic, Start: l.start, End: l.end, Err: err})
	})
}

func (p statePorts) Locate(_ task.ID, l task.Locate, done func(task.Located)) {
	p.w.later(func() {
		a := task.Located{Err: p.sometimes(4)}
		for _, topic := range l.Topics {
			at := task.Position{Topic: topic, Committed: task.NotCommitted, Start: p.w.log(topic).start, End: p.w.log(topic).end}
			if c, ok := p.w.offsets[topic]; ok {
				at.Committed = c
			}
			a.Positions = append(a.Positions, at)
		}
		done(a)
	})
}

func (p statePorts) Describe(_ task.ID, d task.Describe, done func(task.Described)) {
	p.w.later(func() { done(task.Described{Topic: d.Topic, Partitions: 1}) })
}

func (p statePorts) Fetch(_ task.ID, f task.Fetch, done func(task.Fetched)) {
	p.w.later(func() {
		l := p.w.log(f.Topic)
		a := task.Fetched{Topic: f.Topic, Err: p.sometimes(6), End: l.end}
		switch {
		case a.Err != nil:
		case f.From < l.start || f.From > l.end:
			a.Err = fault.New(fault.OffsetOutOfRange, "offset %d is not in %d to %d", f.From, l.start, l.end)
		case f.From == l.end && p.w.rng == nil:
			return // it waits for ever
		default:
			size := 0
			for _, b := range l.batches {
				if b.LastOffset() < f.From {
					continue
				}
				if size += len(b); len(a.Batches) > 0 && size > f.MaxBytes {
					break
				}
				a.Batches = append(a.Batches, b)
			}
		}
		done(a)
	})
}

func (p statePorts) Send(_ task.ID, s task.Send, done func(task.Sent)) {
	arrive := func() (record.Offset, error) {
		l := p.w.log(s.Topic)
		if l.fence > p.life {
			return 0, fault.New(fault.ProducerFenced, "epoch %d stands", l.fence)
		}
		if p.w.refuse != nil {
			if err := p.w.refuse(s); err != nil {
				return 0, err
			}
		}
		if p.w.careless && l.fence > 0 && p.w.rng.IntN(10) == 0 {
			return l.end, nil
		}
		return l.append(s.Batch()), nil
	}
	sent := false
	p.w.zombies = append(p.w.zombies, func() {
		if !sent && p.life != p.w.epoch {
			sent = true
			_, _ = arrive()
		}
	})
	p.w.later(func() {
		if sent {
			return
		}
		sent = true
		base, err := arrive()
		if p.w.rng != nil && err == nil && p.w.rng.IntN(8) == 0 {
			base = task.NoBase
		}
		done(task.Sent{Seq: s.Seq, Base: base, Err: err})
	})
}

func (p statePorts) Commit(_ task.ID, c task.Commit, done func(task.Committed)) {
	p.w.later(func() {
		err := p.sometimes(5)
		for _, o := range c.Offsets {
			if err == nil && c.Epoch == p.w.epoch {
				p.w.offsets[o.Topic] = o.Next
			}
		}
		done(task.Committed{Err: err})
	})
}

func (p statePorts) Trim(_ task.ID, t task.Trim) { p.w.trims = append(p.w.trims, t) }

// faultyStates lets a test break databases. A function that is nil does not.
type faultyStates struct {
	state.States
	apply func() error
	get   func() error
	open  func() error
}

func (f *faultyStates) Open(name string) (state.StateDB, error) {
	if f.open != nil {
		if err := f.open(); err != nil {
			return nil, err
		}
	}
	db, err := f.States.Open(name)
	return faultyDB{db, f}, err
}

type faultyDB struct {
	state.StateDB
	f *faultyStates
}

func (d faultyDB) Apply(rows []state.StateRow, mark []byte) error {
	if d.f.apply != nil {
		if err := d.f.apply(); err != nil {
			return err
		}
	}
	return d.StateDB.Apply(rows, mark)
}

func (d faultyDB) Get(dst, key []byte) ([]byte, bool, error) {
	if d.f.get != nil {
		if err := d.f.get(); err != nil {
			return dst, false, err
		}
	}
	return d.StateDB.Get(dst, key)
}
