package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// reader is a consumer of topic t with the model of its positions.
type reader struct {
	*rapid.T
	k      *Consumer
	end    record.Offset
	next   []record.Offset
	paused []bool
}

// Goal: whatever mix of Poll, loops that are left early, Seek, Pause and Resume a reader uses, it gets what
// stands at its position, and the position is exact. Method: property test against a model of positions.
func TestReadingIsExact(t *testing.T) {
	const parts, n = 3, 60
	f := newCluster(map[string]int{"t": parts})
	c := fill(t, f, parts, n)
	rapid.Check(t, func(rt *rapid.T) {
		k := c.Consumer(WithMaxPollBytes(rapid.SampledFrom([]int{1, 2000, 1 << 20}).Draw(rt, "poll")), WithMaxWait(time.Millisecond))
		defer k.Close()
		if err := k.Assign(within(t), "t", FromEarliest()); err != nil {
			rt.Fatal(err)
		}
		r := &reader{rt, k, n, make([]record.Offset, parts), make([]bool, parts)}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			r.step(within(t), record.Partition(rapid.IntRange(0, parts-1).Draw(rt, "partition")))
			for _, at := range k.Positions() {
				if at.Offset != r.next[at.Partition] {
					rt.Fatalf("position %+v, want %d", at, r.next[at.Partition])
				}
			}
		}
	})
}

func (r *reader) got(rec Record) {
	p := rec.Partition
	if r.paused[p] || rec.Offset != r.next[p] || string(rec.Value) != fmt.Sprint(rec.Offset) {
		r.Fatalf("partition %d: offset %d with %q, want %d, paused %v", p, rec.Offset, rec.Value, r.next[p], r.paused[p])
	}
	r.next[p]++
}

func (r *reader) ended() bool {
	for p := range r.next {
		if !r.paused[p] && r.next[p] < r.end {
			return false
		}
	}
	return true
}

func (r *reader) step(ctx context.Context, p record.Partition) {
	var err error
	switch rapid.IntRange(0, 4).Draw(r.T, "step") {
	case 0:
		if r.ended() {
			return
		}
		var rs []Record
		rs, err = r.k.Poll(ctx)
		for _, rec := range rs {
			r.got(rec)
		}
	case 1:
		for left := rapid.IntRange(1, 40).Draw(r.T, "records"); left > 0 && !r.ended(); left-- {
			for rec, err := range Records(ctx, r.k, topology.NewTopic("t", serde.Bytes, serde.Bytes)) {
				if err != nil {
					r.Fatal(err)
				}
				r.got(rec.Record)
				break
			}
		}
	case 2:
		r.next[p] = record.Offset(rapid.Int64Range(0, int64(r.end)).Draw(r.T, "offset"))
		err = r.k.Seek(ctx, "t", FromOffset(r.next[p]), p)
	case 3:
		r.paused[p], err = true, r.k.Pause("t", p)
	case 4:
		r.paused[p], err = false, r.k.Resume("t", p)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// Goal: Seek, Pause and Resume refuse what is not assigned, and a poll with nothing to read says so. Method: one
// bad call a row.
func TestSeekAndPauseRefusals(t *testing.T) {
	f := newCluster(map[string]int{"t": 2})
	c := fill(t, f, 2, 10)
	k := c.Consumer()
	defer k.Close()
	if err := k.Assign(within(t), "t", FromEarliest(), 0); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"seek":  k.Seek(within(t), "t", FromEarliest(), 1),
		"topic": k.Seek(within(t), "u", FromEarliest()),
		"start": k.Seek(within(t), "t", Start{}),
		"pause": k.Pause("t", 0, 1), "resume": k.Resume("u"),
	} {
		if !errors.Is(err, fault.InvalidRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(k.Paused()) != 0 {
		t.Error("a refused Pause paused something")
	}
	if err := k.Pause("t"); err != nil || !slices.Equal(k.Paused(), k.Positions()) {
		t.Fatal(err, k.Paused())
	}
	if _, err := k.Poll(within(t)); !errors.Is(err, fault.InvalidRequest) {
		t.Fatal(err)
	}
}

// Goal: a loop over typed records tells of a record that it cannot decode and goes on, and ends with its ctx, with
// the consumer and with the client. Method: one bad record among good ones, then each end.
func TestRecordsLoop(t *testing.T) {
	f := newCluster(map[string]int{"t": 1, "u": 1})
	c := New(f, impatient)
	topic := topology.NewTopic("t", serde.String, serde.Int64)
	for i, v := range [][]byte{{0, 0, 0, 0, 0, 0, 0, 1}, []byte("bad"), {0, 0, 0, 0, 0, 0, 0, 3}} {
		r := Record{Topic: "t", Key: fmt.Append(nil, i), Value: v, Headers: []record.Header{{Key: "h", Value: []byte("x")}}}
		if _, err := c.Produce(within(t), r); err != nil {
			t.Fatal(err)
		}
	}
	k := c.Consumer()
	if err := k.Assign(within(t), "t", FromEarliest()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	var values []int64
	var errs []error
	for r, err := range Records(ctx, k, topic) {
		if errs = append(errs, err); err == nil {
			values = append(values, r.Value)
			if string(r.Record.Headers[0].Value) != "x" || r.Key != fmt.Sprint(r.Record.Offset) {
				t.Errorf("%+v", r)
			}
		}
		if r.Record.Offset == 2 {
			cancel()
		}
	}
	if !slices.Equal(values, []int64{1, 3}) || len(errs) != 4 || !errors.Is(errs[1], fault.InvalidRecord) ||
		!errors.Is(errs[3], context.Canceled) {
		t.Fatal(values, errs)
	}
	time.AfterFunc(5*time.Millisecond, func() { _ = c.Close() })
	for _, err := range Records(within(t), k, topic) {
		if !errors.Is(err, fault.Closing) {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// Goal: a loop over one topic does not pass records of another off as its own. Method: two topics in one consumer.
func TestRecordsOfAnotherTopic(t *testing.T) {
	f := newCluster(map[string]int{"t": 1, "u": 1})
	c := newClient(t, f)
	if _, err := c.Produce(within(t), Record{Topic: "u"}); err != nil {
		t.Fatal(err)
	}
	k := c.Consumer()
	defer k.Close()
	for _, name := range []string{"t", "u"} {
		if err := k.Assign(within(t), name, FromEarliest()); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range Records(within(t), k, topology.NewTopic("t", serde.String, serde.String)) {
		if !errors.Is(err, fault.InvalidRequest) {
			t.Fatal(err)
		}
		break
	}
}

// Goal: a future gives its answer once it is there, to all who wait, and an impatient one may come again. Method:
// hold the answer back.
func TestFuture(t *testing.T) {
	f := newCluster(map[string]int{"t": 1})
	release := hold(f)
	c := newClient(t, f)
	defer release()
	future := c.ProduceFuture(within(t), Record{Topic: "t"})
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := future.Wait(ended); !errors.Is(err, fault.RequestTimedOut) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	release()
	for range 2 {
		if o, err := future.Wait(within(t)); o != 0 || err != nil {
			t.Fatal(o, err)
		}
	}
	if o, err := future.Wait(ended); o != 0 || err != nil { // what is there is given
		t.Fatal(o, err)
	}
	<-future.Done()
	if d := future.Delivery(); d.Topic != "t" || d.Partition != 0 || d.Err != nil {
		t.Fatal(d)
	}
	if _, err := c.ProduceFuture(within(t), Record{Topic: "nope"}).Wait(within(t)); !errors.Is(err, fault.UnknownTopicOrPartition) {
		t.Fatal(err)
	}
}
