package task_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/task"
)

// Goal: one topology serves many tasks at once. Method: simulations in parallel on the same value; it is the
// race detector that looks.
func TestTopologyIsShared(t *testing.T) {
	topo := buildTroubled(t)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			for i := range uint64(5) {
				if err := newSimulation(t, 1000+10*seed+i, topo).run(true); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// FuzzFetched checks that no bytes make a task panic, and that it either stops with an error or goes on to
// fetch behind what it has read.
func FuzzFetched(f *testing.F) {
	var b record.Builder
	_ = b.Append(&record.Record{Key: []byte("k"), Value: []byte("v"), Headers: []record.Header{{Key: "h"}}})
	whole, _ := b.Build(0, record.CodecNone)
	zipped, _ := b.Build(0, record.CodecZstd)
	f.Add(whole, true)
	f.Add(append(append([]byte{}, whole...), zipped...), false)
	f.Add(whole[:40], true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, bytes []byte, repair bool) {
		if first, _, err := record.Next(bytes); err == nil && repair && len(first) > record.HeaderSize {
			first.StampProducer(record.NoProducer, -1, record.NoSequence) // a checksum that fits gets deeper
		}
		h := newHarness(t, build(t, copying()), nil)
		h.begin()
		e, err := h.core.Step(h.now, task.Fetched{Topic: "in", Batches: [][]byte{bytes}})
		if err != nil {
			return
		}
		e = h.after(time.Second, task.Tick{})
		if err := h.core.Close(); err != nil || e.Commit != nil && e.Commit.Offsets[0].Next < 0 {
			t.Fatalf("close: %v, commit %+v", err, e.Commit)
		}
	})
}
