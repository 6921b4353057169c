package partition_test

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// A replica decides, its shell acts: here the shell makes every write "durable" at once and prints the
// answers.
func ExampleReplica_Step() {
	replica, err := partition.New(partition.Config{ID: 1, Name: "greetings/0", Voters: []record.ReplicaID{1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.UnixMilli(0)
	var carry func(partition.Effects)
	carry = func(e partition.Effects) {
		for _, r := range e.Replies {
			fmt.Printf("request %d: base offset %d, leader epoch %d, error %v\n", r.Req, r.Base, r.Epoch, r.Err)
		}
		if v := e.View; v != nil && v.Ready {
			fmt.Printf("readers see [%d, %d)\n", v.LogStart, v.HighWatermark)
		}
		for _, p := range e.Persist { // a real shell hands p.Write to its state.LogStore
			carry(replica.Step(now, partition.Persisted{Token: p.Token}))
		}
	}
	carry(replica.Step(now, partition.Tick{})) // the first input begins: a single voter leads at once

	var b record.Builder
	_ = b.Append(&record.Record{Value: []byte("hello")})
	_ = b.Append(&record.Record{Value: []byte("world")})
	frame, _ := b.Build(state.FrameRoom, record.CodecNone)
	carry(replica.Step(now, partition.Append{Req: 7, Acks: -1, Epoch: record.NoEpoch, Frame: frame}))
	fmt.Println("the frame's first byte is its version:", hex.EncodeToString(frame[:1]))
	// Output:
	// readers see [0, 0)
	// request 7: base offset 0, leader epoch 2, error <nil>
	// readers see [0, 2)
	// the frame's first byte is its version: 01
}
