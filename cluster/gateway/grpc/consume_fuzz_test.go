package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: whatever a client says on a Consume stream, before or after it has joined, the stream ends when its client
// does, nothing panics, and the refusals are refusals. Method: any command, twice, on a stream of a real member.
func FuzzConsume(f *testing.F) {
	here := []*apiv1.TopicPartition{{Topic: "t"}, {Topic: "none", Partition: -1}}
	for _, r := range []*apiv1.ConsumeRequest{
		{Command: &apiv1.ConsumeRequest_Join{Join: join(apiv1.Form_FORM_BATCHES)}},
		{Command: &apiv1.ConsumeRequest_CreditBytes{CreditBytes: 1 << 62}},
		{Command: &apiv1.ConsumeRequest_Commit{Commit: &apiv1.ConsumeCommit{
			Id: 7, Offsets: []*apiv1.ConsumeOffset{{Topic: "t", Offset: -5, Metadata: "m"}, nil},
		}}},
		{Command: &apiv1.ConsumeRequest_Released{Released: &apiv1.ConsumeReleased{RevocationId: 3}}},
		{Command: &apiv1.ConsumeRequest_Pause{Pause: &apiv1.ConsumePartitions{Partitions: here}}},
		{Command: &apiv1.ConsumeRequest_Resume{Resume: &apiv1.ConsumePartitions{Partitions: here}}},
		{Command: &apiv1.ConsumeRequest_Seek{Seek: &apiv1.ConsumeSeek{
			Partitions: []*apiv1.ConsumeSeekTo{{Topic: "t", To: at(1 << 60), PositionId: 1}, {}},
		}}},
		{Command: &apiv1.ConsumeRequest_Leave{Leave: &apiv1.ConsumeLeave{}}},
		{},
	} {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(true, b)
		f.Add(false, b)
	}
	w := newWorld(f)
	w.topic("t", 1, nil)
	w.write(1, 10)
	n := 0
	f.Fuzz(func(t *testing.T, joined bool, b []byte) {
		var r apiv1.ConsumeRequest
		if proto.Unmarshal(b, &r) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s, err := apiv1.NewConsumerClient(w.conn).Consume(ctx)
		if err != nil {
			t.Fatal(err)
		}
		commands := []*apiv1.ConsumeRequest{&r, &r}
		if joined {
			n++
			j := join(apiv1.Form_FORM_RECORDS)
			j.Group = fmt.Sprintf("g-%d", n%50)
			commands = append([]*apiv1.ConsumeRequest{{Command: &apiv1.ConsumeRequest_Join{Join: j}}}, commands...)
		}
		for _, r := range commands {
			if err := s.Send(r); err != nil {
				break // it is over; Recv says why
			}
		}
		_ = s.CloseSend()
		for err == nil {
			_, err = s.Recv()
		}
		if ctx.Err() != nil {
			t.Fatalf("the stream does not end: %v", err)
		}
		if refused := wire.RefusalOf(err); !errors.Is(err, io.EOF) && fault.CodeOf(refused) == fault.Unknown {
			t.Fatalf("it ends with %v, which is no refusal: %v", err, status.Convert(err).Details())
		}
	})
}
