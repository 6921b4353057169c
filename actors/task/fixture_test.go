package task

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/pool"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long a test waits for a named fact; far more than it takes.
const limit = time.Minute

// world is what the tasks of a test read and write: one input partition, of single-record batches, and what
// became of it.
type world struct {
	mu        sync.Mutex
	input     []string
	committed record.Offset
	together  bool // a fetch gives all that there is
	waiting   map[*pendingFetch]bool
	written   []string // acknowledged outputs
	lent      int      // fetched answers that were not released yet
	twice     int      // released once more than lent
	commits   chan record.Offset
}

type pendingFetch struct {
	from record.Offset
	done func(task.Fetched)
}

func newWorld(input ...string) *world {
	return &world{
		input: input, committed: task.NotCommitted, waiting: map[*pendingFetch]bool{}, commits: make(chan record.Offset, 1000),
	}
}

var _ task.Ports = (*world)(nil)

func (w *world) Locate(_ task.ID, l task.Locate, done func(task.Located)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	done(task.Located{Positions: []task.Position{
		{Topic: l.Topics[0], Committed: w.committed, End: record.Offset(len(w.input))},
	}})
}

func (w *world) Fence(task.ID, task.Fence, func(task.Fenced)) { panic("a fence without a changelog") }

func (w *world) Trim(task.ID, task.Trim) { panic("a trim without a repartition topic") }

func (w *world) Describe(_ task.ID, d task.Describe, done func(task.Described)) {
	done(task.Described{Topic: d.Topic, Partitions: 1})
}

// Fetch gives one record at a time, unless the world says together, or waits for add.
func (w *world) Fetch(_ task.ID, f task.Fetch, done func(task.Fetched)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serve(&pendingFetch{f.From, done})
}

func (w *world) serve(p *pendingFetch) {
	if int(p.from) >= len(w.input) {
		w.waiting[p] = true
		return
	}
	delete(w.waiting, p)
	w.lent++
	var once sync.Once
	release := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		first := false
		once.Do(func() { first = true })
		if w.lent--; !first {
			w.twice++
		}
	}
	batches := [][]byte{batchAt(p.from, w.input[p.from])}
	for at := p.from + 1; w.together && int(at) < len(w.input); at++ {
		batches = append(batches, batchAt(at, w.input[at]))
	}
	p.done(task.Fetched{Topic: "in", Batches: batches, Release: release})
}

func (w *world) add(values ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.input = append(w.input, values...)
	for p := range w.waiting {
		w.serve(p)
	}
}

func (w *world) Send(_ task.ID, s task.Send, done func(task.Sent)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for r, err := range s.Batch().Records(0) {
		if err != nil {
			panic(err)
		}
		w.written = append(w.written, string(r.Value))
	}
	done(task.Sent{Seq: s.Seq})
}

func (w *world) Commit(_ task.ID, c task.Commit, done func(task.Committed)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.committed = c.Offsets[0].Next
	w.commits <- w.committed
	done(task.Committed{})
}

func (w *world) outputs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.written)
}

// settled fails unless everything that was lent came back, once.
func (w *world) settled(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lent != 0 || w.twice != 0 {
		t.Errorf("%d fetched answers were not released, %d more than once", w.lent, w.twice)
	}
}

func batchAt(at record.Offset, value string) []byte {
	var b record.Builder
	if err := b.Append(&record.Record{TimestampMs: 1000, Key: []byte("k"), Value: []byte(value)}); err != nil {
		panic(err)
	}
	frame, err := b.Build(0, record.CodecNone)
	if err != nil {
		panic(err)
	}
	batch := record.Batch(frame)
	batch.SetBaseOffset(at)
	return batch
}

// user is a processor whose behaviour a test gives; it watches over its own life.
type user struct {
	*story
	closed bool
}

// story is what all processors of a test have in common.
type story struct {
	process        func(ctx *topology.ProcessorContext[string, string], value string)
	inits, closes  atomic.Int32
	busy, together atomic.Int32
	afterClose     atomic.Int32
}

func (u *user) Init(*topology.ProcessorContext[string, string]) error {
	u.inits.Add(1)
	return nil
}

func (u *user) Process(ctx *topology.ProcessorContext[string, string], r topology.Record[string, string]) error {
	if u.busy.Add(1) > 1 {
		u.together.Add(1)
	}
	defer u.busy.Add(-1)
	if u.closed {
		u.afterClose.Add(1)
	}
	if u.process != nil {
		u.process(ctx, r.Value)
	}
	ctx.Forward(r)
	return nil
}

func (u *user) Close() error {
	u.closed = true
	u.closes.Add(1)
	return nil
}

// wantClosed fails unless each processor that began was closed once, and never worked beside or after that.
func (s *story) wantClosed(t *testing.T, lives int32) {
	t.Helper()
	if s.inits.Load() != lives || s.closes.Load() != lives || s.together.Load() != 0 || s.afterClose.Load() != 0 {
		t.Errorf("%d processors began and %d were closed, want %d; %d steps at once, %d after the end",
			s.inits.Load(), s.closes.Load(), lives, s.together.Load(), s.afterClose.Load())
	}
}

func (s *story) graph(t *testing.T) *plan.Graph {
	t.Helper()
	b := topology.NewBuilder("app")
	in := topology.From(b, topology.NewTopic("in", serde.String, serde.String), topology.FromEarliest())
	topology.Process(in, func() topology.Processor[string, string, string, string] { return &user{story: s} }).
		To(topology.NewTopic("out", serde.String, serde.String))
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return topo.Graph()
}

// host runs the one task of a topology on a real actor system.
type host struct {
	t       *testing.T
	system  *actors.System
	stopped chan end
	close   func() // the system, and then the workers
}

type end struct {
	epoch uint64
	err   error
}

func newHost(t *testing.T, w *world, g *plan.Graph) *host {
	h := &host{t: t, stopped: make(chan end, 8)}
	h.system = actors.New(actors.Options{
		OnStopped: func(id actors.Identity, err error) { h.stopped <- end{id.Epoch, err} },
		OnUnknown: func(_ actors.Identity, m any) { t.Errorf("unknown message %T", m) },
	})
	workers := pool.New(pool.Options{Size: 2})
	t.Cleanup(workers.Close)
	h.close = func() {
		h.system.Close()
		workers.Close()
	}
	t.Cleanup(h.close)
	h.system.Register(Kind(func(id actors.Identity) Ports {
		tid, err := task.ParseID(id.Name)
		if err != nil {
			t.Error(err)
		}
		return Ports{Ports: w, Config: task.Config{
			ID: tid, Graph: g, Epoch: record.Epoch(id.Epoch), FrameRoom: state.FrameRoom, CommitInterval: time.Millisecond,
		}}
	}, workers.Submit))
	return h
}

func (h *host) start(epoch uint64) actors.Ref {
	h.t.Helper()
	ref, err := h.system.Activate(KindName, "app/0_0", epoch)
	if err != nil {
		h.t.Fatal(err)
	}
	return ref
}

// run starts the task and returns how it ends.
func (h *host) run() error {
	h.t.Helper()
	h.start(1)
	return h.wantEnd(1)
}

func (h *host) wantEnd(epoch uint64) error {
	h.t.Helper()
	select {
	case e := <-h.stopped:
		if e.epoch != epoch {
			h.t.Fatalf("epoch %d ended with %v, want epoch %d", e.epoch, e.err, epoch)
		}
		return e.err
	case <-time.After(limit):
		h.t.Fatal("the task does not end")
		return nil
	}
}

func (w *world) awaitCommit(t *testing.T, want record.Offset) {
	t.Helper()
	for end := time.After(limit); ; {
		select {
		case o := <-w.commits:
			if o == want {
				return
			}
		case <-end:
			t.Fatalf("offset %d is not committed", want)
		}
	}
}

func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("v%d", i)
	}
	return out
}
