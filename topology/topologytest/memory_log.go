package topologytest

import (
	"math"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/task"
)

// lossyEvery is which batch of a partition a lossy log forgets.
const lossyEvery = 5

// memoryLog is every topic, and the committed offsets.
type memoryLog struct {
	options options
	own     map[string]int // partitions of the topics that belong to the application
	topics  map[string][]*partitionLog
	offsets map[inputPartition]committed
	round   int // spreads records without a key
}

type inputPartition struct {
	topic     string
	partition record.Partition
}

type committed struct {
	next  record.Offset
	note  string
	epoch record.Epoch
}

// partitionLog is whole batches with their offsets. What the test has not read yet begins at read.
type partitionLog struct {
	batches []record.Batch
	start   record.Offset
	end     record.Offset
	read    record.Offset
	fence   record.Epoch // lower ones may not write
	watches []func()     // fetches that wait for records
	offered int          // batches so far
}

func newMemoryLog(o options) *memoryLog {
	return &memoryLog{
		options: o, topics: map[string][]*partitionLog{}, offsets: map[inputPartition]committed{},
	}
}

func (l *memoryLog) partitions(topic string) int {
	if n, ok := l.own[topic]; ok {
		return n
	}
	if n, ok := l.options.byTopic[topic]; ok {
		return n
	}
	return l.options.partitions
}

// topic returns a topic's partitions; topics come to be when they are first used.
func (l *memoryLog) topic(name string) []*partitionLog {
	parts, ok := l.topics[name]
	if !ok {
		for range l.partitions(name) {
			parts = append(parts, &partitionLog{})
		}
		l.topics[name] = parts
	}
	return parts
}

func (l *memoryLog) partition(topic string, p record.Partition) (*partitionLog, error) {
	parts := l.topic(topic)
	if int(p) >= len(parts) || p < 0 {
		return nil, fault.New(fault.UnknownTopicOrPartition, "topic %s has no partition %d", topic, p)
	}
	return parts[p], nil
}

// anyLife is the epoch of who is no task.
const anyLife record.Epoch = math.MaxInt32

// append takes a batch over, checks it as a broker does and gives it offsets, the first of which it returns.
func (l *memoryLog) append(
	topic string, p record.Partition, b record.Batch, life record.Epoch,
) (record.Offset, error) {
	part, err := l.partition(topic, p)
	if err != nil {
		return 0, err
	}
	if err := b.Check(); err != nil {
		return 0, err
	}
	if life < part.fence {
		return 0, fault.New(fault.ProducerFenced, "epoch %d is older than %d", life, part.fence)
	}
	if len(b) > l.options.maxBatchBytes {
		return 0, fault.New(fault.RecordTooLarge, "batch of %d bytes, topic %s takes %d", len(b), topic,
			l.options.maxBatchBytes)
	}
	if part.offered++; l.options.lossy && part.offered%lossyEvery == 0 {
		return part.end, nil
	}
	base := part.end
	b.SetBaseOffset(base)
	part.batches = append(part.batches, b)
	part.end = b.LastOffset() + 1
	watches := part.watches
	part.watches = nil
	for _, w := range watches {
		w()
	}
	return base, nil
}

// shutOut lets only epoch and newer ones write.
func (p *partitionLog) shutOut(epoch record.Epoch) error {
	if epoch < p.fence {
		return fault.New(fault.ProducerFenced, "epoch %d is older than %d", epoch, p.fence)
	}
	p.fence = epoch
	return nil
}

// trim removes the batches whose records are all below an offset.
func (p *partitionLog) trim(before record.Offset) {
	p.start = max(p.start, min(before, p.end))
	for len(p.batches) > 0 && p.batches[0].LastOffset() < p.start {
		p.batches = p.batches[1:]
	}
}

func (p *partitionLog) answer(f task.Fetch) task.Fetched {
	return task.Fetched{Topic: f.Topic, Batches: p.fetch(f.From, f.MaxBytes), End: p.end}
}

// fetch returns whole batches from an offset on, at most maxBytes but at least one.
func (p *partitionLog) fetch(from record.Offset, maxBytes int) [][]byte {
	var (
		found [][]byte
		bytes int
	)
	for _, b := range p.batches {
		if b.LastOffset() < from {
			continue
		}
		if bytes += len(b); len(found) > 0 && bytes > maxBytes {
			break
		}
		found = append(found, b)
	}
	return found
}

func (l *memoryLog) forgetWatches() {
	for _, parts := range l.topics {
		for _, p := range parts {
			p.watches = nil
		}
	}
}

func (l *memoryLog) committed(topic string, p record.Partition) record.Offset {
	if c, ok := l.offsets[inputPartition{topic, p}]; ok {
		return c.next
	}
	return task.NotCommitted
}

// commit stores an offset unless a newer life of the task has done so.
func (l *memoryLog) commit(c task.Committable, epoch record.Epoch) error {
	at := inputPartition{c.Topic, c.Partition}
	if old, ok := l.offsets[at]; ok && epoch < old.epoch {
		return fault.New(fault.IllegalGeneration, "epoch %d is older than %d", epoch, old.epoch)
	}
	l.offsets[at] = committed{c.Next, c.Note, epoch}
	return nil
}

// partitionOf is where a record goes among n partitions.
func (l *memoryLog) partitionOf(r *record.Record, n int) record.Partition {
	if r.Key != nil {
		return record.PartitionFor(r.Key, n)
	}
	l.round++
	return record.Partition((l.round - 1) % n)
}
