package grpc_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	rpc "google.golang.org/grpc"

	"github.com/millstream-io/millstream/cluster"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
)

// What deaf readers may cost: the share of readers is a quarter of RequestBytes, and each stream has two small messages
// under way at most; the rest is what gRPC and Go need.
const (
	deafReaders = 24
	deafRequest = 64 << 20
	deafBound   = deafRequest/4 + deafReaders*2*(128<<10) + 16<<20
)

// deaf are the ways of asking for much and taking nothing.
var deaf = []struct {
	name string
	open func(w *world, ctx context.Context, c *rpc.ClientConn, n int)
}{
	{"Fetch, batches", func(w *world, ctx context.Context, c *rpc.ClientConn, _ int) {
		w.deafFetch(ctx, c, apiv1.Form_FORM_BATCHES)
	}},
	{"Fetch, records", func(w *world, ctx context.Context, c *rpc.ClientConn, _ int) {
		w.deafFetch(ctx, c, apiv1.Form_FORM_RECORDS)
	}},
	{"Read", func(w *world, ctx context.Context, c *rpc.ClientConn, _ int) {
		s, err := c.NewStream(ctx, &rpc.StreamDesc{}, apiv1.Records_Read_FullMethodName)
		if err == nil {
			err = s.SendMsg(&apiv1.ReadRequest{
				Form: apiv1.Form_FORM_BATCHES, MaxBytes: 4 << 20, Partitions: []*apiv1.ReadPartition{{Topic: "t"}},
			})
		}
		if err == nil {
			err = s.CloseSend()
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}},
	{"Consume", func(w *world, ctx context.Context, c *rpc.ClientConn, n int) {
		s, err := apiv1.NewConsumerClient(c).Consume(ctx)
		if err == nil {
			j := join(apiv1.Form_FORM_BATCHES)
			j.Group, j.CreditBytes = fmt.Sprint("deaf", n), 1<<40
			err = s.Send(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Join{Join: j}})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}},
}

func (w *world) deafFetch(ctx context.Context, c *rpc.ClientConn, form apiv1.Form) {
	s, err := apiv1.NewRecordsClient(c).Fetch(ctx)
	if err == nil {
		err = s.Send(&apiv1.FetchRequest{Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{
			Form: form, CreditBytes: 1 << 40, MaxMessageBytes: 4 << 20,
			Partitions: []*apiv1.FetchPartition{part("t", 0, at(0), 7)},
		}}})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// deafWorld is a member with 12 MB in a topic, nearly all of them on the disk only: each answer has memory of its own.
// What reading and groups fill once and for all, caches and tables of the store, is filled.
func deafWorld(t *testing.T, requestBytes int64) *world {
	w := newWorld(t, func(c *cluster.Config) { c.RequestBytes, c.TailCacheBytes = requestBytes, 64<<10 })
	w.topic("t", 1, nil)
	s, err := w.records.Produce(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	b := batch(t, 6, 10_000)
	for i := range deafBatches {
		if err := s.Send(raw(uint64(i), "t", 0, b)); err != nil {
			t.Fatal(err)
		}
		if a, err := s.Recv(); err != nil || a.Appended[0].Error != nil {
			t.Fatal(err, a)
		}
	}
	w.fetchAll("t", 1, deafBatches*6, apiv1.Form_FORM_BATCHES)
	c := w.consume(join(apiv1.Form_FORM_BATCHES))
	c.until("records", func() bool { return c.read > 0 })
	c.cancel()
	return w
}

const deafBatches = 200

// heldBytes is what the process holds of its heap.
func heldBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// openDeaf opens many deaf readers on two connections. What it returns ends them.
func (w *world) openDeaf(open func(*world, context.Context, *rpc.ClientConn, int)) (end func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	small := []rpc.DialOption{rpc.WithStaticStreamWindowSize(64 << 10), rpc.WithStaticConnWindowSize(64 << 10)}
	conns := []*rpc.ClientConn{w.dial(small...), w.dial(small...)}
	for n := range deafReaders {
		open(w, ctx, conns[n%len(conns)], n)
	}
	return func() {
		cancel()
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

// eventually waits for a fact.
func (w *world) eventually(fact string, is func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-w.ctx.Done():
			w.t.Fatalf("never came true: %s", fact)
		}
	}
}

// Goal: clients that ask for much and take nothing cost a bounded number of bytes, others read and write on, and what
// they held is free when they are gone. Method: every way of being deaf, many at a time, on data of the disk; the heap
// while another client reads all of it several times and produces; the heap afterwards.
func TestDeafReaders(t *testing.T) {
	for _, way := range deaf {
		t.Run(way.name, func(t *testing.T) {
			w := deafWorld(t, deafRequest)
			before := heldBytes()
			end := w.openDeaf(way.open)
			most := int64(0)
			for i := range 4 {
				w.fetchAll("t", 1, int64(deafBatches*6+i), apiv1.Form_FORM_BATCHES)
				w.publish("t", ptr(int32(0)), values("on"))
				most = max(most, heldBytes()-before)
			}
			if most > deafBound {
				t.Errorf("%d MiB are held", most>>20)
			}
			t.Logf("%.1f MiB are held", float64(most)/(1<<20))
			end()
			w.eventually("free memory", func() bool { return heldBytes()-before < 16<<20 })
		})
	}
}

// Goal: the checker of deaf readers finds what it is there for. Method: the same readers at a member whose budget is
// out of reach: the heap must pass the bound.
func TestDeafReadersAreSeen(t *testing.T) {
	for _, way := range deaf {
		t.Run(way.name, func(t *testing.T) {
			w := deafWorld(t, 1<<40)
			before := heldBytes()
			end := w.openDeaf(way.open)
			defer end()
			w.eventually("more than the bound is held", func() bool { return heldBytes()-before > deafBound })
		})
	}
}
