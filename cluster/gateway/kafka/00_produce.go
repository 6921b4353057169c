package kafka

// Produce, versions 0 to 13, of which 0 to 2 are advertised and refused: librdkafka takes a broker that
// does not advertise them for one that cannot compress.
//
// v3 record batches (magic 2), one per partition · v7 zstd · v8 error message, and the bad records by
// number · v9 flexible · v10 current leader in the answer · v11, v12 transactions, which are refused · v13
// topics by id.
//
// The request is read piece by piece: each partition's records go from the socket into a buffer with room
// for the entry header in front and to the port at once, before the next partition is read. What can be
// refused by the table (unknown topic or partition, too many bytes) is thrown away unread. acks 0 has no
// answer; where such a Produce is refused the connection ends, as with Kafka, since nothing else would
// make the client look for the new leader.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

const (
	produceOldest   int16 = 3 // older ones carry another record format
	produceZstd     int16 = 7
	produceLeader   int16 = 10
	produceTopicIDs int16 = 13

	// maxProduced is the number of topics and partitions in one request.
	maxProduced = 20_000

	// The least bytes that a topic, and a partition of it, take in a request.
	produceTopicMin     = 3
	producePartitionMin = 6
)

// produceTopic is one topic of a Produce and of its answer.
type produceTopic struct {
	name       string
	id         record.TopicID
	partitions []*producePartition
}

// producePartition is one partition of a Produce and of its answer.
type producePartition struct {
	partition record.Partition
	produced  broker.Produced
}

// produceHead is what stands in front of the topics.
type produceHead struct {
	acks      int8
	timeoutMs int32
	refused   error // of the whole request
}

// produce reads a Produce and hands its partitions to the port as they come.
func (c *conn) produce(f *frame, k *call) error {
	topics := new([]produceTopic)
	h := c.produceHead(f, k)
	answered := h.acks != 0
	if !answered {
		k.state.Store(callAbandoned)
	}
	k.answer = func(o *output) { o.message(c.produced(k, *topics)) }
	taken := false
	defer func() { // also where the port panics
		if !taken {
			k.abandon()
		}
		k.done()
	}()
	elements := 0
	n := f.array(k.flexible, produceTopicMin)
	for i := 0; i < n && f.err == nil; i++ {
		c.produceTopic(f, k, h, topics, &elements)
	}
	f.tags(k.flexible)
	if f.err == nil && f.left > 0 {
		f.fail(malformed("%d bytes behind the request", f.left))
	}
	if f.err != nil {
		return f.err
	}
	taken = true
	if !answered {
		return nil
	}
	return c.enqueue(k)
}

// produceHead reads what stands in front of the topics.
func (c *conn) produceHead(f *frame, k *call) (h produceHead) {
	var transactional bool
	if k.version >= produceOldest {
		_, transactional = f.nullableString(k.flexible)
	}
	acks := f.int16()
	h.timeoutMs = f.int32()
	h.acks = int8(max(-1, min(acks, 2)))
	switch {
	case k.version < produceOldest:
		h.refused = fault.New(fault.UnsupportedVersion, "produce version %d has older record formats than 2",
			k.version).
			WithHint("use a client that speaks Kafka 0.11 or newer")
	case acks < -1 || acks > 1:
		h.refused = fault.New(fault.InvalidRequiredAcks, "acks %d", acks).WithHint("ask for 0, 1 or -1 (all)")
	case transactional:
		h.refused = fault.New(fault.InvalidTransactionState,
			"produce in a transaction, this version has none").
			WithHint("leave transactional.id out; idempotence works without it")
	}
	return h
}

// produceTopic reads one topic.
func (c *conn) produceTopic(f *frame, k *call, h produceHead, topics *[]produceTopic, elements *int) {
	t := produceTopic{}
	if k.version >= produceTopicIDs {
		t.id = f.uuid()
	} else {
		t.name = f.text(k.flexible)
	}
	n := f.array(k.flexible, producePartitionMin)
	if *elements += 1 + max(n, 0); *elements > maxProduced {
		f.fail(malformed("more than %d topics and partitions", maxProduced))
	}
	k.force(elementBytes)
	for i := 0; i < n && f.err == nil; i++ {
		if p := c.producePartition(f, k, h, &t); p != nil {
			t.partitions = append(t.partitions, p)
		}
	}
	f.tags(k.flexible)
	*topics = append(*topics, t)
}

// producePartition reads one partition's records and hands them to the port.
func (c *conn) producePartition(f *frame, k *call, h produceHead, t *produceTopic) *producePartition {
	p := &producePartition{partition: record.Partition(f.int32())}
	p.produced = broker.Produced{Base: -1, LogStart: -1, AppendTimeMs: -1}
	size := f.length(k.flexible, true)
	if f.err != nil {
		return nil
	}
	k.force(elementBytes)
	err := h.refused
	if err == nil {
		err = c.refuseUnread(k, t, p.partition, size)
	}
	if err != nil {
		f.skip(max(size, 0))
		f.tags(k.flexible)
		c.refuseProduce(k, h, p, err)
		return p
	}
	entry := c.readRecords(f, k, size)
	f.tags(k.flexible)
	if f.err != nil {
		return nil
	}
	charged := len(entry)
	if err := checkRecords(entry[state.FrameRoom:], k.version); err != nil {
		k.refund(charged)
		c.refuseProduce(k, h, p, err)
		return p
	}
	k.owe()
	c.s.port.Produce(broker.Produce{
		Who: k.who, Topic: t.name, TopicID: t.id, Partition: p.partition,
		Acks: h.acks, Frame: entry, Deadline: c.after(h.timeoutMs),
	}, func(r broker.Produced) {
		k.refund(charged)
		if r.Err != nil {
			c.refuseProduce(k, h, p, r.Err)
		}
		p.produced = r
		k.done()
	})
	return p
}

// readRecords reads size bytes of records into an entry's buffer, once there is credit for it. The call
// is charged with the entry's bytes.
func (c *conn) readRecords(f *frame, k *call, size int) []byte {
	if !k.charge(state.FrameRoom + size) {
		f.fail(errStopping)
		return nil
	}
	entry := make([]byte, state.FrameRoom+size)
	copied := f.payload(entry[state.FrameRoom:])
	c.in.big = size >= bigPayload
	c.s.o.Observer.Payload(size, copied)
	return entry
}

// refuseUnread says why records of size bytes (-1 for null) need not be read.
func (c *conn) refuseUnread(k *call, t *produceTopic, p record.Partition, size int) error {
	table := c.s.port.Table()
	topic := table.Topics[t.name]
	if k.version >= produceTopicIDs {
		if topic = table.ByID[t.id]; topic == nil {
			return fault.New(fault.UnknownTopicID, "no topic has the id %s", t.id)
		}
	}
	switch {
	case topic == nil || p < 0 || int(p) >= len(topic.Partitions):
		return fault.New(fault.UnknownTopicOrPartition, "topic %q has no partition %d", t.name, p)
	case size < record.HeaderSize:
		return fault.New(fault.InvalidRecord, "no record batch for %s/%d", topic.Name, p).
			WithHint("send exactly one batch for each partition")
	case topic.Config.MaxMessageBytes > 0 && size > topic.Config.MaxMessageBytes:
		return fault.New(fault.RecordTooLarge, "batch of %d bytes for %s/%d, its max.message.bytes is %d",
			size, topic.Name, p, topic.Config.MaxMessageBytes).
			WithHint("send smaller batches, or raise max.message.bytes of the topic")
	}
	return nil
}

// checkRecords verifies what belongs to the request and not to the batch: that there is one, of a codec
// that the version knows. Its header and checksum are the port's to check.
func checkRecords(records []byte, version int16) error {
	batch, rest, err := record.Next(records)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fault.New(fault.InvalidRecord, "%d bytes behind the record batch", len(rest)).
			WithHint("send exactly one batch for each partition")
	}
	if batch.Codec() == record.CodecZstd && version < produceZstd {
		return fault.New(fault.UnsupportedCompression, "zstd in produce version %d", version).
			WithHint("use a client that speaks Produce 7, or another codec")
	}
	return nil
}

// refuseProduce notes that a partition was refused.
func (c *conn) refuseProduce(k *call, h produceHead, p *producePartition, err error) {
	p.produced = broker.Produced{Base: -1, LogStart: -1, AppendTimeMs: -1, Err: err}
	if h.acks == 0 && !c.stopping.Load() {
		c.s.o.Logger.Info("produce without acknowledgement refused", "remote", c.remote,
			"partition", p.partition, "code", fault.CodeOf(err).String(), "err", err)
		c.stopReading(CauseRefused)
	}
}

// produced makes the answer.
func (c *conn) produced(k *call, topics []produceTopic) kmsg.Response {
	r := kmsg.NewPtrProduceResponse()
	nodes := leaderNodes{c: c}
	for _, t := range topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.name, t.id
		for _, p := range t.partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition = int32(p.partition)
			rp.ErrorCode = kafkaCode(p.produced.Err)
			rp.ErrorMessage = kafkaMessage(p.produced.Err)
			rp.BaseOffset = int64(p.produced.Base)
			rp.LogAppendTime = p.produced.AppendTimeMs
			rp.LogStartOffset = int64(p.produced.LogStart)
			for _, bad := range p.produced.Records {
				re := kmsg.NewProduceResponseTopicPartitionErrorRecord()
				re.RelativeOffset, re.ErrorMessage = bad.Index, &bad.Message
				rp.ErrorRecords = append(rp.ErrorRecords, re)
			}
			if k.version >= produceLeader && fault.CodeOf(p.produced.Err).Kafka() == fault.NotLeader.Kafka() {
				l := &rp.CurrentLeader
				l.LeaderID, l.LeaderEpoch = nodes.leader(t.name, t.id, p.partition)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	for _, n := range nodes.list() {
		b := kmsg.NewProduceResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack = n.id, n.host, n.port, n.rack
		r.Brokers = append(r.Brokers, b)
	}
	return r
}
