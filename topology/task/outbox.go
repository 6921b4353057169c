package task

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
)

// outbox gathers what the operators write into batches and keeps them until they are acknowledged.
type outbox struct {
	limit, batchBytes, room int
	codec                   record.Codec
	describeWait            time.Duration
	asking                  bool             // enough is held for a topic about which there was no answer yet
	first                   record.Partition // where records without a key begin
	deadLetter              string

	topics  map[string]*outTopic
	order   []*outTopic // in the order of their first record
	last    *outTopic   // of the last record: most tasks write one topic
	flying  map[uint64]*outPartition
	seq     uint64
	round   uint64 // of the records that are written now
	bytes   int    // not acknowledged
	written int    // records of this Step
	queued  int    // full batches that are not in flight
	ready   bool   // one of them can be sent now

	// What was written since mark: to which partitions, and to which topics that are not described yet.
	marks   uint64 // how often mark was called
	touched []*outPartition
	holding []*outTopic
}

// outTopic is one output topic.
type outTopic struct {
	name   string
	parts  []*outPartition // none until it is described
	fixed  bool            // parts is the one partition that the task writes: a changelog
	sticky int             // where records without a key go, until a batch of them is closed

	asked     bool      // a Describe is on its way
	answered  bool      // there has been an answer, whatever it was
	missing   time.Time // since when it is known not to exist
	pause     pause
	held      []heldRecord // written before it was described
	heldBytes int
	round     uint64 // of the first one held
	marked    uint64 // the mark since which recent counts
	recent    int    // how many of held were written since then
}

// heldRecords is how many records are copied for a topic before the first answer about it: that comes soon, and a copy
// of each of a whole fetch costs more than to wait for it.
const heldRecords = 256

// heldRecord is a copy of a record that waits for its topic to be described.
type heldRecord struct {
	rec  record.Record
	from origin
}

func newOutbox(c Config) *outbox {
	return &outbox{
		limit: c.MaxUnsentBytes, batchBytes: c.BatchBytes, room: c.FrameRoom, codec: c.Codec,
		describeWait: c.DescribeWait, first: c.ID.Partition, deadLetter: c.Graph.DeadLetter,
		topics: map[string]*outTopic{}, flying: map[uint64]*outPartition{}, round: 1,
	}
}

func (o *outbox) full() bool  { return o.bytes >= o.limit }
func (o *outbox) empty() bool { return o.bytes == 0 }

// endRound closes the round of the records written so far and returns it.
func (o *outbox) endRound() uint64 {
	o.round++
	return o.round - 1
}

// oldestRound is the round of the oldest record that is not acknowledged.
func (o *outbox) oldestRound() uint64 {
	oldest := uint64(math.MaxUint64)
	if o.empty() {
		return oldest
	}
	for _, t := range o.order {
		if len(t.held) > 0 {
			oldest = min(oldest, t.round)
		}
		for _, p := range t.parts {
			oldest = min(oldest, p.oldestRound())
		}
	}
	return oldest
}

// add copies a record into the batch of its partition. Error: fault.RecordTooLarge where no batch can hold
// it.
func (o *outbox) add(topic string, r *record.Record, from *origin) error {
	t := o.last
	if t == nil || t.name != topic {
		t = o.topic(topic)
	}
	o.written++
	if len(t.parts) == 0 {
		o.hold(t, r, from)
		return nil
	}
	return o.put(t, r, from)
}

func (o *outbox) topic(name string) *outTopic {
	t := o.topics[name]
	if t == nil {
		t = &outTopic{name: name}
		o.topics[name] = t
		o.order = append(o.order, t)
	}
	o.last = t
	return t
}

// addChangelog is add for the changelog of a store, of which the task writes its own partition only.
func (o *outbox) addChangelog(s *plan.Store, r *record.Record) error {
	t := o.last
	if t == nil || t.name != s.Changelog {
		t = o.topic(s.Changelog)
	}
	if !t.fixed {
		must(len(t.parts) == 0 && len(t.held) == 0, "changelog %s is written to as a topic", s.Changelog)
		t.fixed, t.parts = true, []*outPartition{{topic: s.Changelog, number: o.first}}
	}
	return o.put(t, r, &origin{node: s.Node, store: s})
}

func (o *outbox) put(t *outTopic, r *record.Record, from *origin) error {
	p := t.parts[t.sticky]
	if r.Key != nil {
		p = t.parts[record.PartitionFor(r.Key, len(t.parts))]
	}
	closed := len(p.closed)
	grown, err := p.add(o, r, from)
	o.bytes += grown
	if err == nil {
		if p.marked != o.marks {
			p.marked, p.recent = o.marks, 0
			o.touched = append(o.touched, p)
		}
		p.recent++
	}
	if len(p.closed) > closed {
		t.spread(p)
	}
	return err
}

// spread moves records without a key to the next partition when a batch of p, where they went, is closed.
func (t *outTopic) spread(p *outPartition) {
	if p == t.parts[t.sticky] {
		t.sticky = (t.sticky + 1) % len(t.parts)
	}
}

func (o *outbox) hold(t *outTopic, r *record.Record, from *origin) {
	if len(t.held) == 0 {
		t.round = o.round
	}
	t.round = min(t.round, o.round)
	n := record.RecordSize(r)
	t.held = append(t.held, heldRecord{rec: cloneRecord(r), from: *from})
	t.heldBytes += n
	o.bytes += n
	if t.marked != o.marks {
		t.marked, t.recent = o.marks, 0
		o.holding = append(o.holding, t)
	}
	t.recent++
	o.asking = o.asking || !t.answered && len(t.held) >= heldRecords
}

// mark begins what rollback takes back: the outputs of one record.
func (o *outbox) mark() {
	o.marks++
	o.touched, o.holding = o.touched[:0], o.holding[:0]
}

// rollback takes back what was written since mark. Nothing of it has been sent: that comes behind.
func (o *outbox) rollback() error {
	for _, t := range o.holding {
		for ; t.recent > 0; t.recent-- {
			last := len(t.held) - 1
			n := record.RecordSize(&t.held[last].rec)
			t.held[last] = heldRecord{}
			t.held = t.held[:last]
			t.heldBytes -= n
			o.bytes -= n
		}
	}
	for _, p := range o.touched {
		if err := p.drop(o, p.recent); err != nil {
			return fmt.Errorf("take back outputs to %s/%d: %w", p.topic, p.number, err)
		}
		p.recent = 0
	}
	o.mark()
	o.asking = o.holdsEnough()
	return nil
}

// holdsEnough reports whether a topic about which there was no answer yet is held enough for.
func (o *outbox) holdsEnough() bool {
	return slices.ContainsFunc(o.order, func(t *outTopic) bool { return len(t.held) >= heldRecords && !t.answered })
}

// flush sends what can be sent: one batch per partition that has none in flight. It asks for topics that
// records wait for.
func (o *outbox) flush(c *Core) error {
	o.ready = false
	for _, t := range o.order {
		if len(t.held) > 0 {
			o.describe(c, t)
			continue
		}
		for _, p := range t.parts {
			if !p.pause.over(c.now) {
				continue
			}
			p.pause = pause{}
			closed, err := p.send(o, c)
			if err != nil {
				return fmt.Errorf("task %s: close a batch for %s/%d: %w", c.cfg.ID, t.name, p.number, err)
			}
			if closed {
				t.spread(p)
			}
		}
	}
	return nil
}

func (o *outbox) describe(c *Core, t *outTopic) {
	if t.asked || !t.pause.over(c.now) {
		return
	}
	t.asked, t.pause.until = true, time.Time{}
	c.effects.Describe = append(c.effects.Describe, Describe{Topic: t.name, Create: t.name == o.deadLetter})
}

// takeDescribed learns the partitions of a topic. They only ever become more.
func (o *outbox) takeDescribed(c *Core, d Described) error {
	t := o.topics[d.Topic]
	if t == nil {
		return nil // told unasked, about a topic that nothing was written to
	}
	t.asked, t.answered = false, true
	o.asking = o.holdsEnough()
	err := d.Err
	if err == nil && d.Partitions < 1 {
		err = fault.New(fault.UnknownTopicOrPartition, "topic %s has no partitions", d.Topic)
	}
	switch {
	case err == nil:
		for len(t.parts) < d.Partitions && !t.fixed {
			t.parts = append(t.parts, &outPartition{topic: t.name, number: record.Partition(len(t.parts))})
		}
		t.pause, t.missing = pause{}, time.Time{}
		if len(t.held) > 0 {
			t.sticky = int(o.first) % len(t.parts)
		}
		return o.unhold(t, func(h heldRecord) error { return o.put(t, &h.rec, &h.from) })
	case len(t.held) == 0:
		return nil
	case t.mayCome(c.now, o.describeWait, err):
		c.cfg.Observer.Retried(c.cfg.ID, "describe "+t.name, err)
		t.pause.begin(c.now)
		return nil
	}
	t.pause = pause{} // missing stays: the next records need not wait as long again
	return o.unhold(t, func(h heldRecord) error { return c.refuse(plan.StageProduce, h.from, &h.rec, err) })
}

// mayCome reports whether to ask again after an error. A cluster that cannot answer is not the records'
// fault, so that has no end; a topic that does not exist is, after a while.
func (t *outTopic) mayCome(now time.Time, wait time.Duration, err error) bool {
	if fault.CodeOf(err) != fault.UnknownTopicOrPartition {
		return retryable(err)
	}
	if t.missing.IsZero() {
		t.missing = now
	}
	return now.Sub(t.missing) < wait
}

// unhold gives every held record to f.
func (o *outbox) unhold(t *outTopic, f func(heldRecord) error) error {
	held := t.held
	o.bytes -= t.heldBytes
	t.held, t.heldBytes = nil, 0
	return o.inRound(t.round, func() error {
		for _, h := range held {
			if err := f(h); err != nil {
				return err
			}
		}
		return nil
	})
}

// inRound lets f write records that stand for older ones.
//
// Invariant: what replaces a record has that record's round or an older one, so that no commit overtakes it.
func (o *outbox) inRound(round uint64, f func() error) error {
	current := o.round
	o.round = min(round, current)
	err := f()
	o.round = current
	return err
}

// wake is when a topic is to be asked for again.
func (o *outbox) wake() time.Time {
	var w time.Time
	for _, t := range o.order {
		if len(t.held) > 0 && !t.asked {
			soonest(&w, t.pause.until)
		}
		for _, p := range t.parts {
			soonest(&w, p.pause.until)
		}
	}
	return w
}

func cloneRecord(r *record.Record) record.Record {
	c := *r
	c.Key, c.Value = cloneBytes(r.Key), cloneBytes(r.Value)
	c.Headers = make([]record.Header, len(r.Headers))
	for i, h := range r.Headers {
		c.Headers[i] = record.Header{Key: h.Key, Value: cloneBytes(h.Value)}
	}
	return c
}

// cloneBytes keeps nil apart from empty.
func cloneBytes(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}
