package client

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// The defaults of the consumer's options.
const (
	DefaultMaxPollBytes      = 16 << 20
	DefaultMaxPartitionBytes = 1 << 20
	DefaultMaxWait           = 500 * time.Millisecond
)

// Consumer reads partitions that it is told to. Poll fetches; over a connection the member sends ahead of it, up to
// 4 MiB and a batch, and no more until Poll is called. One goroutine only. It needs a Close.
type Consumer struct {
	c      *Client
	o      consumerOptions
	reader Reader

	parts   []*reading
	rotate  int // the partition that is asked first: MaxPollBytes must not starve the others
	box     inbox
	pending error // of the last fetch, told after its records
	backoff time.Duration
	closed  bool
}

// Position is the offset that is read next in a partition, or the end of one.
type Position struct {
	Topic     string
	Partition record.Partition
	Offset    record.Offset
}

// PartitionError says which partition was refused, and where. The refusal is in its chain.
type PartitionError struct {
	Topic     string
	Partition record.Partition
	Offset    record.Offset
	Err       error

	verb string // empty: read
}

// Error returns the refusal with its place in front.
func (e *PartitionError) Error() string {
	return fmt.Sprintf("%s %s/%d at %d: %v", cmp.Or(e.verb, "read"), e.Topic, e.Partition, e.Offset, e.Err)
}

// Unwrap returns the refusal.
func (e *PartitionError) Unwrap() error { return e.Err }

type consumerOptions struct {
	maxBytes, maxPartition, minBytes int
	maxWait                          time.Duration
	outOfRange                       Start
}

// ConsumerOption changes how a Consumer reads.
type ConsumerOption interface{ applyConsumer(*consumerOptions) }

type consumerOptionFunc func(*consumerOptions)

func (f consumerOptionFunc) applyConsumer(o *consumerOptions) { f(o) }

// WithMaxPollBytes bounds the batches of one Poll, as they are stored; the first one comes whatever its size.
func WithMaxPollBytes(n int) ConsumerOption {
	return consumerOptionFunc(func(o *consumerOptions) { o.maxBytes = max(n, 1) })
}

// WithMaxPartitionBytes bounds the batches of one partition in one Poll.
func WithMaxPartitionBytes(n int) ConsumerOption {
	return consumerOptionFunc(func(o *consumerOptions) { o.maxPartition = max(n, 1) })
}

// WithMinBytes lets the cluster wait for that many bytes, at most MaxWait.
func WithMinBytes(n int) ConsumerOption {
	return consumerOptionFunc(func(o *consumerOptions) { o.minBytes = max(n, 1) })
}

// WithMaxWait bounds how long one fetch waits at the cluster. Poll fetches until there is something.
func WithMaxWait(d time.Duration) ConsumerOption {
	return consumerOptionFunc(func(o *consumerOptions) { o.maxWait = max(d, time.Millisecond) })
}

// OnOutOfRange goes on from s where the position is outside the log. Without it Poll returns
// fault.OffsetOutOfRange, because records were missed.
func OnOutOfRange(s Start) ConsumerOption {
	return consumerOptionFunc(func(o *consumerOptions) { o.outOfRange = s })
}

// Consumer makes a consumer without partitions: Assign them.
func (c *Client) Consumer(opts ...ConsumerOption) *Consumer {
	k := &Consumer{c: c, reader: c.t.OpenReader(), o: consumerOptions{maxBytes: DefaultMaxPollBytes, maxPartition: DefaultMaxPartitionBytes,
		minBytes: 1, maxWait: DefaultMaxWait}}
	for _, o := range opts {
		o.applyConsumer(&k.o)
	}
	return k
}

// Assign adds partitions of a topic, all of them where none is named, and sets their positions. A partition
// that is assigned already gets the new position. All or nothing. It blocks. Errors:
// fault.UnknownTopicOrPartition and what looking up the start gives.
func (k *Consumer) Assign(ctx context.Context, topic string, from Start, partitions ...record.Partition) error {
	if from.kind == startNone {
		return noStart(topic)
	}
	m, err := k.c.catalog.fresh(ctx, topic)
	if err != nil {
		return err
	}
	if len(partitions) == 0 {
		for p := range m.Partitions {
			partitions = append(partitions, record.Partition(p))
		}
	}
	var added []*reading
	for _, p := range partitions {
		if p < 0 || int(p) >= len(m.Partitions) {
			return fault.New(fault.UnknownTopicOrPartition, "topic %q has no partition %d, it has %d", topic, p,
				len(m.Partitions)).WithHint("partitions are numbered from 0")
		}
		added = append(added, &reading{topic: topic, topicID: m.ID, partition: p})
	}
	if err := k.seek(ctx, from, added); err != nil {
		return err
	}
	for _, r := range added {
		k.Unassign(topic, r.partition)
		k.parts = append(k.parts, r)
	}
	return nil
}

// Unassign takes a partition away. Records of the last Poll stay valid.
func (k *Consumer) Unassign(topic string, p record.Partition) {
	k.parts = slices.DeleteFunc(k.parts, func(r *reading) bool {
		if r.topic != topic || r.partition != p {
			return false
		}
		k.box.drop(r)
		return true
	})
}

// Seek sets the positions of assigned partitions of a topic, of all that are where none is named: all or nothing.
// It blocks while a start must be looked up. Errors: fault.InvalidRequest for a partition that is not assigned,
// and what looking up the start gives.
func (k *Consumer) Seek(ctx context.Context, topic string, to Start, partitions ...record.Partition) error {
	parts, err := k.named(topic, partitions)
	if err != nil {
		return err
	}
	if to.kind == startNone {
		return noStart(topic)
	}
	for _, r := range parts {
		k.box.drop(r)
	}
	return k.seek(ctx, to, parts)
}

// Pause stops reading partitions of a topic, all that are assigned where none is named, until Resume. They keep
// their positions. What was fetched and not returned yet is fetched again. Error: fault.InvalidRequest for a
// partition that is not assigned.
func (k *Consumer) Pause(topic string, partitions ...record.Partition) error {
	return k.setPaused(true, topic, partitions)
}

// Resume goes on with paused partitions, of a topic or those named. Error: fault.InvalidRequest for a partition
// that is not assigned.
func (k *Consumer) Resume(topic string, partitions ...record.Partition) error {
	return k.setPaused(false, topic, partitions)
}

func (k *Consumer) setPaused(paused bool, topic string, partitions []record.Partition) error {
	parts, err := k.named(topic, partitions)
	if err != nil {
		return err
	}
	for _, r := range parts {
		if r.paused = paused; paused {
			k.box.drop(r)
		}
	}
	return nil
}

// Paused returns the positions of the partitions that are paused, sorted by topic and partition.
func (k *Consumer) Paused() []Position {
	return positions(k.parts, func(r *reading) bool { return r.paused })
}

// named finds assigned partitions, all of the topic where none is named.
func (k *Consumer) named(topic string, partitions []record.Partition) ([]*reading, error) {
	return find(k.parts, topic, partitions)
}

func find(in []*reading, topic string, partitions []record.Partition) (out []*reading, err error) {
	for _, r := range in {
		if r.topic == topic && (len(partitions) == 0 || slices.Contains(partitions, r.partition)) {
			out = append(out, r)
		}
	}
	for _, p := range partitions {
		if !slices.ContainsFunc(out, func(r *reading) bool { return r.partition == p }) {
			return nil, notAssigned("partition %s/%d is not assigned", topic, p)
		}
	}
	if len(out) == 0 {
		return nil, notAssigned("no partition of topic %q is assigned", topic)
	}
	return out, nil
}

func notAssigned(format string, args ...any) error {
	return fault.New(fault.InvalidRequest, format+" to this consumer", args...).WithHint("look at Positions")
}

func noStart(topic string) error {
	return fault.New(fault.InvalidRequest, "no start is given for topic %q", topic).
		WithHint("use FromEarliest, FromLatest, FromOffset, FromLast or FromTime")
}

func positions(in []*reading, pick func(*reading) bool) []Position {
	out := make([]Position, 0, len(in))
	for _, r := range in {
		if pick(r) {
			out = append(out, Position{r.topic, r.partition, r.position()})
		}
	}
	sortPositions(out)
	return out
}

func (k *Consumer) seek(ctx context.Context, from Start, parts []*reading) error {
	return seek(ctx, k.c, from, parts)
}

// seek sets the positions of partitions, or of none.
func seek(ctx context.Context, c *Client, from Start, parts []*reading) error {
	var q []OffsetQuery
	for _, r := range parts {
		q = append(q, from.queries(r.topic, r.partition)...)
	}
	var a []OffsetAnswer
	if len(q) > 0 {
		var err error
		if a, err = c.Offsets(ctx, q...); err != nil {
			return err
		}
	}
	each := len(q) / max(len(parts), 1)
	to := make([]record.Offset, len(parts))
	for i, r := range parts {
		o, err := from.resolve(a[i*each : (i+1)*each])
		if err != nil {
			return &PartitionError{Topic: r.topic, Partition: r.partition, Offset: r.next, Err: err}
		}
		to[i] = o
	}
	for i, r := range parts {
		r.next, r.reset = to[i], false
	}
	return nil
}

// Positions returns what is read next, sorted by topic and partition. Records that Poll returned count as
// read, and so does the record that Records has given last.
func (k *Consumer) Positions() []Position {
	return positions(k.parts, func(*reading) bool { return true })
}

// Ends asks for the ends of the assigned partitions as they are now, sorted like Positions. It blocks.
func (k *Consumer) Ends(ctx context.Context) ([]Position, error) {
	q := make([]OffsetQuery, 0, len(k.parts))
	for _, r := range k.parts {
		q = append(q, OffsetQuery{r.topic, r.partition, TimestampLatest})
	}
	a, err := k.c.Offsets(ctx, q...)
	if err != nil {
		return nil, err
	}
	out := make([]Position, 0, len(a))
	for i, r := range k.parts {
		if a[i].Err != nil {
			return nil, &PartitionError{Topic: r.topic, Partition: r.partition, Offset: r.next, Err: a[i].Err}
		}
		out = append(out, Position{r.topic, r.partition, a[i].Offset})
	}
	sortPositions(out)
	return out, nil
}

// Reached reports whether everything before ends has been read, in partitions that are assigned.
func (k *Consumer) Reached(ends []Position) bool {
	return !slices.ContainsFunc(k.parts, func(r *reading) bool {
		return slices.ContainsFunc(ends, func(e Position) bool {
			return e.Topic == r.topic && e.Partition == r.partition && r.position() < e.Offset
		})
	})
}

func sortPositions(ps []Position) {
	slices.SortFunc(ps, func(a, b Position) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

// Close gives the buffers of the last Poll back, and what was read ahead. It is idempotent.
func (k *Consumer) Close() {
	k.box.release()
	k.reader.Close()
	k.closed = true
}
