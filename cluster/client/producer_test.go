package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Goal: a record goes where it should and its offset comes back. Method: one at a time, blocking, over all
// codecs.
func TestProduceOneByOne(t *testing.T) {
	for _, codec := range []record.Codec{record.CodecNone, record.CodecGzip, record.CodecSnappy, record.CodecLZ4,
		record.CodecZstd} {
		f := newCluster(map[string]int{"t": 1})
		c := newClient(t, f, WithCompression(codec))
		for i := range 20 {
			r := Record{Topic: "t", Key: []byte("k"), Value: []byte(strings.Repeat("v", 100)),
				Headers: []record.Header{{Key: "h", Value: []byte("x")}}}
			o, err := c.Produce(within(t), r)
			if err != nil || o != record.Offset(i) {
				t.Fatalf("%s: offset %d, err %v", codec, o, err)
			}
		}
		got := f.log("t", 0)
		if len(got) != 20 || string(got[3].Key) != "k" || got[3].Headers[0].Key != "h" || got[3].TimestampMs == 0 {
			t.Fatalf("%s: %d records, %+v", codec, len(got), got[3])
		}
		if got := record.Batch(f.topics["t"].parts[0].batches[0]).Codec(); got != codec && codec != record.CodecNone {
			t.Logf("%s: a small batch went out as %s", codec, got)
		}
	}
}

// load produces n records to each of parts partitions from one goroutine, and collects what the callbacks
// say.
type load struct {
	mu   sync.Mutex
	got  map[record.Partition][]string // in the order of the callbacks: value, or "!" and value for an error
	offs map[string]record.Offset
	errs []error
}

func (l *load) produce(ctx context.Context, c *Client, topic string, parts, n int) {
	l.got, l.offs = map[record.Partition][]string{}, map[string]record.Offset{}
	for i := range n {
		for p := range parts {
			v := fmt.Sprintf("%d:%d", p, i)
			r := Record{Topic: topic, Value: []byte(v)}.At(record.Partition(p))
			c.ProduceAsync(ctx, r, func(d Delivery) {
				l.mu.Lock()
				defer l.mu.Unlock()
				if d.Err != nil {
					l.errs = append(l.errs, d.Err)
					l.got[record.Partition(p)] = append(l.got[record.Partition(p)], "!"+v)
					return
				}
				l.got[record.Partition(p)] = append(l.got[record.Partition(p)], v)
				l.offs[v] = d.Offset
			})
		}
	}
}

// verify compares the log with the callbacks: what was acknowledged is there once, at its offset, in order,
// and every record had its callback in order. What got an error may be there.
func (l *load) verify(f *fakeCluster, topic string, parts, n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range parts {
		at := record.Partition(p)
		if len(l.got[at]) != n {
			return fmt.Errorf("partition %d: %d callbacks for %d records", p, len(l.got[at]), n)
		}
		seen := map[string]record.Offset{}
		var kept []string
		for _, r := range f.log(topic, at) {
			if _, twice := seen[string(r.Value)]; twice {
				return fmt.Errorf("partition %d: %s is there twice", p, r.Value)
			}
			seen[string(r.Value)] = r.Offset
			kept = append(kept, string(r.Value))
		}
		last := -1
		for i, v := range l.got[at] {
			if want := fmt.Sprintf("%d:%d", p, i); strings.TrimPrefix(v, "!") != want {
				return fmt.Errorf("partition %d: callback %d is of %s, want %s", p, i, v, want)
			}
			if v[0] == '!' {
				continue
			}
			o, ok := seen[v]
			if !ok {
				return fmt.Errorf("partition %d: %s was acknowledged and is lost", p, v)
			}
			if l.offs[v] >= 0 && l.offs[v] != o {
				return fmt.Errorf("%s is at %d, the callback said %d", v, o, l.offs[v])
			}
			if i := slices.Index(kept, v); i <= last {
				return fmt.Errorf("partition %d: %s is out of order", p, v)
			} else {
				last = i
			}
		}
	}
	return nil
}

// Goal: no record lost, none twice, order kept, whatever retriable trouble there is. Method: property test
// over seeds of trouble, partitions, batch sizes, lingers and buffers.
func TestNothingLostNothingTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		parts, n := rapid.IntRange(1, 3).Draw(rt, "partitions"), rapid.IntRange(1, 300).Draw(rt, "records")
		f := newCluster(map[string]int{"t": parts})
		f.trouble = unruly(rapid.Uint64().Draw(rt, "seed"))
		c := New(f, impatient, WithMaxBatchBytes(rapid.SampledFrom([]int{1 << 10, 4 << 10, 1 << 20}).Draw(rt, "batch")),
			WithLinger(rapid.SampledFrom([]time.Duration{0, 0, 100 * time.Microsecond}).Draw(rt, "linger")),
			WithMaxBufferedBytes(rapid.SampledFrom([]int{4 << 10, 1 << 20}).Draw(rt, "buffer")),
			WithCompression(rapid.SampledFrom([]record.Codec{0, record.CodecLZ4}).Draw(rt, "codec")))
		var l load
		l.produce(context.Background(), c, "t", parts, n)
		if err := c.Close(); err != nil {
			rt.Fatal(err)
		}
		if err := l.verify(f, "t", parts, n); err != nil {
			rt.Fatal(err)
		}
		if len(l.errs) > 0 {
			rt.Fatalf("retriable trouble became an error: %v", l.errs[0])
		}
	})
}

// Goal: nothing is there twice and what is acknowledged is there, even when batches are refused for good, run
// out of time, or are written after they were given up. Method: as above, with vicious trouble and short
// delivery timeouts.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	failed, acked := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		parts, n := rapid.IntRange(1, 2).Draw(rt, "partitions"), rapid.IntRange(1, 300).Draw(rt, "records")
		f := newCluster(map[string]int{"t": parts})
		f.trouble = vicious(rapid.Uint64().Draw(rt, "seed"))
		c := New(f, impatient, WithMaxBatchBytes(1<<10), WithDeliveryTimeout(
			rapid.SampledFrom([]time.Duration{time.Millisecond, 5 * time.Millisecond, time.Second}).Draw(rt, "timeout")))
		var l load
		l.produce(context.Background(), c, "t", parts, n)
		if err := c.Close(); err != nil { // waits for the late ones too
			rt.Fatal(err)
		}
		if err := l.verify(f, "t", parts, n); err != nil {
			rt.Fatal(err)
		}
		failed, acked = failed+len(l.errs), acked+len(l.offs)
	})
	if failed == 0 || acked == 0 {
		t.Fatalf("%d records failed, %d did not: the trouble tests nothing", failed, acked)
	}
}

// Goal: the checker of the tests above sees duplicates and losses. Method: the same load against a leader
// that does not dedup, and without idempotence.
func TestCheckerSeesDuplicates(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	f.trouble = func(n int, _ Outgoing) (m mishap) {
		if n%3 == 0 {
			m.lose = fault.New(fault.RequestTimedOut, "the answer got lost")
		}
		return m
	}
	c := New(f, impatient, WithMaxBatchBytes(1<<10), WithoutIdempotence())
	var l load
	l.produce(context.Background(), c, "t", 1, 300)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.verify(f, "t", 1, 300); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Fatalf("without idempotence: %v", err)
	}
}

// Goal: the checker sees a lost record, and the client a leader that lies. Method: acknowledge one batch that
// is not written; the leader's next answer gives it away.
func TestCheckerSeesLosses(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	f.trouble = func(n int, _ Outgoing) mishap { return mishap{lie: n == 1} }
	c := New(f, impatient, WithMaxBatchBytes(1<<10))
	var l load
	l.produce(context.Background(), c, "t", 1, 300)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.verify(f, "t", 1, 300); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Fatal(err)
	}
	if len(l.errs) == 0 || !errors.Is(l.errs[0], fault.OutOfOrderSequence) {
		t.Fatalf("nobody was told: %v", l.errs)
	}
}

// Goal: without idempotence order holds too. Method: requests that are refused at random, one producer.
func TestOrderWithoutIdempotence(t *testing.T) {
	f := newCluster(map[string]int{"t": 2})
	f.trouble = func(n int, _ Outgoing) (m mishap) {
		if n%4 == 1 {
			m.refuse = fault.New(fault.LeaderNotAvailable, "moving")
		}
		return m
	}
	c := New(f, impatient, WithMaxBatchBytes(1<<10), WithAcks(AcksLeader))
	var l load
	l.produce(context.Background(), c, "t", 2, 500)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.verify(f, "t", 2, 500); err != nil || len(l.errs) > 0 {
		t.Fatal(err, l.errs)
	}
	for _, r := range f.requests {
		if r.id != record.NoProducer || r.seq != record.NoSequence {
			t.Fatalf("acks=1 went out with producer %d", r.id)
		}
	}
}

// Goal: a batch that is refused for good fails alone; those behind it arrive, under a new producer id, once.
// Method: refuse one of five batches in flight.
func TestRefusedForGood(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	f.trouble = func(n int, _ Outgoing) (m mishap) {
		m.late = time.Millisecond
		if n == 2 {
			m.refuse = fault.New(fault.InvalidRecord, "not this one")
		}
		return m
	}
	c := newClient(t, f, WithMaxBatchBytes(1<<10))
	var l load
	l.produce(within(t), c, "t", 1, 500)
	if err := c.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := l.verify(f, "t", 1, 500); err != nil {
		t.Fatal(err)
	}
	if len(l.errs) == 0 || len(l.errs) > 80 || !errors.Is(l.errs[0], fault.InvalidRecord) {
		t.Fatalf("%d records failed: %v", len(l.errs), l.errs)
	}
	ids := map[record.ProducerID]bool{}
	for _, r := range f.requests {
		ids[r.id] = true
	}
	if len(ids) != 2 {
		t.Fatalf("%d producer ids, want the old and a new one", len(ids))
	}
}

// Goal: what may have been written is told so and never sent under another id. Method: one batch whose every
// attempt is answered with a timeout, until its time is over.
func TestDoubtfulIsToldAndNotRepeated(t *testing.T) { synctest.Test(t, doubtfulIsToldAndNotRepeated) }

func doubtfulIsToldAndNotRepeated(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	f.trouble = func(int, Outgoing) mishap { return mishap{lose: fault.New(fault.RequestTimedOut, "no answer")} }
	c := newClient(t, f, WithDeliveryTimeout(100*time.Millisecond))
	_, err := c.Produce(within(t), Record{Topic: "t", Value: []byte("doubtful")})
	if !errors.Is(err, fault.RequestTimedOut) || !strings.Contains(err.Error(), "may have been") {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.trouble = nil
	f.mu.Unlock()
	if _, err := c.Produce(within(t), Record{Topic: "t", Value: []byte("next")}); err != nil {
		t.Fatal(err)
	}
	got := f.log("t", 0)
	if len(got) != 2 || string(got[0].Value) != "doubtful" || string(got[1].Value) != "next" {
		t.Fatalf("%d records", len(got))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	first, last := f.requests[0], f.requests[len(f.requests)-1]
	if first.id == last.id || last.seq != 0 {
		t.Fatalf("the next batch went out as %+v after %+v", last, first)
	}
}

// Goal: a leader that has lost what it acknowledged is not written to in silence. Method: cut the leader's
// log and its memory of the producer behind the client's back.
func TestLostSequenceIsLoud(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	c := newClient(t, f)
	for range 3 {
		if _, err := c.Produce(within(t), Record{Topic: "t", Value: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	f.mu.Lock()
	p := f.topics["t"].parts[0]
	p.seqs, p.batches, p.end = map[record.ProducerID][]fakeRequest{}, p.batches[:1], 1
	f.mu.Unlock()
	_, err := c.Produce(within(t), Record{Topic: "t", Value: []byte("y")})
	if !errors.Is(err, fault.OutOfOrderSequence) || !strings.Contains(err.Error(), "may be missing") {
		t.Fatal(err)
	}
	if _, err = c.Produce(within(t), Record{Topic: "t", Value: []byte("z")}); err != nil {
		t.Fatal("the partition does not work any more: ", err)
	}
}

// Goal: a producer that retention made unknown goes on; one that is unknown without a reason is told. Method:
// answer UnknownProducer once, with the log start behind and before what was acknowledged.
func TestUnknownProducer(t *testing.T) {
	for _, removed := range []bool{true, false} {
		f := newCluster(map[string]int{"t": 1})
		c := newClient(t, f)
		if _, err := c.Produce(within(t), Record{Topic: "t", Value: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		start := record.Offset(0)
		if removed {
			start = 1
		}
		w := &unknownOnce{fakeCluster: f, start: start}
		c.producer.mu.Lock()
		c.producer.t = w
		c.producer.mu.Unlock()
		_, err := c.Produce(within(t), Record{Topic: "t", Value: []byte("y")})
		if removed && err != nil || !removed && !errors.Is(err, fault.UnknownProducer) {
			t.Fatalf("removed by retention %v: %v", removed, err)
		}
	}
}

type unknownOnce struct {
	*fakeCluster
	start record.Offset
	done  bool
}

func (u *unknownOnce) Produce(o Outgoing, done func(Produced)) {
	if !u.done {
		u.done = true
		done(Produced{Base: -1, LogStart: u.start, Err: fault.New(fault.UnknownProducer, "who?")})
		return
	}
	u.fakeCluster.Produce(o, done)
}

// Goal: what cannot be taken is refused at once, with a message that helps. Method: one bad record a row.
func TestRefusedAtOnce(t *testing.T) {
	f := newCluster(map[string]int{"t": 2})
	c := newClient(t, f, WithMaxBatchBytes(2<<10))
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		r    Record
		want fault.Code
		text string
	}{
		{"unknown topic", within(t), Record{Topic: "nope"}, fault.UnknownTopicOrPartition, "create it"},
		{"unknown partition", within(t), Record{Topic: "t"}.At(2), fault.UnknownTopicOrPartition, "it has 2"},
		{"negative partition", within(t), Record{Topic: "t"}.At(-1), fault.UnknownTopicOrPartition, "partition -1"},
		{"too large", within(t), Record{Topic: "t", Value: make([]byte, 2<<10)}, fault.RecordTooLarge, "MaxBatchBytes"},
		{"ctx ended", ended, Record{Topic: "other"}, fault.RequestTimedOut, "metadata"},
	}
	for _, tt := range tests {
		_, err := c.Produce(tt.ctx, tt.r)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", tt.name, err)
		}
		calls := 0
		c.ProduceAsync(tt.ctx, tt.r, func(d Delivery) {
			calls++
			if !errors.Is(d.Err, tt.want) || d.Offset != -1 || d.Partition != -1 {
				t.Errorf("%s: %+v", tt.name, d)
			}
		})
		if calls != 1 {
			t.Errorf("%s: %d callbacks", tt.name, calls)
		}
	}
	if s := c.Stats(); s.BufferedBytes != 0 {
		t.Errorf("%d bytes of credit are gone", s.BufferedBytes)
	}
}
