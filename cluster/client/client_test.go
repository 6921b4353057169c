package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// hold makes every answer wait until the returned function is called.
func hold(f *fakeCluster) (release func()) {
	gate := make(chan struct{})
	f.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

func (f *fakeCluster) seen() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests)
}

// eventually waits for a named fact.
func eventually(t *testing.T, fact string, is func() bool) {
	t.Helper()
	for ctx := within(t); !is(); {
		if !pause(ctx, 200*time.Microsecond) {
			t.Fatalf("never came true: %s", fact)
		}
	}
}

// Goal: without linger the first record goes at once, and what comes while it is under way gathers in one
// batch. Method: hold the first answer back.
func TestNaturalBatching(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	release := hold(f)
	c := newClient(t, f)
	defer release()
	for i := range 100 {
		c.ProduceAsync(within(t), Record{Topic: "t", Value: fmt.Append(nil, i)}, func(Delivery) {})
		if i == 0 {
			eventually(t, "the first record is sent alone", func() bool { return f.seen() == 1 })
		}
	}
	release()
	if err := c.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	if f.seen() != 2 || f.requests[0].count != 1 || f.requests[1].count != 99 {
		t.Fatalf("requests: %+v", f.requests)
	}
}

// Goal: without linger a large batch does not wait for those under way, a small one does. Method: hold all answers back;
// records for three large batches, one after another, and a small one.
func TestLargeBatchesOverlap(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	release := hold(f)
	c := newClient(t, f)
	defer release()
	value := make([]byte, 10<<10)
	large := largeBatch/len(value) + 1
	want := []int{1, large, large, large, 1}
	for i, n := range want {
		for range n {
			c.ProduceAsync(within(t), Record{Topic: "t", Value: value}, func(Delivery) {})
		}
		if i < 4 {
			eventually(t, "a batch is sent before the answers", func() bool { return f.seen() == i+1 })
		}
	}
	release()
	if err := c.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	for i, r := range f.requests {
		if len(f.requests) != len(want) || int(r.count) != want[i] {
			t.Fatalf("requests: %+v, want the counts %v", f.requests, want)
		}
	}
}

// Goal: linger waits for more, but not for ever, and neither Flush nor a full batch waits for it. Method: one
// long and one short linger.
func TestLinger(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	c := newClient(t, f, WithLinger(time.Hour), WithMaxBatchBytes(4<<10))
	var calls atomic.Int32
	produce := func(n, size int) {
		for range n {
			c.ProduceAsync(within(t), Record{Topic: "t", Value: make([]byte, size)}, func(Delivery) { calls.Add(1) })
		}
	}
	produce(10, 10)
	if err := c.Flush(within(t)); err != nil || f.seen() != 1 || calls.Load() != 10 {
		t.Fatalf("flush: %v, %d requests, %d callbacks", err, f.seen(), calls.Load())
	}
	produce(5, 3<<10)
	eventually(t, "full batches are sent", func() bool { return f.seen() == 5 })

	short := newClient(t, newCluster(map[string]int{"t": 1}), WithLinger(time.Millisecond))
	if _, err := short.Produce(within(t), Record{Topic: "t"}); err != nil {
		t.Fatal(err)
	}
}

// Goal: a batch is never above its limit. Method: records of many sizes, every frame measured.
func TestBatchLimit(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	largest := 0
	f.trouble = func(_ int, o Outgoing) mishap {
		largest = max(largest, len(o.Frame)-64)
		return mishap{late: time.Microsecond}
	}
	c := newClient(t, f, WithMaxBatchBytes(2000))
	for i := range 500 {
		c.ProduceAsync(within(t), Record{Topic: "t", Value: make([]byte, i*3)}, func(d Delivery) {
			if d.Err != nil {
				t.Error(d.Err)
			}
		})
	}
	if err := c.Flush(within(t)); err != nil || largest > 2000 || largest < 1500 {
		t.Fatalf("largest batch has %d bytes, %v", largest, err)
	}
}

// Goal: a topic that takes smaller batches than the client makes gets them, once and in order; a single
// record that is too large fails alone. Method: a leader with a limit, and lost answers on top.
func TestTooLargeBatchesAreSplit(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	f.trouble = func(n int, o Outgoing) (m mishap) {
		switch {
		case len(o.Frame)-64 > 2000:
			m.refuse = fault.New(fault.RecordTooLarge, "over 2000 bytes")
		case n%5 == 0:
			m.lose = fault.New(fault.RequestTimedOut, "lost")
		}
		return m
	}
	c := newClient(t, f, WithLinger(time.Hour), WithMaxBatchBytes(8<<10))
	var l load
	l.produce(within(t), c, "t", 1, 2000)
	if err := c.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := l.verify(f, "t", 1, 2000); err != nil || len(l.errs) > 0 {
		t.Fatal(err, l.errs)
	}
	var failed atomic.Int32
	for i := range 9 {
		size := 10
		if i == 4 {
			size = 3000
		}
		c.ProduceAsync(within(t), Record{Topic: "t", Value: make([]byte, size)}, func(d Delivery) {
			if d.Err != nil && errors.Is(d.Err, fault.RecordTooLarge) {
				failed.Add(1)
			}
		})
	}
	if err := c.Flush(within(t)); err != nil || failed.Load() != 1 || f.topics["t"].parts[0].end != 2008 {
		t.Fatalf("%d records failed, the log ends at %d, %v", failed.Load(), f.topics["t"].parts[0].end, err)
	}
}

// Goal: the buffer is bounded; a full one makes producers wait in line, as long as their ctx allows. Method:
// hold the answers back, fill it, and let it go.
func TestBufferIsBounded(t *testing.T) { synctest.Test(t, bufferIsBounded) }

func bufferIsBounded(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	release := hold(f)
	c := newClient(t, f, WithMaxBufferedBytes(10<<10))
	defer release()
	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	taken := 0
	for refused := false; !refused && taken < 100; {
		c.ProduceAsync(short, Record{Topic: "t", Value: make([]byte, 1000)}, func(d Delivery) {
			if errors.Is(d.Err, context.DeadlineExceeded) {
				refused = errors.Is(d.Err, fault.RequestTimedOut) && strings.Contains(d.Err.Error(), "buffer")
			}
		})
		if !refused {
			taken++
		}
	}
	if s := c.Stats(); taken != 9 || s.BufferWaits != 1 || s.BufferedBytes > 10<<10 {
		t.Fatalf("%d records fit, %+v", taken, s)
	}
	if _, err := c.Produce(within(t), Record{Topic: "t", Value: make([]byte, 11<<10)}); !errors.Is(err, fault.RecordTooLarge) {
		t.Fatal(err)
	}
	done := make(chan error)
	for range 3 {
		go func() {
			_, err := c.Produce(within(t), Record{Topic: "t", Value: make([]byte, 4000)})
			done <- err
		}()
	}
	eventually(t, "three producers wait", func() bool { return c.Stats().BufferWaits == 4 })
	release()
	for range 3 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if s := c.Stats(); s.BufferedBytes != 0 {
		t.Fatalf("%d bytes of credit are gone", s.BufferedBytes)
	}
}

// Goal: partitioners do what they say. Method: what arrives where.
func TestPartitioners(t *testing.T) {
	produce := func(p Partitioner, r func(i int) Record) (where []record.Partition) {
		f := newCluster(map[string]int{"t": 4})
		c := newClient(t, f, WithPartitioner(p), WithLinger(time.Hour))
		for i := range 40 {
			c.ProduceAsync(within(t), r(i), func(d Delivery) {
				if d.Err != nil {
					t.Error(d.Err)
				}
			})
		}
		if err := c.Flush(within(t)); err != nil {
			t.Fatal(err)
		}
		for p, part := range f.topics["t"].parts {
			for range part.end {
				where = append(where, record.Partition(p))
			}
		}
		return where
	}
	keyed := produce(ByKey, func(int) Record { return Record{Topic: "t", Key: []byte("foobar")} })
	if want := record.PartitionFor([]byte("foobar"), 4); keyed[0] != want || keyed[39] != want {
		t.Errorf("keyed records went to %v, want %d", keyed, want)
	}
	if null := produce(ByKey, func(int) Record { return Record{Topic: "t"} }); null[0] != null[39] {
		t.Errorf("records without a key did not stick: %v", null)
	}
	if around := produce(RoundRobin(), func(int) Record { return Record{Topic: "t", Key: []byte("k")} }); around[9] != 0 ||
		around[10] != 1 || around[39] != 3 {
		t.Errorf("round robin: %v", around)
	}
	named := produce(Explicit, func(int) Record { return Record{Topic: "t", Partition: 2} })
	pinned := produce(ByKey, func(int) Record { return Record{Topic: "t", Key: []byte("foobar")}.At(3) })
	if named[0] != 2 || named[39] != 2 || pinned[0] != 3 || pinned[39] != 3 {
		t.Errorf("named: %v, pinned: %v", named, pinned)
	}
}

// Goal: records without a key go around the partitions batch by batch. Method: one at a time.
func TestStickyMovesOn(t *testing.T) {
	f := newCluster(map[string]int{"t": 3})
	c := newClient(t, f)
	for range 60 {
		if _, err := c.Produce(within(t), Record{Topic: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	for p, part := range f.topics["t"].parts {
		if part.end < 5 {
			t.Errorf("partition %d got %d of 60 records", p, part.end)
		}
	}
	for i := 1; i < len(f.requests); i++ {
		if f.requests[i].partition == f.requests[i-1].partition {
			t.Fatal("two batches in a row went to one partition")
		}
	}
}

// Goal: a topic that grows is noticed when a record names a new partition, and one that is made again starts
// over. Method: change the cluster behind the client's back.
func TestTopicChanges(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	c := newClient(t, f)
	ok := func(r Record) {
		t.Helper()
		if _, err := c.Produce(within(t), r); err != nil {
			t.Fatal(err)
		}
	}
	ok(Record{Topic: "t", Value: []byte("a")})
	if _, err := f.CreatePartitions(within(t), []MorePartitions{{"t", 3}}); err != nil {
		t.Fatal(err)
	}
	ok(Record{Topic: "t", Value: []byte("b")}.At(2))
	f.mu.Lock()
	f.make("t", 3)
	f.mu.Unlock()
	ok(Record{Topic: "t", Value: []byte("c")}.At(0))
	ok(Record{Topic: "t", Value: []byte("d")}.At(0))
	if got := f.log("t", 0); len(got) != 2 || string(got[0].Value) != "c" {
		t.Fatalf("%d records in the new topic", len(got))
	}
	f.mu.Lock()
	f.trouble = func(n int, o Outgoing) (m mishap) { // the next request is written, its answer lost, its topic remade
		f.trouble = func(int, Outgoing) mishap { f.trouble = nil; f.make("t", 3); return mishap{} }
		return mishap{lose: fault.New(fault.RequestTimedOut, "lost")}
	}
	f.mu.Unlock()
	_, err := c.Produce(within(t), Record{Topic: "t", Value: []byte("e")}.At(0))
	if !errors.Is(err, fault.UnknownTopicID) || !strings.Contains(err.Error(), "made again") {
		t.Fatal(err)
	}
}

// Goal: without a producer id nothing is sent; trouble that passes delays, a refusal is told. Method: both
// kinds.
func TestProducerIDTrouble(t *testing.T) { synctest.Test(t, producerIDTrouble) }

func producerIDTrouble(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	calls := 0
	f.initErr = func() error {
		if calls++; calls < 3 {
			return fault.New(fault.NotController, "electing")
		}
		return nil
	}
	c := newClient(t, f)
	if _, err := c.Produce(within(t), Record{Topic: "t"}); err != nil || calls != 3 {
		t.Fatal(calls, err)
	}
	g := newCluster(map[string]int{"t": 1})
	g.initErr = func() error { return fault.New(fault.PolicyViolation, "not you") }
	c = newClient(t, g)
	if _, err := c.Produce(within(t), Record{Topic: "t"}); !errors.Is(err, fault.PolicyViolation) {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.initErr = func() error { return fault.New(fault.NotController, "electing for ever") }
	g.mu.Unlock()
	c = newClient(t, g, WithDeliveryTimeout(30*time.Millisecond))
	_, err := c.Produce(within(t), Record{Topic: "t"})
	if !errors.Is(err, fault.RequestTimedOut) || !errors.Is(err, fault.NotController) {
		t.Fatal(err)
	}
}

// Goal: Close waits for records under way; after its time they get an error, and nothing is left running.
// Method: a cluster that answers, and one that does not until after Close. The test main looks for
// goroutines.
func TestClose(t *testing.T) { synctest.Test(t, closeWaits) }

func closeWaits(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	c := New(f, WithLinger(time.Hour))
	var got atomic.Int32
	for range 10 {
		c.ProduceAsync(within(t), Record{Topic: "t"}, func(d Delivery) {
			if d.Err == nil {
				got.Add(1)
			}
		})
	}
	if err := c.Close(); err != nil || got.Load() != 10 || !f.closed {
		t.Fatalf("%v, %d of 10 delivered", err, got.Load())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Produce(within(t), Record{Topic: "t"}); !errors.Is(err, fault.Closing) {
		t.Fatal(err)
	}
	if err := c.Flush(within(t)); !errors.Is(err, fault.Closing) {
		t.Fatal(err)
	}
	if _, err := c.Topic(within(t), "t"); !errors.Is(err, fault.Closing) {
		t.Fatal(err)
	}

	g := newCluster(map[string]int{"t": 1})
	release := hold(g)
	c = New(g, WithCloseTimeout(10*time.Millisecond), WithoutIdempotence()) // one batch in flight
	errs := make(chan error, 2)
	c.ProduceAsync(within(t), Record{Topic: "t"}, func(d Delivery) { errs <- d.Err })
	eventually(t, "it is sent", func() bool { return g.seen() == 1 })
	c.ProduceAsync(within(t), Record{Topic: "t"}, func(d Delivery) { errs <- d.Err })
	time.AfterFunc(50*time.Millisecond, release) // the transport's Close waits for its requests
	if err := c.Close(); !errors.Is(err, fault.Closing) || c.Stats().Abandoned != 2 {
		t.Fatal(err, c.Stats())
	}
	if sent, unsent := <-errs, <-errs; !strings.Contains(sent.Error(), "or not") ||
		!strings.Contains(unsent.Error(), "before the record was written") {
		t.Fatalf("%v, %v", sent, unsent)
	}
}

// Goal: a callback may produce again. Method: a chain of records, each made by the callback of the one
// before.
func TestCallbackProduces(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	c := newClient(t, f)
	end := make(chan struct{})
	var next func(Delivery)
	left := 50
	next = func(d Delivery) {
		if left--; left == 0 || d.Err != nil {
			close(end)
			return
		}
		c.ProduceAsync(context.Background(), Record{Topic: "t"}, next)
	}
	c.ProduceAsync(context.Background(), Record{Topic: "t"}, next)
	<-end
	if got := f.log("t", 0); len(got) != 50 {
		t.Fatalf("%d records", len(got))
	}
}

// Goal: many goroutines share a client. Method: blocking and asynchronous producers with flushes in between.
func TestManyProducers(t *testing.T) {
	f := newCluster(map[string]int{"t": 3, "u": 1})
	f.trouble = unruly(7)
	c := newClient(t, f, WithMaxBufferedBytes(20<<10), WithMaxBatchBytes(2<<10))
	var wg sync.WaitGroup
	var acked atomic.Int32
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				r := Record{Topic: []string{"t", "u"}[g%2], Key: fmt.Append(nil, i), Value: make([]byte, 50)}
				if i%10 == 0 {
					if _, err := c.Produce(within(t), r); err != nil {
						t.Error(err)
					}
					acked.Add(1)
					continue
				}
				c.ProduceAsync(within(t), r, func(d Delivery) { acked.Add(1) })
			}
			if err := c.Flush(within(t)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	total := len(f.log("t", 0)) + len(f.log("t", 1)) + len(f.log("t", 2)) + len(f.log("u", 0))
	if s := c.Stats(); acked.Load() != 800 || total != 800 || s.Records != 800 || s.Failed != 0 || s.BufferedBytes != 0 {
		t.Fatalf("%d callbacks, %d records, %+v", acked.Load(), total, s)
	}
}

// Goal: typed records go out and come in, null included, and a type without a serde is refused with a hint.
// Method: there and back.
func TestTyped(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	c := newClient(t, f)
	orders := topology.NewTopic("t", serde.String, serde.Int64)
	if _, err := Send(within(t), c, orders, "alice", 7); err != nil {
		t.Fatal(err)
	}
	raw := topology.Topic[string, []byte]{Name: "t"} // built-in serdes by type
	SendAsync(within(t), c, raw, "gone", nil, func(d Delivery) {
		if d.Err != nil {
			t.Error(d.Err)
		}
	})
	if err := c.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	k := c.Consumer()
	defer k.Close()
	if err := k.Assign(within(t), "t", FromEarliest()); err != nil {
		t.Fatal(err)
	}
	var got []Record
	for len(got) < 2 {
		rs, err := k.Poll(within(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			got = append(got, r.Clone())
		}
	}
	if key, v, err := Decode(orders, got[0]); err != nil || key != "alice" || v != 7 {
		t.Fatal(key, v, err)
	}
	if got[1].Value != nil {
		t.Fatal("a nil slice is not null")
	}
	if _, _, err := Decode(orders, Record{Topic: "t", Value: []byte("short")}); !errors.Is(err, fault.InvalidRecord) {
		t.Fatal(err)
	}
	type strange struct{}
	_, err := Send(within(t), c, topology.Topic[string, strange]{Name: "t"}, "k", strange{})
	if !errors.Is(err, fault.InvalidRecord) || !strings.Contains(err.Error(), "serde") {
		t.Fatal(err)
	}
}

// Goal: the admin calls pass through, and refusals come back. Method: each once, with a refusal.
func TestAdmin(t *testing.T) {
	f := newCluster(map[string]int{"a": 1})
	c := newClient(t, f)
	ctx := within(t)
	if a, err := c.CreateTopic(ctx, NewTopic{Name: "b", Partitions: 2}); err != nil || a.Partitions != 2 || a.ID.IsZero() {
		t.Fatal(a, err)
	}
	if _, err := c.CreateTopic(ctx, NewTopic{Name: "b", Partitions: 2}); !errors.Is(err, fault.TopicAlreadyExists) {
		t.Fatal(err)
	}
	if err := c.AddPartitions(ctx, "b", 5); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Topic(ctx, "b"); err != nil || len(m.Partitions) != 5 {
		t.Fatal(m, err)
	}
	if all, err := c.Topics(ctx); err != nil || len(all) != 2 || all[0].Name != "a" {
		t.Fatal(all, err)
	}
	if d, err := c.DescribeConfigs(ctx, "b"); err != nil || len(d) != 1 {
		t.Fatal(d, err)
	}
	if err := c.DeleteTopic(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteTopic(ctx, "b"); !errors.Is(err, fault.UnknownTopicOrPartition) {
		t.Fatal(err)
	}
	if _, err := c.Topic(ctx, "b"); !errors.Is(err, fault.UnknownTopicOrPartition) {
		t.Fatal(err)
	}
}
