package grpc

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Bounds of what one answer holds, in bytes as stored.
const (
	defaultAnswerBytes = 1 << 20
	maxAnswerBytes     = 16 << 20
	maxReadWait        = 5 * time.Minute
)

// answerBytes is the bound that a client asks for.
func answerBytes(asked uint32) int {
	if asked == 0 {
		return defaultAnswerBytes
	}
	return int(min(asked, maxAnswerBytes))
}

// read is the call Read. It does not stand in for the generated method, whose answer cannot carry batches as they are:
// door.call comes here instead.
func (s *records) read(ctx context.Context, r *apiv1.ReadRequest) (*wire.ReadAnswer, error) {
	if err := checkForm(r.Form, r.Isolation); err != nil {
		return nil, err
	}
	if err := s.d.some("partitions", len(r.Partitions)); err != nil {
		return nil, err
	}
	f, err := s.readOf(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := s.d.await(ctx, 0); err != nil {
		return nil, err
	}
	answer := make(chan broker.Fetched, 1)
	reader := s.d.newReader()
	cancel := reader.Fetch(f, func(a broker.Fetched) { answer <- a })
	var got broker.Fetched
	select {
	case got = <-answer:
	case <-ctx.Done():
		cancel()
		(<-answer).Release() // it comes at once now
		return nil, ctx.Err()
	case <-s.d.draining:
		cancel()
		got = <-answer
	}
	return s.answerRead(ctx, r, f, got, reader.account), nil
}

// readOf is what the port is asked.
func (s *records) readOf(ctx context.Context, r *apiv1.ReadRequest) (broker.Fetch, error) {
	wait := min(time.Duration(r.MaxWaitMs)*time.Millisecond, maxReadWait)
	f := broker.Fetch{
		Who: whoOf(ctx), MinBytes: int(min(r.MinBytes, maxAnswerBytes)), MaxBytes: answerBytes(r.MaxBytes),
		Deadline: s.d.o.Now().Add(wait), ReadCommitted: committed(r.Isolation),
		Partitions: make([]broker.FetchPartition, len(r.Partitions)),
	}
	for i, p := range r.Partitions {
		q := broker.FetchPartition{
			Topic: p.GetTopic(), Partition: record.Partition(p.GetPartition()), From: record.Offset(p.GetOffset()),
			Epoch: record.NoEpoch, LastEpoch: record.NoEpoch, MaxBytes: answerBytes(p.GetMaxBytes()),
		}
		if id := p.GetTopicId(); len(id) > 0 {
			if len(id) != len(q.TopicID) {
				return f, fault.New(fault.InvalidRequest, "a topic id has %d bytes, not %d", len(q.TopicID), len(id))
			}
			q.TopicID = record.TopicID(id)
		}
		if p.GetMaxBytes() == 0 {
			q.MaxBytes = f.MaxBytes
		}
		f.Partitions[i] = q
	}
	return f, nil
}

// answerRead makes the answer of what was fetched. Its bytes count for the member until they are sent, or until the
// connection has ended.
func (s *records) answerRead(ctx context.Context, r *apiv1.ReadRequest, f broker.Fetch, got broker.Fetched,
	a *account) *wire.ReadAnswer {
	out := &wire.ReadAnswer{Response: &apiv1.ReadResponse{}, Batches: make([][][]byte, len(got.Partitions))}
	none, room := skips(&got), f.MaxBytes
	for i, p := range got.Partitions {
		res := &apiv1.ReadResult{Error: wire.ErrorOf(p.Err), Data: &apiv1.Batches{
			Topic: r.Partitions[i].GetTopic(), Partition: r.Partitions[i].GetPartition(),
			HighWatermark: int64(p.HighWatermark), LogStart: int64(p.LogStart), NextOffset: int64(f.Partitions[i].From),
		}}
		out.Response.Partitions = append(out.Response.Partitions, res)
		n := bytesOf(p.Batches)
		s.d.o.Observer.Fetched(int(n))
		if none && p.Err == nil {
			res.Data.NextOffset = int64(max(f.Partitions[i].From, readable(&got.Partitions[i], f.ReadCommitted)))
			continue
		}
		if r.Form == apiv1.Form_FORM_BATCHES {
			out.Batches[i] = p.Batches
			res.Data.NextOffset = int64(max(f.Partitions[i].From, endOf(p.Batches)))
			continue
		}
		opened, err := openAll(res.Data, f.Partitions[i].From, p.Batches, room)
		a.force(int64(opened)) // the copy that is encoded
		room -= opened
		if err != nil {
			res.Error = wire.ErrorOf(err)
		}
	}
	drop := func() {}
	if c, ok := ctx.Value(connKey{}).(*connState); ok {
		drop = c.keep(a)
	}
	out.Sent = func() {
		got.Release()
		a.settle()
		drop()
	}
	return out
}

// openAll fills in the records of batches, about room bytes of them but at least one where there is any, and says what
// they come to.
func openAll(b *apiv1.Batches, from record.Offset, batches [][]byte, room int) (opened int, err error) {
	for _, raw := range batches {
		if opened > 0 && opened >= room {
			return opened, nil
		}
		o := opener{rest: raw, from: from}
		list, n, err := o.records(room - opened)
		b.Records = append(b.Records, list...)
		opened += n
		from = o.from
		b.NextOffset = int64(from)
		if err != nil || len(o.rest) > 0 || o.open {
			return opened, err
		}
	}
	return opened, nil
}

func bytesOf(batches [][]byte) (n int64) {
	for _, b := range batches {
		n += int64(len(b))
	}
	return n
}

// endOf is the offset behind the last of some batches, which come from a log and so are whole; 0 for none.
func endOf(batches [][]byte) (end record.Offset) {
	for _, raw := range batches {
		for len(raw) > 0 {
			b, rest, err := record.Next(raw)
			if err != nil {
				return end
			}
			end, raw = b.LastOffset()+1, rest
		}
	}
	return end
}
