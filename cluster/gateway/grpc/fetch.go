package grpc

import (
	"context"
	"errors"
	"io"
	"time"

	rpc "google.golang.org/grpc"

	"github.com/millstream-io/millstream/cluster/broker"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// The defaults and bounds of a Fetch stream.
const (
	defaultFetchWait = 500 * time.Millisecond
	maxFetchWait     = time.Minute
	fetchPause       = 100 * time.Millisecond // before a partition is tried again that could not be read
	commandsAhead    = 16                     // that the reader takes before the handler is at them
)

// fetchStream is one Fetch stream. Its reader takes commands; the handler has the state, asks the port, one question at
// a time, and sends.
type fetchStream struct {
	d        *door
	ctx      context.Context
	s        rpc.ServerStream
	who      broker.Who
	form     apiv1.Form
	isolated bool
	maxBytes int
	minBytes int
	wait     time.Duration
	reader   *reader
	commands chan *apiv1.FetchRequest
	news     *inbox[news]

	credit   int64 // bytes that may be sent; below 0 where a batch was larger
	parts    map[partitionKey]*fetchPart
	order    []*fetchPart // that the next question begins with is at the front
	asked    []*fetchPart // of the question under way, nil without one
	askedAt  []record.Offset
	cancel   func()
	hurried  bool        // the question was cut short
	due      time.Time   // when it is answered at the latest
	idle     time.Time   // until then nothing is asked: the port would not wait
	pending  []*opening  // batches that are sent record by record
	retry    *time.Timer // set while a partition pauses
	incoming []news
}

// partitionKey names a partition on a stream.
type partitionKey struct {
	topic     string
	partition int32
}

// fetchPart is one partition that is read.
type fetchPart struct {
	partitionKey
	id         record.TopicID
	positionID uint32
	next       record.Offset // -1 until the position has been looked up
	retryAt    time.Time
	gone       bool // removed, or moved: what comes for it is dropped
}

// news is what the port has to say: the answer to the question, or where a position is.
type news struct {
	fetched *broker.Fetched
	part    *fetchPart
	at      record.Offset
	err     error
}

// Fetch implements apiv1.RecordsServer.
func (s *records) Fetch(g rpc.BidiStreamingServer[apiv1.FetchRequest, apiv1.FetchResponse]) error {
	first, err := g.Recv()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	start := first.GetStart()
	if start == nil {
		return fault.New(fault.InvalidRequest, "the first request of a Fetch stream is not start").
			WithHint("say what to read and how first")
	}
	if err := checkForm(start.Form, start.Isolation); err != nil {
		return err
	}
	f := s.d.newFetch(g.Context(), g, start)
	defer f.end()
	if err := f.grant(start.CreditBytes); err != nil {
		return err
	}
	if err := f.add(start.Partitions); err != nil {
		return err
	}
	return f.run(s.d.beside(apiv1.Records_Fetch_FullMethodName, f.read))
}

func (d *door) newFetch(ctx context.Context, s rpc.ServerStream, start *apiv1.FetchStart) *fetchStream {
	f := &fetchStream{
		d: d, ctx: ctx, s: s, who: whoOf(ctx), form: start.Form, isolated: committed(start.Isolation),
		maxBytes: answerBytes(start.MaxMessageBytes), minBytes: int(max(1, min(start.MinBytes, maxAnswerBytes))),
		wait:   min(time.Duration(start.MaxWaitMs)*time.Millisecond, maxFetchWait),
		reader: d.newReader(), commands: make(chan *apiv1.FetchRequest, commandsAhead),
		news: newInbox[news](), parts: map[partitionKey]*fetchPart{}, retry: time.NewTimer(time.Hour),
	}
	if f.wait == 0 {
		f.wait = defaultFetchWait
	}
	f.retry.Stop()
	return f
}

// end gives up what is under way. A question that is still to be answered releases its buffers itself.
func (f *fetchStream) end() {
	for _, n := range f.news.close() {
		if n.fetched != nil {
			n.fetched.Release()
		}
	}
	f.interrupt()
	for _, w := range f.pending {
		w.sent.done()
	}
	f.retry.Stop()
	f.reader.settle()
}

// read takes commands until the client closes its side or the stream ends.
func (f *fetchStream) read() error {
	for {
		m := new(apiv1.FetchRequest)
		if err := f.s.RecvMsg(m); err != nil {
			return err
		}
		select {
		case f.commands <- m:
		case <-f.ctx.Done():
			return f.ctx.Err()
		}
	}
}

// run is the stream: it asks while there is credit, and does what it is told.
func (f *fetchStream) run(read <-chan error) error {
	for {
		if err := f.flush(); err != nil {
			return err
		}
		if err := f.ask(); err != nil {
			return err
		}
		select {
		case m := <-f.commands:
			if err := f.command(m); err != nil {
				return err
			}
		case <-f.news.bell:
			f.incoming = f.news.take(f.incoming)
			for _, n := range f.incoming {
				if err := f.hear(n); err != nil {
					return err
				}
			}
		case <-f.retry.C:
			f.interrupt()
		case err := <-read:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-f.d.draining:
			return closing()
		case <-f.ctx.Done():
			return f.ctx.Err()
		}
	}
}

// command does what the client says.
func (f *fetchStream) command(m *apiv1.FetchRequest) error {
	switch c := m.Command.(type) {
	case *apiv1.FetchRequest_CreditBytes:
		return f.grant(c.CreditBytes)
	case *apiv1.FetchRequest_Add:
		return f.add(c.Add.GetPartitions())
	case *apiv1.FetchRequest_Remove:
		return f.remove(c.Remove.GetPartitions())
	case *apiv1.FetchRequest_Start:
		return fault.New(fault.InvalidRequest, "a Fetch stream starts once").WithHint("add or remove partitions, or open another")
	}
	return fault.New(fault.InvalidRequest, "a request on a Fetch stream says nothing that this member knows")
}

// maxCredit bounds what a stream may be granted: more than can ever be read.
const maxCredit = 1 << 60

func (f *fetchStream) grant(n uint64) error {
	if n > maxCredit || f.credit+int64(n) > maxCredit {
		return fault.New(fault.InvalidRequest, "credit of %d bytes beyond %d is no bound", n, f.credit).
			WithHint("grant what you have room for")
	}
	f.credit += int64(n)
	return nil
}

// ask puts the next question to the port, where there is none under way and something may be sent.
func (f *fetchStream) ask() error {
	if f.asked != nil || f.credit <= 0 || len(f.pending) > 0 {
		return nil
	}
	now := f.d.o.Now()
	if now.Before(f.idle) {
		f.retry.Reset(f.idle.Sub(now))
		return nil
	}
	var parts []*fetchPart
	for _, p := range f.order {
		switch {
		case p.next < 0:
		case now.Before(p.retryAt):
			f.retry.Reset(p.retryAt.Sub(now))
		default:
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	if err := f.d.await(f.ctx, 0); err != nil {
		return err
	}
	most := int(min(int64(f.maxBytes), f.credit))
	q := broker.Fetch{
		Who: f.who, MinBytes: min(f.minBytes, most), MaxBytes: most, Deadline: now.Add(f.wait), ReadCommitted: f.isolated,
		Partitions: make([]broker.FetchPartition, len(parts)),
	}
	f.asked, f.askedAt, f.hurried, f.due = parts, f.askedAt[:0], false, q.Deadline
	for i, p := range parts {
		q.Partitions[i] = broker.FetchPartition{
			Topic: p.topic, TopicID: p.id, Partition: record.Partition(p.partition), From: p.next,
			Epoch: record.NoEpoch, LastEpoch: record.NoEpoch, MaxBytes: most,
		}
		f.askedAt = append(f.askedAt, p.next)
	}
	f.cancel = f.reader.Fetch(q, func(r broker.Fetched) {
		if !f.news.put(news{fetched: &r}) {
			r.Release()
		}
	})
	return nil
}
