package topologytest

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

// item is one record of a random run: val is id*tags + tag; operators change the tag only.
type item struct {
	key string
	val int64
}

const tags = 1000

func (i item) id() int64 { return i.val / tags }

// lineage is a stream of a random topology together with what it should hold.
type lineage struct {
	real    topology.Stream[string, int64]
	model   func(source int, i item) []item
	ordered bool // outputs of one key come in the order of their inputs
	path    string
	used    bool
}

// world is one random topology.
type world struct {
	rng     *rand.Rand
	b       *topology.Builder
	sources []topology.Topic[string, int64]
	streams []*lineage
	sinks   []topology.Topic[string, int64]
	models  []*lineage // of each sink
	topics  int
}

func (w *world) topic(kind string) topology.Topic[string, int64] {
	w.topics++
	return topology.NewTopic(fmt.Sprintf("%s-%d", kind, w.topics), serde.String, serde.Int64)
}

func newWorld(rng *rand.Rand) *world {
	w := &world{rng: rng, b: topology.NewBuilder("random")}
	for i := range 1 + rng.IntN(2) {
		t := w.topic("in")
		w.sources = append(w.sources, t)
		w.streams = append(w.streams, &lineage{real: topology.From(w.b, t), ordered: true, path: t.Name,
			model: func(source int, it item) []item {
				if source != i {
					return nil
				}
				return []item{it}
			}})
	}
	for range rng.IntN(8) {
		w.operator()
	}
	for _, s := range w.streams {
		if !s.used {
			t := w.topic("out")
			s.real.To(t)
			w.sinks, w.models = append(w.sinks, t), append(w.models, s)
		}
	}
	return w
}

func (w *world) pick() *lineage { return w.streams[w.rng.IntN(len(w.streams))] }

func (w *world) grow(s *lineage, real topology.Stream[string, int64], f func(item) []item) *lineage {
	s.used = true
	n := &lineage{real: real, ordered: s.ordered, path: s.path, model: func(source int, i item) []item {
		var out []item
		for _, x := range s.model(source, i) {
			out = append(out, f(x)...)
		}
		return out
	}}
	w.streams = append(w.streams, n)
	return n
}

func retag(v, c int64) int64 { return v/tags*tags + (v%tags*7+c)%tags }

// operator adds one random operator.
func (w *world) operator() {
	s, m := w.pick(), int64(2+w.rng.IntN(5))
	keep := func(v int64) bool { return (v/tags)%m != 0 }
	when := func(f func(int64) bool) func(item) []item {
		return func(i item) []item {
			if f(i.val) {
				return []item{i}
			}
			return nil
		}
	}
	switch w.rng.IntN(7) {
	case 0:
		w.grow(s, s.real.Filter(func(_ string, v int64) bool { return keep(v) }), when(keep))
	case 1:
		w.grow(s, topology.MapValues(s.real, func(v int64) int64 { return retag(v, m) }),
			func(i item) []item { return []item{{i.key, retag(i.val, m)}} })
	case 2:
		w.flatten(s, m)
	case 3:
		rekey := func(v int64) string { return fmt.Sprint("key", v/tags%m) }
		w.grow(s, topology.SelectKey(s.real, serde.String, func(_ string, v int64) string { return rekey(v) }),
			func(i item) []item { return []item{{rekey(i.val), i.val}} }).ordered = false
	case 4:
		yes, no := s.real.Branch(func(_ string, v int64) bool { return keep(v) })
		w.grow(s, yes, when(keep))
		w.grow(s, no, when(func(v int64) bool { return !keep(v) }))
	case 5:
		w.merge(s, w.pick())
	case 6:
		t := w.topic("mid")
		s.real.To(t)
		n := w.grow(s, topology.From(w.b, t), func(i item) []item { return []item{i} })
		n.path = t.Name
	}
}

func (w *world) flatten(s *lineage, m int64) {
	w.grow(s, topology.FlatMapValues(s.real, func(v int64) iter.Seq[int64] {
		return func(yield func(int64) bool) {
			_ = yield(retag(v, 1)) && yield(retag(v, m))
		}
	}), func(i item) []item { return []item{{i.key, retag(i.val, 1)}, {i.key, retag(i.val, m)}} })
}

func (w *world) merge(a, b *lineage) {
	a.used, b.used = true, true
	w.streams = append(w.streams, &lineage{
		real: a.real.Merge(b.real), ordered: a.ordered && b.ordered && a.path == b.path, path: a.path,
		model: func(source int, i item) []item { return append(a.model(source, i), b.model(source, i)...) },
	})
}

// sent is one input record of a run.
type sent struct {
	source int
	item   item
}

// drive sends records and lets things go wrong in between; crashes says whether tasks may crash.
func (w *world) drive(d *Driver, crashes bool) []sent {
	var all []sent
	for range 15 + w.rng.IntN(30) {
		var batch []topology.Record[string, int64]
		source := w.rng.IntN(len(w.sources))
		for range 1 + w.rng.IntN(4) {
			i := item{fmt.Sprint("k", w.rng.IntN(4)), int64(len(all)) * tags}
			all = append(all, sent{source, i})
			batch = append(batch, topology.Record[string, int64]{Key: i.key, Value: i.val})
		}
		if crashes && w.rng.IntN(4) == 0 {
			d.CrashAfter(1 + w.rng.IntN(12))
		}
		SendBatch(d, w.sources[source], batch...)
		switch w.rng.IntN(12) {
		case 0:
			d.Advance(time.Duration(w.rng.IntN(300)) * time.Millisecond)
		case 1:
			if crashes {
				d.Crash()
			}
		case 2:
			d.Stop()
			d.Restart()
		}
	}
	d.CrashAfter(0)
	d.Advance(time.Second)
	return all
}

// checkSink returns what is wrong with the records of one sink.
func checkSink(model *lineage, in []sent, got []topology.Record[string, int64], exact bool) error {
	want, seen, keyOf := map[item]int{}, map[item]int{}, map[int64]string{}
	for _, s := range in {
		keyOf[s.item.id()] = s.item.key
		for _, i := range model.model(s.source, s.item) {
			want[i]++
		}
	}
	type lane struct {
		partition int32
		key       string
	}
	last := map[lane]int64{}
	for _, r := range got {
		i := item{r.Key, r.Value}
		if want[i] == 0 {
			return fmt.Errorf("record %v was never expected", i)
		}
		if seen[i]++; seen[i] > 1 || !model.ordered {
			continue
		}
		l := lane{int32(r.Partition), keyOf[i.id()]}
		if before, ok := last[l]; ok && i.id() < before {
			return fmt.Errorf("record %v is there for the first time behind id %d of its key", i, before)
		}
		last[l] = i.id()
	}
	for i, n := range want {
		if seen[i] < n || exact && seen[i] != n {
			return fmt.Errorf("record %v is there %d times, expected %d", i, seen[i], n)
		}
	}
	return nil
}

// run drives one random topology and returns the first thing that is wrong.
func run(t *testing.T, seed uint64, crashes, lossy bool) error {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(rng)
	topo, err := w.b.Build()
	if err != nil {
		return err
	}
	limits := func(c *task.Config) {
		c.MaxUnsentBytes, c.BatchBytes, c.MaxFetchBytes = 100+int(seed%7)*200, 80+int(seed%5)*100, 1+int(seed%3)*500
	}
	d := New(t, topo, Partitions(1+rng.IntN(3)), Tune(limits), option(func(o *options) { o.lossy = lossy }))
	in := w.drive(d, crashes)
	d.Stop()
	for i, sink := range w.sinks {
		if err := checkSink(w.models[i], in, Read(d, sink), !crashes); err != nil {
			return fmt.Errorf("topic %s: %w\n%s", sink.Name, err, topo)
		}
	}
	for _, topic := range topo.Graph().SourceTopics() {
		for p, part := range d.log.topic(topic) {
			if c := d.log.offsets[inputPartition{topic, record.Partition(p)}]; part.end > 0 && c.next != part.end {
				return fmt.Errorf("topic %s/%d: committed %d of %d", topic, p, c.next, part.end)
			}
		}
	}
	return nil
}

// Goal: whatever the topology and wherever it crashes, every input has its outputs, in order; without crashes
// exactly once. Method: random topologies over 1–3 partitions with tight limits; a model says what each sink
// must hold; half of the seeds crash tasks between any two events.
func TestAtLeastOnce(t *testing.T) {
	for seed := range uint64(400) {
		if err := run(t, seed, seed%2 == 0, false); err != nil {
			t.Fatalf("seed %d: %v\nreplay: go test ./topology/topologytest -run TestAtLeastOnce", seed, err)
		}
	}
}

// Goal: the checker of TestAtLeastOnce finds lost records. Method: the same runs on a log that acknowledges
// some batches without keeping them.
func TestAtLeastOnceControl(t *testing.T) {
	found := 0
	for seed := range uint64(40) {
		if run(t, seed, seed%2 == 0, true) != nil {
			found++
		}
	}
	if found < 20 {
		t.Fatalf("only %d of 40 runs on a lossy log were found out", found)
	}
}
