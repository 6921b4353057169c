package topology_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
)

// hashRows is a store that costs next to nothing, so that a benchmark shows the operators alone.
type hashRows struct{ rows map[string][]byte }

func (h *hashRows) Get(key []byte) ([]byte, bool, error) {
	v, ok := h.rows[string(key)]
	return v, ok, nil
}

func (h *hashRows) Put(key, value []byte) error {
	if v, ok := h.rows[string(key)]; ok && len(v) == len(value) {
		copy(v, value)
		return nil
	}
	h.rows[string(key)] = bytes.Clone(value)
	return nil
}

func (h *hashRows) Delete(key []byte) error {
	delete(h.rows, string(key))
	return nil
}

func (h *hashRows) Range([]byte, []byte, bool, func(key, value []byte) bool) error { return nil }

// statefulNowhere is a runtime with hashRows.
type statefulNowhere struct{ nowhere }

func (statefulNowhere) Rows(*plan.Store) (plan.Rows, error) {
	return &hashRows{rows: map[string][]byte{}}, nil
}

// benchChain sends one record again and again through the first source of a topology.
func benchChain(b *testing.B, build func(b *topology.Builder)) {
	builder := topology.NewBuilder("bench")
	build(builder)
	topo, err := builder.Build()
	if err != nil {
		b.Fatal(err)
	}
	in, err := topo.Graph().Subs[0].Open(statefulNowhere{})
	if err != nil {
		b.Fatal(err)
	}
	if err := in.Init(); err != nil {
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

// BenchmarkCount measures decode, count in a store and encode.
func BenchmarkCount(b *testing.B) {
	benchChain(b, func(b *topology.Builder) {
		topology.From(b, payments).GroupByKey().Count(sumStore).ToStream().To(sums)
	})
}

// BenchmarkCountWindowed is BenchmarkCount in a tumbling window.
func BenchmarkCountWindowed(b *testing.B) {
	benchChain(b, func(b *topology.Builder) {
		topology.CountWindowed(topology.From(b, payments).GroupByKey(), topology.Tumbling(time.Minute), perKey).
			ToStream().To(windowed)
	})
}

// BenchmarkToTable measures decode, a table and a filter behind it, which needs the row before.
func BenchmarkToTable(b *testing.B) {
	benchChain(b, func(b *topology.Builder) {
		topology.TableFrom(b, payments, latest).Filter(func(_ string, v int64) bool { return v > 0 }).
			ToStream().To(sums)
	})
}

// BenchmarkJoinTable measures decode and a look-up.
func BenchmarkJoinTable(b *testing.B) {
	benchChain(b, func(b *topology.Builder) {
		s := topology.From(b, payments)
		names := topology.NewTopic("names", serde.String, serde.Int64)
		topology.LeftJoinTable(s, topology.TableFrom(b, names, latest),
			func(l, r int64, _ bool) int64 { return l + r }).To(sums)
	})
}
