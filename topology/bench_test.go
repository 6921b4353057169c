package topology_test

import (
	"context"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

// nowhere is a runtime that takes what is sent and forgets it.
type nowhere struct{}

func (nowhere) Context() context.Context                           { return context.Background() }
func (nowhere) Task() string                                       { return "bench/0_0" }
func (nowhere) Partition() record.Partition                        { return 0 }
func (nowhere) Now() time.Time                                     { return time.UnixMilli(0) }
func (nowhere) Send(*plan.Node, string, *record.Record) error      { return nil }
func (nowhere) Rows(*plan.Store) (plan.Rows, error)                { return nil, nil }
func (nowhere) CountLate(*plan.Node)                               {}
func (nowhere) CountSkipped(*plan.Node, string)                    {}
func (nowhere) Refuse(_ plan.Stage, _ *plan.Node, err error) error { return err }

// BenchmarkChain measures decode, filter, two mapValues and peek: the operators alone, a record at a time.
func BenchmarkChain(b *testing.B) {
	numbers := topology.NewTopic("numbers", serde.String, serde.Int64)
	builder := topology.NewBuilder("bench")
	s := topology.From(builder, numbers).Filter(func(_ string, v int64) bool { return v > 0 })
	s = topology.MapValues(s, func(v int64) int64 { return v + 1 })
	var sum int64
	topology.MapValues(s, func(v int64) int64 { return v * 2 }).Peek(func(_ string, v int64) { sum += v })
	topo, err := builder.Build()
	if err != nil {
		b.Fatal(err)
	}
	in, err := topo.Graph().Subs[0].Open(nowhere{})
	if err != nil {
		b.Fatal(err)
	}
	raw := record.Record{Key: []byte("key"), Value: []byte{7: 7}, TimestampMs: 1_700_000_000_000}
	chain := in.Chains()[0]
	b.ReportAllocs()
	for b.Loop() {
		if err := chain.Process(&raw); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTask measures the text transformer through a whole task: a fetched batch of 1000 records is
// checked, read, processed, encoded and built into a batch, which is acknowledged at once. It reports time
// per record.
func BenchmarkTask(b *testing.B) {
	topo, err := textTransformer()
	if err != nil {
		b.Fatal(err)
	}
	core, err := task.New(task.Config{ID: task.ID{App: topo.App()}, Graph: topo.Graph()})
	if err != nil {
		b.Fatal(err)
	}
	const records = 1000
	var builder record.Builder
	for range records {
		line := "a line of text as it is found in a book of ordinary length"
		_ = builder.Append(&record.Record{Value: []byte(line)})
	}
	batch, err := builder.Build(0, record.CodecNone)
	if err != nil {
		b.Fatal(err)
	}
	now := time.UnixMilli(0)
	step := func(in task.Input) task.Effects {
		e, err := core.Step(now, in)
		if err != nil {
			b.Fatal(err)
		}
		return e
	}
	step(task.Open{})
	at := task.Position{Topic: Lines.Name, Committed: task.NotCommitted, End: 1 << 40}
	e := step(task.Located{Positions: []task.Position{at}})
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		record.Batch(batch).SetBaseOffset(e.Fetch[0].From)
		e = step(task.Fetched{Topic: Lines.Name, Batches: [][]byte{batch}})
		for _, d := range e.Describe {
			e2 := step(task.Described{Topic: d.Topic, Partitions: 1})
			e.Send = e2.Send
		}
		for _, s := range e.Send {
			if e2 := step(task.Sent{Seq: s.Seq}); e2.Commit != nil {
				step(task.Committed{})
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
}
