package topology_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

// wordBench drives the core of one task. What it sends and commits is acknowledged behind the next input, so that it
// never comes to rest.
type wordBench struct {
	b    *testing.B
	core *task.Core
	now  time.Time
	next task.Fetch
	late []task.Input
	sent int
}

func newWordBench(b *testing.B, sub int) *wordBench {
	builder := topology.NewBuilder("bench")
	lines := topology.NewTopic("lines", serde.String, serde.String)
	counts := topology.KV("counts", serde.String, serde.Int64, topology.InMemory())
	words := topology.FlatMapValues(topology.From(builder, lines, topology.FromEarliest()), strings.FieldsSeq)
	topology.GroupBy(words, serde.String, func(_, w string) string { return w }).Count(counts).ToStream().
		To(topology.NewTopic("counts", serde.String, serde.Int64))
	topo, err := builder.Build()
	if err != nil {
		b.Fatal(err)
	}
	core, err := task.New(task.Config{ID: task.ID{App: "bench", Sub: sub}, Graph: topo.Graph(), FrameRoom: 64})
	if err != nil {
		b.Fatal(err)
	}
	w := &wordBench{b: b, core: core, now: time.UnixMilli(1000)}
	w.step(task.Open{})
	return w
}

// step takes an input, and what its effects lead to.
func (w *wordBench) step(in task.Input) {
	answers := append([]task.Input{in}, w.late...)
	w.late = w.late[:0]
	for len(answers) > 0 {
		e, err := w.core.Step(w.now, answers[0])
		answers = answers[1:]
		if err != nil {
			w.b.Fatal(err)
		}
		for _, f := range e.Fence {
			answers = append(answers, task.Fenced{Topic: f.Topic})
		}
		if e.Locate != nil {
			at := task.Position{Topic: e.Locate.Topics[0], Committed: task.NotCommitted, End: 1 << 40}
			answers = append(answers, task.Located{Positions: []task.Position{at}})
		}
		for _, d := range e.Describe {
			answers = append(answers, task.Described{Topic: d.Topic, Partitions: 2})
		}
		for _, s := range e.Send {
			w.sent += s.Records
			w.late = append(w.late, task.Sent{Seq: s.Seq, Base: task.NoBase})
		}
		if e.Commit != nil {
			w.late = append(w.late, task.Committed{})
		}
		if len(e.Fetch) > 0 {
			w.next = e.Fetch[0]
		}
	}
}

// benchWords gives a task the same batch of records again and again, 100 ms apart, and reports time per word.
func benchWords(b *testing.B, sub int, words int, next func(word func() string) record.Record) {
	pick := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), 1.1, 1, 9999)
	word := func() string { return fmt.Sprintf("word%d", pick.Uint64()) }
	var builder record.Builder
	for range 20_000 / words {
		r := next(word)
		_ = builder.Append(&r)
	}
	batch, err := builder.Build(0, record.CodecNone)
	if err != nil {
		b.Fatal(err)
	}
	w := newWordBench(b, sub)
	b.ReportAllocs()
	for b.Loop() {
		record.Batch(batch).SetBaseOffset(w.next.From)
		w.now = w.now.Add(100 * time.Millisecond)
		w.step(task.Fetched{Topic: w.next.Topic, Batches: [][]byte{batch}})
	}
	if w.sent < 20_000*(b.N-2) {
		b.Fatalf("%d records written for %d", w.sent, 20_000*b.N)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/20_000, "ns/word")
}

// BenchmarkSplitWords measures the first half of a word count through a whole task: lines of eight words in, each
// word out to one of two partitions.
func BenchmarkSplitWords(b *testing.B) {
	benchWords(b, 0, 8, func(word func() string) record.Record {
		var line []byte
		for range 8 {
			line = append(append(line, word()...), ' ')
		}
		return record.Record{Value: line}
	})
}

// BenchmarkCountWords measures the second half: words in, counted in a store in memory, every count out, and a
// changelog record for each word of a batch.
func BenchmarkCountWords(b *testing.B) {
	benchWords(b, 1, 1, func(word func() string) record.Record {
		w := []byte(word())
		return record.Record{Key: w, Value: w}
	})
}
