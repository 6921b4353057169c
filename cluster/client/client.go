package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// recordOverhead is what a record under way takes besides its bytes.
const recordOverhead = 64

// Client produces, consumes and administers over a Transport. It is safe for concurrent use, and needs a
// Close.
type Client struct {
	o        options
	t        Transport
	catalog  *catalog
	producer *producer
	stopped  context.Context // the client's own life, not a caller's: it ends in Close
	end      context.CancelFunc

	sender, notices sync.WaitGroup // the two goroutines that live as long as the client

	mu     sync.Mutex
	closed bool
	groups map[*Group]struct{} // that were not closed
	jobs   sync.WaitGroup

	closing sync.Once
	err     error       // of Close
	shut    atomic.Bool // consumers look at it
}

// New makes a client that owns t.
func New(t Transport, opts ...Option) *Client {
	c := &Client{o: defaults(), t: t, groups: map[*Group]struct{}{}}
	for _, o := range opts {
		o.apply(&c.o)
	}
	c.stopped, c.end = context.WithCancel(context.Background())
	c.producer = newProducer(&c.o, t, c.spawn)
	c.catalog = newCatalog(t, c.spawn, c.producer.topicChanged)
	c.producer.refresh = c.catalog.remake
	c.sender.Go(c.producer.run)
	c.notices.Go(c.producer.notifier.run)
	return c
}

// spawn runs a job whose ctx ends with the client; Close waits for it. It reports false once the client is
// closed.
func (c *Client) spawn(job func(context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.jobs.Go(func() { job(c.stopped) })
	return true
}

// Produce writes a record and waits for its answer: the offset, -1 where the cluster had it already and does
// not remember where. When ctx ends earlier the record may still be written. Errors:
// fault.UnknownTopicOrPartition, fault.RecordTooLarge, fault.RequestTimedOut, fault.OutOfOrderSequence,
// fault.Closing, and what the leader says.
func (c *Client) Produce(ctx context.Context, r Record) (record.Offset, error) {
	reply := make(chan Delivery, 1)
	if _, err := c.take(ctx, &r, promise{reply: reply}); err != nil {
		return -1, err
	}
	select {
	case d := <-reply:
		return d.Offset, d.Err
	case <-ctx.Done():
		return -1, fault.New(fault.RequestTimedOut, "no answer yet, the record may still be written: %w", ctx.Err())
	}
}

// ProduceAsync takes a record and returns. done runs exactly once: on a goroutine of the client, in the order
// of the records of a partition, or on the caller's where the record is refused at once. It must not block;
// Flush, Close and Produce called in it would wait for it. ProduceAsync itself waits for the metadata of a
// topic that it sees for the first time, and while the buffer is full, as long as ctx allows; ctx does not
// matter afterwards.
func (c *Client) ProduceAsync(ctx context.Context, r Record, done func(Delivery)) {
	if to, err := c.take(ctx, &r, promise{done: done}); err != nil {
		done(Delivery{Topic: r.Topic, Partition: to, Offset: -1, Err: err})
	}
}

// take brings a record to its sink, or returns why it can't.
func (c *Client) take(ctx context.Context, r *Record, pr promise) (record.Partition, error) {
	size := record.RecordSize(&record.Record{Key: r.Key, Value: r.Value, Headers: r.Headers})
	if size+record.HeaderSize > c.o.maxBatch {
		return -1, fault.New(fault.RecordTooLarge, "a record of %d bytes does not fit a batch of %d bytes", size,
			c.o.maxBatch).WithHint("send smaller records, or raise the client's MaxBatchBytes")
	}
	now := time.Now()
	m, err := c.catalog.get(ctx, r.Topic, now)
	if err != nil {
		return -1, err
	}
	pr.bytes = size + recordOverhead
	if err := c.producer.credit.take(ctx, pr.bytes); err != nil {
		return -1, err
	}
	to, err := c.producer.add(r, m, now, pr)
	if fault.CodeOf(err) == fault.UnknownTopicOrPartition { // perhaps the topic has grown
		if m, err = c.catalog.fresh(ctx, r.Topic); err == nil {
			to, err = c.producer.add(r, m, now, pr)
		}
	}
	if err != nil {
		c.producer.credit.give(pr.bytes)
		return -1, err
	}
	return to, nil
}

// Flush sends what is gathered and waits until every record that was produced before has its answer, and its
// callback has run. Error: fault.RequestTimedOut where ctx ends first; the records go on.
func (c *Client) Flush(ctx context.Context) error { return c.producer.flush(ctx) }

// Stats counts what a client's producer has done.
type Stats struct {
	Records       uint64 // taken
	Batches       uint64 // answered for good
	Retries       uint64 // attempts that were refused and are made again
	Failed        uint64 // records that got an error
	Abandoned     uint64 // records that got theirs because the client closed
	BufferedBytes int    // of records that are not answered yet
	BufferWaits   uint64 // records that had to wait because MaxBufferedBytes was reached
}

// Stats returns the counts since New.
func (c *Client) Stats() Stats {
	c.producer.mu.Lock()
	s := c.producer.counts
	c.producer.mu.Unlock()
	s.BufferedBytes, s.BufferWaits = c.producer.credit.stats()
	return s
}

// Close waits for records under way, at most CloseTimeout, closes the transport and returns when all is
// quiet. Records that have no answer by then get fault.Closing, and so does Close. It is idempotent.
func (c *Client) Close() error {
	c.closing.Do(func() {
		c.shut.Store(true)
		c.producer.close()
		ctx, cancel := context.WithTimeout(context.Background(), c.o.closeTimeout)
		defer cancel()
		_ = c.Flush(ctx) // what is left is counted below
		c.producer.stop()
		c.sender.Wait()
		c.end()
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.leaveGroups(ctx)
		c.jobs.Wait()
		c.producer.notifier.end()
		c.notices.Wait()
		c.err = c.t.Close()
		if n := c.Stats().Abandoned; n > 0 {
			c.err = errors.Join(fault.New(fault.Closing, "%d records had no answer when the client closed", n).
				WithHint("call Flush first, or raise CloseTimeout"), c.err)
		}
	})
	return c.err
}
