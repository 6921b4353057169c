package remote_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Goal: a record comes back as it went in: null and empty, headers, time, whatever the codec and the way it was
// produced. Method: there and back, record by record.
func TestRoundTrip(t *testing.T) {
	forEach(t, cluster.Config{AutoCreateTopics: true}, func(w *world) {
		records := []client.Record{
			{Topic: "t"}, {Topic: "t", Key: []byte{}, Value: []byte{}},
			{Topic: "t", Key: []byte("k"), Value: make([]byte, 100_000), TimestampMs: 1_700_000_000_000},
			{Topic: "t", Value: []byte{0, 255}, Headers: []record.Header{{Key: "a", Value: []byte("1")}, {Key: "a"}, {Key: "", Value: []byte{}}}},
		}
		n := 0
		for codec := record.CodecNone; codec <= record.CodecZstd; codec++ {
			c := w.client(client.WithCompression(codec))
			for i, r := range records {
				var o record.Offset
				var err error
				switch (i + int(codec)) % 3 {
				case 0:
					o, err = c.Produce(within(t), r)
				case 1:
					o, err = c.ProduceFuture(within(t), r).Wait(within(t))
				case 2:
					told := make(chan client.Delivery, 1)
					c.ProduceAsync(within(t), r, func(d client.Delivery) { told <- d })
					d := <-told
					o, err = d.Offset, d.Err
				}
				if err != nil || o != record.Offset(n) {
					w.t.Fatalf("codec %d, record %d: offset %d, %v", codec, i, o, err)
				}
				n++
			}
		}
		for i, got := range w.readAll(w.client(), "t") {
			want := records[i%len(records)]
			if (got.Key == nil) != (want.Key == nil) || (got.Value == nil) != (want.Value == nil) ||
				string(got.Key) != string(want.Key) || string(got.Value) != string(want.Value) || len(got.Headers) != len(want.Headers) ||
				want.TimestampMs != 0 && got.TimestampMs != want.TimestampMs || got.TimestampMs == 0 {
				w.t.Errorf("record %d: %d and %d bytes, headers %v, at %d", i, len(got.Key), len(got.Value), got.Headers, got.TimestampMs)
			}
			for h := range got.Headers {
				if g, x := got.Headers[h], want.Headers[h]; g.Key != x.Key || string(g.Value) != string(x.Value) || (g.Value == nil) != (x.Value == nil) {
					w.t.Errorf("record %d, header %d: %+v", i, h, g)
				}
			}
		}
	})
}

// Goal: many records over several partitions arrive once and in order, whatever the batching. Method: small and large
// batches, with and without linger.
func TestManyRecords(t *testing.T) {
	const n = 5000
	forEach(t, cluster.Config{}, func(w *world) {
		admin := w.client()
		for i, opts := range [][]client.Option{
			nil, {client.WithLinger(2 * time.Millisecond)}, {client.WithMaxBatchBytes(1 << 10)},
			{client.WithMaxBufferedBytes(16 << 10)}, {client.WithoutIdempotence()}, {client.WithAcks(client.AcksLeader)},
		} {
			topic := fmt.Sprint("t", i)
			w.topic(admin, topic, 3)
			c := w.client(opts...)
			w.produce(c, topic, 0, n)
			if err := inOrder(w.readAll(c, topic), n); err != nil {
				w.t.Errorf("options %d: %v", i, err)
			}
			if s := c.Stats(); s.Records != n || s.Failed != 0 || s.BufferedBytes != 0 {
				w.t.Errorf("options %d: %+v", i, s)
			}
		}
	})
}

// Goal: reading begins where it is told, and goes on where it is sought. Method: every start, and the first record.
func TestStartsAndSeek(t *testing.T) {
	forEach(t, cluster.Config{}, func(w *world) {
		c := w.client(client.WithMaxBatchBytes(1 << 10))
		w.topic(c, "t", 1)
		for i := range 100 {
			if _, err := c.Produce(within(t), client.Record{Topic: "t", Value: fmt.Append(nil, i), TimestampMs: int64(i+1) * 1000}); err != nil {
				w.t.Fatal(err)
			}
		}
		k := c.Consumer()
		defer k.Close()
		for _, tt := range []struct {
			from client.Start
			want record.Offset
		}{
			{client.FromEarliest(), 0}, {client.FromOffset(37), 37}, {client.FromLast(10), 90}, {client.FromTime(time.UnixMilli(41_500)), 41},
			{client.FromTime(time.UnixMilli(1 << 50)), 100}, {client.FromLatest(), 100},
		} {
			if err := k.Assign(within(t), "t", tt.from); err != nil || k.Positions()[0].Offset != tt.want {
				w.t.Fatalf("%s: %v, %v", tt.from, k.Positions(), err)
			}
			if tt.want == 100 {
				continue
			}
			if rs, err := k.Poll(within(t)); err != nil || rs[0].Offset != tt.want || string(rs[0].Value) != fmt.Sprint(tt.want) {
				w.t.Fatalf("%s: %v", tt.from, err)
			}
		}
		if err := k.Seek(within(t), "t", client.FromOffset(99)); err != nil {
			w.t.Fatal(err)
		}
		if rs, err := k.Poll(within(t)); err != nil || len(rs) != 1 || rs[0].Offset != 99 {
			w.t.Fatal(rs, err)
		}
	})
}

// Goal: a poll waits for what is produced later, and ends with its ctx. Method: typed records through a loop, produced
// while it waits.
func TestTypedLoopWaits(t *testing.T) {
	forEach(t, cluster.Config{}, func(w *world) {
		c := w.client()
		w.topic(c, "t", 2)
		topic := topology.NewTopic("t", serde.String, serde.Int64)
		k := c.Consumer(client.WithMaxWait(20 * time.Millisecond))
		defer k.Close()
		if err := k.Assign(within(t), "t", client.FromEarliest()); err != nil {
			w.t.Fatal(err)
		}
		send := func(n int64) {
			client.SendAsync(within(t), c, topic, fmt.Sprint("k", n), n, func(d client.Delivery) {
				if d.Err != nil {
					w.t.Error(d.Err)
				}
			})
		}
		send(0)
		ctx, cancel := context.WithCancel(within(t))
		defer cancel()
		var got []int64
		for r, err := range client.Records(ctx, k, topic) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					w.t.Error(err)
				}
				break
			}
			if got = append(got, r.Value); len(got) == 5 {
				cancel()
				continue
			}
			send(r.Value + 1)
		}
		if !slices.Equal(got, []int64{0, 1, 2, 3, 4}) {
			w.t.Error(got)
		}
		ended, cancel2 := context.WithTimeout(context.Background(), 5*time.Millisecond)
		defer cancel2()
		if _, err := k.Poll(ended); !errors.Is(err, context.DeadlineExceeded) {
			w.t.Error(err)
		}
	})
}

// Goal: what can't be is refused in the same words over every transport. Method: one transcript of refusals each; the
// first one is what the others are held to.
func TestRefusalsAreTheSame(t *testing.T) {
	same := newTranscripts()
	forEach(t, cluster.Config{}, func(w *world) {
		c := w.client()
		w.topic(c, "t", 2, "max.message.bytes", "2000")
		w.topic(c, "compacted", 1, "cleanup.policy", "compact")
		ctx := within(t)
		var lines []string
		say := func(what string, err error) { lines = append(lines, what+": "+told(err)) }
		produce := func(r client.Record) error { _, err := c.Produce(ctx, r); return err }
		say("unknown topic", produce(client.Record{Topic: "nope"}))
		say("bad name", produce(client.Record{Topic: "no/pe"}))
		say("partition", produce(client.Record{Topic: "t"}.At(2)))
		say("too large for the topic", produce(client.Record{Topic: "t", Value: make([]byte, 3000)}))
		say("too large for the client", produce(client.Record{Topic: "t", Value: make([]byte, 2<<20)}))
		say("no key", produce(client.Record{Topic: "compacted", Value: []byte("x")}))
		_, after, _ := strings.Cut(told(produce(client.Record{Topic: "t", TimestampMs: 1 << 52})), "mend")
		lines = append(lines, "future: "+after) // the clock stands in the rest
		k := c.Consumer()
		defer k.Close()
		say("assign", k.Assign(ctx, "nope", client.FromEarliest()))
		if err := k.Assign(ctx, "t", client.FromOffset(5), 1); err != nil {
			w.t.Fatal(err)
		}
		_, err := k.Poll(ctx)
		say("out of range", err)
		var pe *client.PartitionError
		if !errors.As(err, &pe) || pe.Partition != 1 || pe.Offset != 5 || !errors.Is(err, fault.OffsetOutOfRange) {
			w.t.Error(err)
		}
		a, err := c.Offsets(ctx, client.OffsetQuery{Topic: "nope", TimestampMs: client.TimestampLatest},
			client.OffsetQuery{Topic: "t", Partition: 7, TimestampMs: client.TimestampEarliest},
			client.OffsetQuery{Topic: "t", Partition: 1, TimestampMs: 12345})
		say("offsets", err)
		for _, a := range a {
			say(fmt.Sprint(a.Offset, a.TimestampMs), a.Err)
		}
		same.check(w, lines)
	})
}

// Goal: nothing waits for a client that is closed. Method: every kind of call, with a ctx that does not end.
func TestClosedClient(t *testing.T) {
	forEach(t, cluster.Config{}, func(w *world) {
		c := w.client()
		w.topic(c, "t", 1)
		if err := c.Close(); err != nil {
			w.t.Fatal(err)
		}
		ctx := context.Background()
		_, produce := c.Produce(ctx, client.Record{Topic: "t"})
		_, topics := c.Topics(ctx)
		_, topic := c.Topic(ctx, "t")
		_, groups := c.Groups(ctx)
		_, offsets := c.Offsets(ctx, client.OffsetQuery{Topic: "t"})
		_, group := c.Group(ctx, "g", []string{"t"})
		alter := c.AlterConfigs(ctx, client.ConfigChange{Topic: "t"})
		k := c.Consumer()
		assign := k.Assign(ctx, "t", client.FromEarliest())
		_, poll := k.Poll(ctx)
		for i, err := range []error{produce, topics, topic, groups, offsets, group, alter, assign, poll, c.Flush(ctx)} {
			if !errors.Is(err, fault.Closing) {
				w.t.Errorf("call %d: %v", i, err)
			}
		}
	})
}
