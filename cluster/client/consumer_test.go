package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// fill puts n records into each partition of t; record i has timestamp 1000*i.
func fill(t testing.TB, f *fakeCluster, parts, n int, opts ...Option) *Client {
	t.Helper()
	c := newClient(t, f, append([]Option{WithMaxBatchBytes(1 << 10), WithLinger(time.Hour)}, opts...)...)
	for i := range n {
		for p := range parts {
			r := Record{Topic: "t", Value: fmt.Append(nil, i), TimestampMs: int64(1000*i) + 1}
			c.ProduceAsync(within(t), r.At(record.Partition(p)), func(d Delivery) {
				if d.Err != nil {
					t.Error(d.Err)
				}
			})
		}
	}
	if err := c.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

// drain polls until the ends are reached.
func drain(t testing.TB, k *Consumer, ends []Position) (out []Record) {
	t.Helper()
	for !k.Reached(ends) {
		rs, err := k.Poll(within(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			out = append(out, r.Clone())
		}
	}
	return out
}

// Goal: every partition is read from its start to its end, each record once, in order. Method: property test
// over batch sizes, codecs and byte limits; the fake checks that buffers are released.
func TestConsumeEverything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		parts, n := rapid.IntRange(1, 4).Draw(rt, "partitions"), rapid.IntRange(1, 150).Draw(rt, "records")
		f := newCluster(map[string]int{"t": parts})
		c := fill(t, f, parts, n, WithCompression(rapid.SampledFrom([]record.Codec{0, 1, 2, 3, 4}).Draw(rt, "codec")))
		k := c.Consumer(WithMaxPollBytes(rapid.SampledFrom([]int{1, 3000, 1 << 20}).Draw(rt, "poll")),
			WithMaxPartitionBytes(rapid.SampledFrom([]int{1, 2000, 1 << 20}).Draw(rt, "partition")))
		if err := k.Assign(within(t), "t", FromEarliest()); err != nil {
			rt.Fatal(err)
		}
		ends, err := k.Ends(within(t))
		if err != nil {
			rt.Fatal(err)
		}
		got := drain(t, k, ends)
		k.Close()
		next := make([]record.Offset, parts)
		for _, r := range got {
			if r.Topic != "t" || r.Offset != next[r.Partition] || string(r.Value) != fmt.Sprint(r.Offset) {
				rt.Fatalf("partition %d: offset %d with %q, want %d", r.Partition, r.Offset, r.Value, next[r.Partition])
			}
			next[r.Partition]++
		}
		if len(got) != parts*n || f.released != f.fetches {
			rt.Fatalf("%d of %d records, %d of %d buffers released", len(got), parts*n, f.released, f.fetches)
		}
	})
}

// Goal: reading begins where it was told. Method: the first record of each start, in a log of 100 records.
func TestStarts(t *testing.T) {
	f := newCluster(map[string]int{"t": 2})
	c := fill(t, f, 2, 100)
	tests := []struct {
		from Start
		want record.Offset
	}{
		{FromEarliest(), 0}, {FromLatest(), 100}, {FromOffset(37), 37}, {FromLast(10), 90}, {FromLast(1000), 0},
		{FromTime(time.UnixMilli(42_001)), 42}, {FromTime(time.UnixMilli(41_002)), 42}, {FromTime(time.UnixMilli(0)), 0},
		{FromTime(time.UnixMilli(1 << 50)), 100},
	}
	for _, tt := range tests {
		t.Run(tt.from.String(), func(t *testing.T) {
			k := c.Consumer()
			defer k.Close()
			if err := k.Assign(within(t), "t", tt.from); err != nil {
				t.Fatal(err)
			}
			for p, at := range k.Positions() {
				if at.Offset != tt.want || at.Partition != record.Partition(p) {
					t.Errorf("position %+v, want %d", at, tt.want)
				}
			}
			if tt.want == 100 {
				return
			}
			if rs, err := k.Poll(within(t)); err != nil || rs[0].Offset != tt.want {
				t.Errorf("first record %d, %v", rs[0].Offset, err)
			}
		})
	}
}

// Goal: a poll waits for records, over several partitions, and ends with its ctx. Method: nothing there, then
// one.
func TestPollWaits(t *testing.T) { synctest.Test(t, pollWaits) }

func pollWaits(t *testing.T) {
	f := newCluster(map[string]int{"t": 2})
	c := newClient(t, f)
	k := c.Consumer(WithMaxWait(50 * time.Millisecond))
	defer k.Close()
	if err := k.Assign(within(t), "t", FromLatest()); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if rs, err := k.Poll(short); err != context.DeadlineExceeded || rs != nil {
		t.Fatal(rs, err)
	}
	go c.ProduceAsync(within(t), Record{Topic: "t", Value: []byte("x")}.At(1), func(Delivery) {})
	if rs, err := k.Poll(within(t)); err != nil || len(rs) != 1 || rs[0].Partition != 1 {
		t.Fatal(rs, err)
	}
}

// Goal: an offset outside the log is told, unless a policy says where to go on. Method: the log's start moves
// on.
func TestOutOfRange(t *testing.T) {
	f := newCluster(map[string]int{"t": 2})
	c := fill(t, f, 2, 100)
	f.mu.Lock()
	p := f.topics["t"].parts[0]
	p.start = p.batches[1].BaseOffset()
	p.batches = p.batches[1:]
	start := p.start
	f.mu.Unlock()

	k := c.Consumer()
	if err := k.Assign(within(t), "t", FromOffset(3)); err != nil {
		t.Fatal(err)
	}
	rs, err := k.Poll(within(t))
	if err != nil || len(rs) != 97 || rs[0].Partition != 1 {
		t.Fatalf("the other partition gave %d records, %v", len(rs), err)
	}
	_, err = k.Poll(within(t))
	var pe *PartitionError
	if !errors.Is(err, fault.OffsetOutOfRange) || !errors.As(err, &pe) || pe.Partition != 0 || pe.Offset != 3 {
		t.Fatal(err)
	}
	if err := k.Assign(within(t), "t", FromEarliest(), 0); err != nil { // what to do about it
		t.Fatal(err)
	}
	if rs, err = k.Poll(within(t)); err != nil || rs[0].Offset != start {
		t.Fatal(err)
	}
	k.Close()

	k = c.Consumer(OnOutOfRange(FromEarliest()))
	defer k.Close()
	if err := k.Assign(within(t), "t", FromOffset(3), 0); err != nil {
		t.Fatal(err)
	}
	if rs, err = k.Poll(within(t)); err != nil || rs[0].Offset != start {
		t.Fatal(err)
	}
}

// Goal: a reader reaches the end of a log whose last offsets log compaction has taken, and goes on behind it.
// Method: batches in the middle and at the end go, the last of what is left has no records.
func TestReachedOverCompactedEnd(t *testing.T) {
	f := newCluster(map[string]int{"t": 2})
	c := fill(t, f, 2, 300)
	f.mu.Lock()
	p := f.topics["t"].parts[0]
	n := len(p.batches)
	empty := record.Batch(p.batches[n-2].AppendEmptied(nil))
	p.batches = append(p.batches[:1:1], p.batches[2], empty)
	want := int(p.batches[0].Count() + p.batches[1].Count())
	f.mu.Unlock()
	k := c.Consumer(WithMaxWait(20 * time.Millisecond))
	defer k.Close()
	if err := k.Assign(within(t), "t", FromEarliest()); err != nil {
		t.Fatal(err)
	}
	ends, err := k.Ends(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, k, ends); len(got) != 300+want {
		t.Errorf("%d records, want %d", len(got), 300+want)
	}
	c.ProduceAsync(within(t), Record{Topic: "t", Value: []byte("x")}.At(0), func(Delivery) {})
	if err := c.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	for {
		rs, err := k.Poll(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if len(rs) == 1 && rs[0].Offset == 300 {
			return
		}
	}
}

// Goal: damage, a topic that is gone or another one, and a refusal are told; what passes is waited for.
// Method: one kind after the other.
func TestConsumerTrouble(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	c := fill(t, f, 1, 200)
	k := c.Consumer()
	defer k.Close()
	if _, err := k.Poll(within(t)); !errors.Is(err, fault.InvalidRequest) {
		t.Fatal(err)
	}
	if err := k.Assign(within(t), "nope", FromEarliest()); !errors.Is(err, fault.UnknownTopicOrPartition) {
		t.Fatal(err)
	}
	if err := k.Assign(within(t), "t", FromEarliest(), 1); !errors.Is(err, fault.UnknownTopicOrPartition) {
		t.Fatal(err)
	}
	if err := k.Assign(within(t), "t", Start{}); !errors.Is(err, fault.InvalidRequest) {
		t.Fatal(err)
	}
	if err := k.Assign(within(t), "t", FromEarliest()); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.fetchErr = func(n int) error {
		if n < 3 {
			return fault.New(fault.NotLeader, "moving")
		}
		return nil
	}
	second := f.topics["t"].parts[0].batches[1]
	second[len(second)-1] ^= 1
	f.mu.Unlock()
	rs, err := k.Poll(within(t))
	if err != nil || len(rs) != int(second.BaseOffset()) {
		t.Fatalf("%d records before the damage, %v", len(rs), err)
	}
	if _, err = k.Poll(within(t)); !errors.Is(err, fault.CorruptRecord) || !strings.Contains(err.Error(), "t/0 at") {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.make("t", 1)
	f.mu.Unlock()
	if _, err = k.Poll(within(t)); !errors.Is(err, fault.UnknownTopicID) {
		t.Fatal(err)
	}
	k.Unassign("t", 0)
	if _, err = k.Poll(within(t)); !errors.Is(err, fault.InvalidRequest) {
		t.Fatal(err)
	}
}

// Goal: a Poll ends when the client closes. Method: close while one waits.
func TestCloseEndsPoll(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	c := New(f)
	k := c.Consumer(WithMaxWait(time.Hour))
	if err := k.Assign(within(t), "t", FromEarliest()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := k.Poll(context.Background())
		done <- err
	}()
	eventually(t, "it waits", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.fetches > 0 })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, fault.Closing) {
		t.Fatal(err)
	}
	k.Close()
}
