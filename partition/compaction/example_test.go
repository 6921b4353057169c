package compaction_test

import (
	"fmt"

	"github.com/millstream-io/millstream/partition/compaction"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// entry makes a log entry of one record.
func entry(index uint64, key, value string) state.Entry {
	var b record.Builder
	_ = b.Append(&record.Record{Key: []byte(key), Value: []byte(value)})
	frame, _ := b.Build(state.FrameRoom, record.CodecNone)
	offset := record.Offset(index - 1)
	record.Batch(frame[state.FrameRoom:]).SetBaseOffset(offset)
	e := state.Entry{Index: index, Term: 1, Type: state.EntryRecords, Base: offset, Last: offset, Frame: frame}
	e.Seal()
	return e
}

// A pass goes twice over the log: first over what is dirty, to learn what is newest, then over all of it.
func ExamplePlan_Keep() {
	log := []state.Entry{entry(1, "ann", "red"), entry(2, "bob", "blue"), entry(3, "ann", "green")}
	b := compaction.NewBuilder(0, 16<<20)
	for _, e := range log {
		if full, err := b.Add(e); full || err != nil {
			break // the pass ends at b.Through()
		}
	}
	p := b.Plan(0, log[2].Next())
	for _, e := range log { // a store does this, with p.Keep as the Keep of a state.Compaction
		_, some, err := p.Keep(e)
		fmt.Println(e.Index, some, err)
	}
	fmt.Println(p.Facts().Dropped, "dropped through", p.Through())
	// Output:
	// 1 false <nil>
	// 2 true <nil>
	// 3 true <nil>
	// 1 dropped through 3
}
