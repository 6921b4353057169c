package task_test

import (
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

// A task's life by hand: every answer is fed in as it comes, every effect is carried out by whoever runs the
// task.
func ExampleCore_Step() {
	b := topology.NewBuilder("copy")
	topology.From(b, in).To(out)
	topo, err := b.Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	core, err := task.New(task.Config{ID: task.ID{App: "copy"}, Graph: topo.Graph(), Epoch: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.UnixMilli(0)
	step := func(i task.Input) task.Effects {
		e, err := core.Step(now, i)
		if err != nil {
			fmt.Println(err)
		}
		return e
	}

	e := step(task.Open{})
	fmt.Println("locate", e.Locate.Topics)
	e = step(task.Located{Positions: []task.Position{{Topic: "in", Committed: task.NotCommitted}}})
	fmt.Println("fetch from", e.Fetch[0].From)

	var batch record.Builder
	_ = batch.Append(&record.Record{Key: []byte("k"), Value: []byte("v")})
	frame, _ := batch.Build(0, record.CodecNone)
	e = step(task.Fetched{Topic: "in", Batches: [][]byte{frame}})
	fmt.Println("describe", e.Describe[0].Topic)
	e = step(task.Described{Topic: "out", Partitions: 1})
	fmt.Println("send", e.Send[0].Records, "record to", e.Send[0].Topic)
	e = step(task.Sent{Seq: e.Send[0].Seq})
	fmt.Println("commit", e.Commit.Offsets[0].Next)
	step(task.Committed{})
	fmt.Println("stopped", step(task.Stop{}).Stopped)
	// Output:
	// locate [in]
	// fetch from 0
	// describe out
	// send 1 record to out
	// commit 1
	// stopped true
}

func ExampleParseID() {
	id, err := task.ParseID("text-transformer/0_2")
	fmt.Println(id.App, id.Sub, id.Partition, err)
	// Output: text-transformer 0 2 <nil>
}
