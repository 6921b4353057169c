package task_test

import (
	"slices"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

var (
	in  = topology.NewTopic("in", serde.String, serde.String)
	out = topology.NewTopic("out", serde.String, serde.String)
)

// harness feeds one core by hand, as a test wants.
type harness struct {
	t    *testing.T
	core *task.Core
	now  time.Time
	seen watcher
}

// watcher notes what the core tells its observer.
type watcher struct {
	decisions []plan.Decision
	resets    []record.Offset
	retried   []string
	restored  []task.Restored
	wiped     []string
	paused    []bool
}

func (w *watcher) Stepped(task.ID, int, int)                      {}
func (w *watcher) Refused(_ *plan.RecordError, d plan.Decision)   { w.decisions = append(w.decisions, d) }
func (w *watcher) Reset(_ task.ID, _ string, _, to record.Offset) { w.resets = append(w.resets, to) }
func (w *watcher) Retried(_ task.ID, what string, _ error)        { w.retried = append(w.retried, what) }

func (w *watcher) Late(task.ID, *plan.Node)            {}
func (w *watcher) Skipped(task.ID, *plan.Node, string) {}
func (w *watcher) Paused(_ task.ID, paused bool)       { w.paused = append(w.paused, paused) }
func (w *watcher) Running(task.ID)                     {}
func (w *watcher) Restored(_ task.ID, r task.Restored) { w.restored = append(w.restored, r) }
func (w *watcher) Wiped(_ task.ID, why error)          { w.wiped = append(w.wiped, why.Error()) }

func build(t *testing.T, f func(b *topology.Builder)) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder("app")
	f(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// newHarness makes a core with epoch 7 for partition 0 of the first sub-topology. tune may be nil.
func newHarness(t *testing.T, topo *topology.Topology, tune func(*task.Config)) *harness {
	t.Helper()
	h := &harness{t: t, now: time.UnixMilli(1_000_000)}
	cfg := task.Config{ID: task.ID{App: "app"}, Graph: topo.Graph(), Epoch: 7, Observer: &h.seen}
	if tune != nil {
		tune(&cfg)
	}
	core, err := task.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.core = core
	return h
}

func (h *harness) step(i task.Input) task.Effects {
	h.t.Helper()
	e, err := h.core.Step(h.now, i)
	if err != nil {
		h.t.Fatalf("step %T: %v", i, err)
	}
	return e
}

// mustFail steps and wants an error.
func (h *harness) mustFail(i task.Input) error {
	h.t.Helper()
	e, err := h.core.Step(h.now, i)
	if err == nil {
		h.t.Fatalf("step %T: no error, effects %+v", i, e)
	}
	return err
}

func (h *harness) after(d time.Duration, i task.Input) task.Effects {
	h.t.Helper()
	h.now = h.now.Add(d)
	return h.step(i)
}

// begin opens the core on topic "in" with offsets [0, 100) and nothing committed, up to the first Fetch.
func (h *harness) begin() task.Effects {
	h.t.Helper()
	return h.beginAt(task.Position{Topic: "in", Committed: task.NotCommitted, End: 100})
}

func (h *harness) beginAt(p ...task.Position) task.Effects {
	h.t.Helper()
	if e := h.step(task.Open{}); e.Locate == nil || !e.Locate.First {
		h.t.Fatalf("opened without a first Locate: %+v", e)
	}
	return h.step(task.Located{Positions: p})
}

// fetched answers a Fetch of topic "in" with one batch.
func (h *harness) fetched(base record.Offset, values ...string) task.Effects {
	h.t.Helper()
	return h.step(task.Fetched{Topic: "in", Batches: [][]byte{batch(h.t, base, values...)}})
}

// open describes every topic that e asks for with n partitions, and returns all batches that are sent then.
func (h *harness) open(e task.Effects, n int) []task.Send {
	h.t.Helper()
	sends := e.Send
	for _, d := range e.Describe {
		sends = append(sends, h.step(task.Described{Topic: d.Topic, Partitions: n}).Send...)
	}
	return sends
}

// acknowledge answers sends and returns what the last answer set off.
func (h *harness) acknowledge(sends ...task.Send) (e task.Effects) {
	h.t.Helper()
	for _, s := range sends {
		e = h.step(task.Sent{Seq: s.Seq})
	}
	return e
}

// batch makes a batch of records with key "k" at the given base offset; a value "" makes a record without a
// key.
func batch(t *testing.T, base record.Offset, values ...string) record.Batch {
	t.Helper()
	var b record.Builder
	for _, v := range values {
		r := record.Record{TimestampMs: 500, Key: []byte("k"), Value: []byte(v)}
		if v == "" {
			r.Key = nil
		}
		if err := b.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	frame, err := b.Build(0, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	record.Batch(frame).SetBaseOffset(base)
	return frame
}

// values reads the values of a sent batch.
func values(t *testing.T, s task.Send) []string {
	t.Helper()
	if err := s.Batch().Check(); err != nil {
		t.Fatal(err)
	}
	var vs []string
	for r, err := range s.Batch().Records(0) {
		if err != nil {
			t.Fatal(err)
		}
		vs = append(vs, string(r.Value))
	}
	if len(vs) != s.Records {
		t.Fatalf("send says %d records, batch holds %d", s.Records, len(vs))
	}
	return vs
}

func wantValues(t *testing.T, s []task.Send, want ...string) {
	t.Helper()
	if len(s) != 1 {
		t.Fatalf("%d sends, expected one: %+v", len(s), s)
	}
	if got := values(t, s[0]); !slices.Equal(got, want) {
		t.Fatalf("sent %q, expected %q", got, want)
	}
}

func wantCommit(t *testing.T, e task.Effects, next record.Offset) {
	t.Helper()
	want := task.Committable{Topic: "in", Next: next}
	if e.Commit != nil && len(e.Commit.Offsets) == 1 {
		want.Note = e.Commit.Offsets[0].Note // other tests look at that
	}
	if e.Commit == nil || len(e.Commit.Offsets) != 1 || e.Commit.Offsets[0] != want || e.Commit.Epoch != 7 {
		t.Fatalf("commit %+v, expected %+v of epoch 7", e.Commit, want)
	}
}

// copying is the topology in → out.
func copying(opts ...topology.Option) func(*topology.Builder) {
	return func(b *topology.Builder) { topology.From(b, in).To(out, opts...) }
}
