package grpc

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/gateway/kafka"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
)

// fullPort is a port whose log has no end: every read is answered at once, with as much as it asks for.
type fullPort struct {
	*heldPort
	batch []byte
	asked atomic.Int64 // bytes, of the last question
	reads atomic.Int64
}

func newFullPort(t testing.TB, batchBytes int) *fullPort {
	return &fullPort{heldPort: newHeldPort(), batch: batchOf(t, make([]byte, batchBytes))}
}

func (p *fullPort) Fetch(f broker.Fetch, done func(broker.Fetched)) (cancel func()) {
	p.asked.Store(int64(f.MaxBytes))
	p.reads.Add(1)
	var out []byte
	for at := uint64(f.Partitions[0].From); len(out) == 0 || len(out)+len(p.batch) <= f.MaxBytes; at++ {
		n := len(out)
		out = append(out, p.batch...)
		binary.BigEndian.PutUint64(out[n:], at) // the base offset, which no checksum covers
	}
	parts := make([]broker.FetchedPartition, len(f.Partitions))
	parts[0].Batches = [][]byte{out}
	done(broker.Fetched{Partitions: parts, Release: func() {}})
	return func() {}
}

// Goal: a reader takes much while the budget has room, little when others have used it up, nothing more while it holds
// that, and gives everything back. Method: readers over a log without an end, step by step.
func TestReaderBudget(t *testing.T) {
	port := newFullPort(t, 1000)
	budget := kafka.NewCredit(1 << 30)
	d := &door{port: port, reading: &readBudget{member: budget, limit: 1 << 20}}
	read := func(r *reader) (answer chan broker.Fetched, cancel func()) {
		answer = make(chan broker.Fetched, 1)
		f := broker.Fetch{MinBytes: 1, MaxBytes: 900 << 10, Partitions: make([]broker.FetchPartition, 1)}
		return answer, r.Fetch(f, func(a broker.Fetched) { answer <- a })
	}
	first, second := d.newReader(), d.newReader()
	a, _ := read(first)
	large := <-a
	if n := bytesOf(large.Partitions[0].Batches); n < 800<<10 || budget.Used() != n {
		t.Fatalf("%d bytes were read, %d are charged", n, budget.Used())
	}
	b, _ := read(second)
	small := <-b
	if n := bytesOf(small.Partitions[0].Batches); n > smallRead || n < smallRead/2 {
		t.Fatalf("%d bytes were read beside a full budget", n)
	}
	second.account.force(smallRead) // it holds a little more
	b, _ = read(second)
	if n := port.reads.Load(); n != 2 || len(b) > 0 {
		t.Fatalf("%d reads, and an answer to a reader that holds one", n)
	}
	second.account.give(smallRead)
	small.Release()
	again := <-b // asked now that the other one is back
	second.account.force(smallRead)
	c, cancel := read(second)
	cancel()
	(<-c).Release() // a question that is given up is answered
	again.Release()
	large.Release()
	second.account.give(smallRead)
	b, _ = read(second)
	last := <-b
	if n := bytesOf(last.Partitions[0].Batches); n < smallRead/2 {
		t.Errorf("%d bytes were read with all given back", n)
	}
	second.settle()
	last.Release()
	if budget.Used() != 0 || d.reading.used != 0 {
		t.Errorf("%d and %d bytes never came back", budget.Used(), d.reading.used)
	}
	d.wg.Wait()
}

// Goal: a reader steps over offsets of which compaction has left nothing, and its client is told. Method: a log whose
// end is ahead of its last batch; a stream and a call.
func TestSkipsWhatCompactionLeft(t *testing.T) {
	port := &emptiedPort{heldPort: newHeldPort()}
	s := serve(t, port, Options{})
	c := apiv1.NewRecordsClient(s.conn)
	f, err := c.Fetch(s.ctx)
	if err == nil {
		err = f.Send(&apiv1.FetchRequest{Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{
			CreditBytes: 1, Partitions: []*apiv1.FetchPartition{
				{Topic: "t", From: &apiv1.Position{At: &apiv1.Position_Offset{Offset: 3}}},
			},
		}}})
	}
	var m *apiv1.FetchResponse
	for err == nil && m.GetBatches() == nil {
		m, err = f.Recv()
	}
	if err != nil || m.GetBatches().Data.NextOffset != 42 || m.GetBatches().Size != 0 {
		t.Errorf("the stream goes on with %v, %v", m, err)
	}
	r, err := c.Read(s.ctx, &apiv1.ReadRequest{Partitions: []*apiv1.ReadPartition{{Topic: "t", Offset: 3}}})
	if err != nil || r.Partitions[0].Data.NextOffset != 42 {
		t.Errorf("the call goes on with %v, %v", r, err)
	}
	port.answer()
}

// emptiedPort is a log with nothing in front of offset 42.
type emptiedPort struct{ *heldPort }

func (p *emptiedPort) Fetch(f broker.Fetch, done func(broker.Fetched)) (cancel func()) {
	if f.Partitions[0].From >= 42 {
		return p.heldPort.Fetch(f, done)
	}
	done(broker.Fetched{Partitions: []broker.FetchedPartition{{HighWatermark: 42, LastStable: 42}}, Release: func() {}})
	return func() {}
}

// Goal: a stream whose client takes nothing is ended after the time for that, and what it held is free; one that waits
// for credit is not. Method: one of each on a log without an end.
func TestStuckStream(t *testing.T) {
	for _, form := range []apiv1.Form{apiv1.Form_FORM_BATCHES, apiv1.Form_FORM_RECORDS} {
		s := serve(t, newFullPort(t, 10_000), Options{SendTimeout: time.Second})
		open := func(credit uint64) grpc.BidiStreamingClient[apiv1.FetchRequest, apiv1.FetchResponse] {
			f, err := apiv1.NewRecordsClient(s.conn).Fetch(s.ctx)
			if err == nil {
				err = f.Send(&apiv1.FetchRequest{Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{
					Form: form, CreditBytes: credit, MaxMessageBytes: 200_000, Partitions: []*apiv1.FetchPartition{
						{Topic: "t", From: &apiv1.Position{At: &apiv1.Position_Offset{}}},
					},
				}}})
			}
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		deaf, waiting := open(1<<40), open(0)
		if _, err := waiting.Recv(); err != nil {
			t.Fatal(err)
		}
		s.until("the end of the deaf stream", func() bool { return s.seen.stuck.Load() == 1 })
		var err error
		for err == nil {
			_, err = deaf.Recv()
		}
		if !errors.Is(wire.RefusalOf(err), fault.RequestTimedOut) {
			t.Errorf("%s: ended with %v", form, err)
		}
		if err := waiting.Send(&apiv1.FetchRequest{Command: &apiv1.FetchRequest_CreditBytes{CreditBytes: 1}}); err != nil {
			t.Fatal(err)
		}
		if r, err := waiting.Recv(); err != nil || r.GetBatches() == nil {
			t.Errorf("%s: a stream without credit: %v, %v", form, r, err)
		}
	}
}
