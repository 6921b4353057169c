package grpc_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// consumption is a Consume stream and what it has told so far.
type consumption struct {
	t      *testing.T
	s      apiv1.Consumer_ConsumeClient
	cancel func()
	has    map[string]int64 // partition → the next offset
	read   int              // records
	seen   []string
}

func (w *world) consume(j *apiv1.ConsumeJoin) *consumption {
	t := w.t.(*testing.T)
	t.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	t.Cleanup(cancel)
	s, err := apiv1.NewConsumerClient(w.conn).Consume(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := &consumption{t: t, s: s, cancel: cancel, has: map[string]int64{}}
	c.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Join{Join: j}})
	return c
}

func (c *consumption) say(r *apiv1.ConsumeRequest) {
	c.t.Helper()
	if err := c.s.Send(r); err != nil {
		c.t.Fatal(err)
	}
}

func join(form apiv1.Form) *apiv1.ConsumeJoin {
	return &apiv1.ConsumeJoin{
		Group: "g", Topics: []string{"t"}, Start: apiv1.ConsumeStart_CONSUME_START_EARLIEST, Form: form,
		SessionTimeoutMs: 6000, RebalanceTimeoutMs: 6000, CreditBytes: 1 << 20,
	}
}

func of(topic string, p int32) string { return fmt.Sprintf("%s/%d", topic, p) }

// next takes one response, releases what is revoked and notes the rest.
func (c *consumption) next() (*apiv1.ConsumeResponse, error) {
	c.t.Helper()
	a, err := c.s.Recv()
	if err != nil {
		return nil, err
	}
	c.seen = append(c.seen, fmt.Sprintf("%T", a.Event))
	switch e := a.Event.(type) {
	case *apiv1.ConsumeResponse_Assigned:
		for _, p := range e.Assigned.Partitions {
			c.has[of(p.Topic, p.Partition)] = p.Offset
		}
	case *apiv1.ConsumeResponse_Revoking:
		for _, p := range e.Revoking.Partitions {
			delete(c.has, of(p.Topic, p.Partition))
		}
		if e.Revoking.DeadlineMs == 0 || e.Revoking.DeadlineMs > 6000 {
			c.t.Errorf("deadline of %d ms", e.Revoking.DeadlineMs)
		}
		c.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Released{
			Released: &apiv1.ConsumeReleased{RevocationId: e.Revoking.RevocationId}}})
	case *apiv1.ConsumeResponse_Lost:
		for _, p := range e.Lost.Partitions {
			delete(c.has, of(p.Topic, p.Partition))
		}
	case *apiv1.ConsumeResponse_Records:
		c.records(e.Records)
	}
	return a, nil
}

// records checks that they follow what came before, and pays for them.
func (c *consumption) records(r *apiv1.ConsumeRecords) {
	d := r.Data
	key := of(d.Topic, d.Partition)
	next := c.has[key]
	for _, rec := range d.Records {
		if rec.Offset != next {
			c.t.Errorf("%s: offset %d, %d is next", key, rec.Offset, next)
		}
		next++
		c.read++
	}
	for raw := d.Batches; len(raw) > 0; {
		b, rest, err := record.Next(raw)
		if err != nil {
			c.t.Fatal(err)
		}
		raw = rest
		c.read += int(b.LastOffset() + 1 - max(record.Offset(next), b.BaseOffset()))
		next = int64(b.LastOffset()) + 1
	}
	if d.NextOffset < next {
		c.t.Errorf("%s goes on at %d, read to %d", key, d.NextOffset, next)
	}
	c.has[key] = d.NextOffset
	c.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_CreditBytes{CreditBytes: r.Size}})
}

// until takes responses until a fact holds.
func (c *consumption) until(fact string, is func() bool) {
	c.t.Helper()
	for !is() {
		if _, err := c.next(); err != nil {
			c.t.Fatalf("waiting for %s: %v; seen %v", fact, err, c.seen)
		}
	}
}

// commit stores where the stream is, and returns the partitions that were refused.
func (c *consumption) commit(id uint64, parts ...int32) (refused []*apiv1.PartitionError) {
	c.t.Helper()
	m := &apiv1.ConsumeCommit{Id: id}
	for _, p := range parts {
		m.Offsets = append(m.Offsets, &apiv1.ConsumeOffset{Topic: "t", Partition: p, Offset: c.has[of("t", p)]})
	}
	c.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Commit{Commit: m}})
	for {
		a, err := c.next()
		if err != nil {
			c.t.Fatal(err)
		}
		if d := a.GetCommitted(); d != nil {
			if d.Id != id || d.Error != nil {
				c.t.Errorf("commit %d is answered by %v", id, d)
			}
			return d.Refused
		}
	}
}

// write adds n records to each partition of t.
func (w *world) write(partitions int32, n int) {
	w.t.Helper()
	s, err := w.records.Produce(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for p := range partitions {
		if err := s.Send(raw(uint64(p), "t", p, batch(w.t, n, 100))); err != nil {
			w.t.Fatal(err)
		}
		if a, err := s.Recv(); err != nil || a.Error != nil {
			w.t.Fatal(err, a)
		}
	}
	_ = s.CloseSend()
	_, _ = s.Recv()
}

// Goal: a client joins, reads, commits and leaves over one stream, in both forms; a second one takes its part and
// goes on where the first committed; what it had comes back when its stream is cut. Method: two streams of a group.
func TestConsume(t *testing.T) {
	for _, form := range []apiv1.Form{apiv1.Form_FORM_RECORDS, apiv1.Form_FORM_BATCHES} {
		t.Run(form.String(), func(t *testing.T) {
			w := newWorld(t)
			w.topic("t", 2, nil)
			w.write(2, 10)
			a := w.consume(join(form))
			a.until("20 records", func() bool { return a.read == 20 })
			if refused := a.commit(1, 0, 1); len(refused) > 0 {
				t.Errorf("refused: %v", refused)
			}
			b := w.consume(join(form))
			a.until("one partition", func() bool { return len(a.has) == 1 })
			b.until("one partition", func() bool { return len(b.has) == 1 })
			for key, at := range b.has {
				if at != 10 {
					t.Errorf("b begins %s at %d", key, at)
				}
			}
			w.write(2, 5)
			a.until("25 records", func() bool { return a.read == 25 })
			b.until("5 records", func() bool { return b.read == 5 })
			var mine int32
			if _, ok := a.has["t/1"]; ok {
				mine = 1
			}
			refused := a.commit(2, mine, 1-mine)
			if len(refused) != 1 || refused[0].Partition != 1-mine ||
				wire.Refusal(refused[0].Error).(*fault.Error).Code != fault.IllegalGeneration {
				t.Errorf("a commit of what it does not have: %v", refused)
			}
			b.cancel()
			a.until("both again", func() bool { return len(a.has) == 2 })
			a.until("the uncommitted again", func() bool { return a.read == 30 })
			a.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Leave{Leave: &apiv1.ConsumeLeave{}}})
			for {
				if _, err := a.next(); err != nil {
					if err.Error() != "EOF" {
						t.Errorf("leave: %v", err)
					}
					break
				}
			}
		})
	}
}

// Goal: a seek is followed, and told apart from what was on its way. Method: to an offset, the ends and a time.
func TestConsumeSeek(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 1, nil)
	w.write(1, 10)
	a := w.consume(join(apiv1.Form_FORM_RECORDS))
	a.until("all", func() bool { return a.read == 10 })
	for id, tt := range []struct {
		to   *apiv1.Position
		want int64
	}{
		{at(4), 4},
		{&apiv1.Position{At: &apiv1.Position_Special{Special: apiv1.Special_SPECIAL_EARLIEST}}, 0},
		{&apiv1.Position{At: &apiv1.Position_TimestampMs{TimestampMs: 1007}}, 7},
	} {
		a.has["t/0"] = tt.want
		a.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Seek{Seek: &apiv1.ConsumeSeek{
			Partitions: []*apiv1.ConsumeSeekTo{{Topic: "t", To: tt.to, PositionId: uint32(id + 1)}}}}})
		for {
			r, err := a.next()
			if err != nil {
				t.Fatal(err)
			}
			if d := r.GetRecords().GetData(); d != nil && d.NextOffset == 10 {
				if d.PositionId != uint32(id+1) || d.Records[0].Offset != tt.want {
					t.Errorf("seek %d: %v", id, d)
				}
				break
			}
		}
	}
}

// Goal: what makes no sense is refused with code and hint, and a group of another type says so. Method: a table.
func TestConsumeRefusals(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 1, nil)
	bare := join(apiv1.Form_FORM_RECORDS)
	bare.Group = ""
	strange := join(apiv1.Form(9))
	brief := join(apiv1.Form_FORM_RECORDS)
	brief.SessionTimeoutMs = 1
	for name, tt := range map[string]struct {
		first []*apiv1.ConsumeRequest
		code  fault.Code
	}{
		"no join":       {[]*apiv1.ConsumeRequest{{Command: &apiv1.ConsumeRequest_CreditBytes{CreditBytes: 1}}}, fault.InvalidRequest},
		"no group":      {[]*apiv1.ConsumeRequest{{Command: &apiv1.ConsumeRequest_Join{Join: bare}}}, fault.InvalidGroupID},
		"a form":        {[]*apiv1.ConsumeRequest{{Command: &apiv1.ConsumeRequest_Join{Join: strange}}}, fault.InvalidRequest},
		"short session": {[]*apiv1.ConsumeRequest{{Command: &apiv1.ConsumeRequest_Join{Join: brief}}}, fault.InvalidSessionTimeout},
		"joins twice": {slices.Repeat([]*apiv1.ConsumeRequest{{Command: &apiv1.ConsumeRequest_Join{
			Join: join(apiv1.Form_FORM_RECORDS)}}}, 2), fault.InvalidRequest},
		"too much credit": {[]*apiv1.ConsumeRequest{
			{Command: &apiv1.ConsumeRequest_Join{Join: join(apiv1.Form_FORM_RECORDS)}},
			{Command: &apiv1.ConsumeRequest_CreditBytes{CreditBytes: 1 << 61}}}, fault.InvalidRequest},
	} {
		s, err := apiv1.NewConsumerClient(w.conn).Consume(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range tt.first {
			_ = s.Send(r)
		}
		for err == nil {
			_, err = s.Recv()
		}
		if got := wire.RefusalOf(err); fault.CodeOf(got) != tt.code {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Goal: a client that takes nothing keeps its membership, and what is read for it is bounded. Method: a stream with
// endless credit that is not read, and one without credit; both have their partition at the end.
func TestConsumeSlow(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 2, nil)
	for range 30 {
		w.write(2, 2000) // 13 MB in all
	}
	j := join(apiv1.Form_FORM_BATCHES)
	j.CreditBytes = 1 << 40
	deaf := w.consume(j)
	j = join(apiv1.Form_FORM_BATCHES)
	j.CreditBytes = 0
	poor := w.consume(j)
	poor.until("one partition", func() bool { return len(poor.has) == 1 })
	deaf.until("records", func() bool { return deaf.read > 0 })
	if poor.read > 0 {
		t.Errorf("%d records without credit", poor.read)
	}
	poor.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_CreditBytes{CreditBytes: 1}})
	poor.until("records", func() bool { return poor.read > 0 })
}
