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

// inputPartition is where the task reads one of its source topics.
type inputPartition struct {
	source *plan.Node
	chain  plan.Chain

	there     bool          // the topic has this partition
	position  record.Offset // the first record that is not processed
	committed record.Offset // as acknowledged; NotCommitted where nothing has been
	dirty     bool          // position is worth a commit
	trimmed   record.Offset // asked to be trimmed before
	end       record.Offset // behind the newest record that is known to be there

	asked   bool // a Fetch is on its way
	pause   pause
	reset   bool     // a fetch was out of range: look again where the log begins
	chunks  [][]byte // fetched and not cut yet
	batch   record.Batch
	reader  record.Reader // over batch
	reading bool          // batch is being read
	head    record.Record // the next record, where hasHead
	hasHead bool
	headMs  int64     // the event time of head
	idle    time.Time // since when the others wait for records of this one; zero: they do not
	again   time.Time // head is not tried again before
	release func()
}

// drop forgets what is fetched and not processed.
func (in *inputPartition) drop() {
	in.chunks, in.batch, in.reading, in.hasHead = nil, nil, false, false
	in.reader, in.head = record.Reader{}, record.Record{}
	if in.release != nil {
		in.release()
		in.release = nil
	}
}

func (in *inputPartition) empty() bool { return in.batch == nil && len(in.chunks) == 0 }

func (c *Core) locate() {
	c.effects.Locate = &Locate{
		Topics: c.sub.SourceTopics(), Partition: c.cfg.ID.Partition,
		First: c.phase == phaseLocating && c.located.last == 0,
	}
}

// retryLocate asks again where the pause after a failure is over.
func (c *Core) retryLocate() {
	if c.located.until.IsZero() || !c.located.over(c.now) {
		return
	}
	c.located.until = time.Time{}
	if c.phase == phaseLocating || c.phase == phaseRunning {
		c.locate()
	}
}

func (c *Core) takeLocated(a Located) error {
	if c.phase != phaseLocating && c.phase != phaseRunning {
		return nil
	}
	if a.Err != nil {
		if !retryable(a.Err) {
			return fmt.Errorf("locate inputs of task %s: %w", c.cfg.ID, a.Err)
		}
		c.cfg.Observer.Retried(c.cfg.ID, "locate", a.Err)
		c.located.begin(c.now)
		return nil
	}
	c.located = pause{}
	if c.phase == phaseLocating {
		c.inst.SetStreamTime(c.restoredTime())
		for _, p := range a.Positions {
			if p.Committed != NotCommitted && p.Committed <= p.End { // else it was another topic
				c.inst.SetStreamTime(decodeNote(p.Note))
			}
		}
	}
	for _, p := range a.Positions {
		i := slices.IndexFunc(c.inputs, func(in *inputPartition) bool { return in.source.Topic == p.Topic })
		if i < 0 {
			continue
		}
		if c.phase == phaseLocating {
			c.inputs[i].begin(p, c.loaded)
		} else if c.inputs[i].reset {
			c.resetPosition(c.inputs[i], p)
		}
	}
	if c.phase == phaseRunning {
		return nil
	}
	c.phase = phaseRunning
	c.cfg.Observer.Running(c.cfg.ID)
	if c.paused {
		c.cfg.Observer.Paused(c.cfg.ID, true)
	}
	if c.cfg.Publish != nil {
		c.cfg.Publish(NewView(c.stores.disk, c.stores.memory))
	}
	c.begin()
	if err := c.inst.Init(); err != nil {
		return err
	}
	if c.stores.lost != nil {
		return c.loseStores(c.stores.lost)
	}
	return nil
}

// begin takes the first position. One that was chosen because there is no committed offset is worth a commit
// where it would not be chosen again: records between now and a restart would otherwise never be read. Where the
// rows are further than the commit, as the mark beside them says, that counts, unless the topic is another one
// now: everything before it is acknowledged.
func (in *inputPartition) begin(p Position, m mark) {
	in.there, in.end = true, p.End
	in.committed = p.Committed
	at, marked := m.inputs[p.Topic]
	switch {
	case marked && at > p.Committed && at >= p.Start && at <= p.End:
		in.position, in.dirty = at, true
	case p.Committed != NotCommitted:
		in.position = p.Committed
	case in.source.Start == plan.StartLatest:
		in.position, in.dirty = p.End, true
	default:
		in.position = p.Start
	}
}

// resetPosition goes on where the log still is, in the way the source says. A position that is in range after
// all is kept: the leader that refused it may not have known the end yet.
func (c *Core) resetPosition(in *inputPartition, p Position) {
	in.reset, in.end = false, p.End
	if p.Start <= in.position && in.position <= p.End {
		in.pause.begin(c.now)
		return
	}
	from := in.position
	if in.position = p.Start; in.source.Start == plan.StartLatest {
		in.position = p.End
	}
	in.dirty = true
	c.cfg.Observer.Reset(c.cfg.ID, in.source.Topic, from, in.position)
}

// fetch asks for more where everything fetched is processed and the outbox has room. Where a start at the
// latest record is not committed yet it waits for that.
func (c *Core) fetch() {
	if c.out.full() || c.anchoring() {
		return
	}
	for _, in := range c.inputs {
		if !in.there || in.asked || in.reset || !in.empty() || !in.pause.over(c.now) {
			continue
		}
		in.asked = true
		in.pause.until = time.Time{}
		c.effects.Fetch = append(c.effects.Fetch, Fetch{
			Topic: in.source.Topic, Partition: c.cfg.ID.Partition,
			From: in.position, MaxBytes: c.cfg.MaxFetchBytes,
		})
	}
}

// anchoring reports whether a start at the latest record waits for its first commit.
func (c *Core) anchoring() bool {
	return slices.ContainsFunc(c.inputs, func(in *inputPartition) bool {
		return in.there && in.committed == NotCommitted && in.source.Start == plan.StartLatest
	})
}

func (c *Core) takeFetched(a Fetched) error {
	if l := c.changelogs.byTopic(a.Topic); l != nil {
		return c.takeRestored(l, a)
	}
	i := slices.IndexFunc(c.inputs, func(in *inputPartition) bool { return in.source.Topic == a.Topic })
	must(i >= 0, "task %s fetched topic %s, which it does not read", c.cfg.ID, a.Topic)
	in := c.inputs[i]
	must(in.asked, "task %s fetched %s without asking", c.cfg.ID, a.Topic)
	in.asked = false
	in.release = a.Release
	if c.phase != phaseRunning {
		in.drop()
		return nil
	}
	if a.Err != nil {
		in.drop()
		return c.fetchFailed(in, a.Err)
	}
	in.pause, in.end = pause{}, max(in.end, a.End)
	if in.chunks = a.Batches; len(a.Batches) == 0 {
		in.drop()
		in.end = in.position // what was there is compacted away
	}
	return nil
}

func (c *Core) fetchFailed(in *inputPartition, err error) error {
	switch {
	case fault.CodeOf(err) == fault.OffsetOutOfRange:
		in.reset = true
		c.locate()
	case retryable(err) && fault.CodeOf(err) != fault.CorruptRecord: // damage stays
		in.pause.begin(c.now)
	default:
		return c.damaged(in, err)
	}
	c.cfg.Observer.Retried(c.cfg.ID, "fetch", err)
	return nil
}

func (c *Core) damaged(in *inputPartition, err error) error {
	return fmt.Errorf("task %s: read %s from %s/%d@%d: %w",
		c.cfg.ID, in.source, in.source.Topic, c.cfg.ID.Partition, in.position, err)
}

// nextInput returns the input whose next record is the oldest, and the highest time up to which no other one
// has an older record. It is nil where there is nothing to process, or where an input is known to have records
// that are not here yet and might be older.
func (c *Core) nextInput() (next *inputPartition, until int64) {
	for _, in := range c.inputs {
		if !c.offers(in) {
			continue
		}
		if !in.hasHead {
			return in, 0 // damage, which run meets again and reports
		}
		if next == nil || in.headMs < next.headMs {
			next = in
		}
	}
	if next == nil {
		return nil, 0
	}
	if c.now.Before(next.again) || c.inOrder && c.waits() {
		return nil, 0
	}
	return next, c.olderThanOthers(next)
}

// offers reports whether in has a record to process, or bytes that turned out not to be any.
func (c *Core) offers(in *inputPartition) bool {
	if in.empty() || !c.inOrder && c.now.Before(in.again) {
		return false
	}
	return c.peek(in) != nil || in.hasHead
}

// waits reports whether an input that has nothing to offer holds up the others.
func (c *Core) waits() bool {
	waits := false
	for _, in := range c.inputs {
		switch {
		case !in.there:
		case in.hasHead:
			in.idle = time.Time{}
		case in.position < in.end:
			waits = true
		default:
			if in.idle.IsZero() {
				in.idle = c.now
			}
			waits = waits || c.now.Before(in.idle.Add(c.cfg.MaxTaskIdle))
		}
	}
	return waits
}

// olderThanOthers is the highest time of a record of in that comes before the next record of every other input.
// Of records with the same time that of the first input goes first.
func (c *Core) olderThanOthers(in *inputPartition) int64 {
	until, before := int64(math.MaxInt64), true
	for _, other := range c.inputs {
		switch {
		case other == in:
			before = false
		case !other.hasHead:
		case before:
			until = min(until, other.headMs-1)
		default:
			until = min(until, other.headMs)
		}
	}
	return until
}

// wake is when the input has something to do by itself.
func (in *inputPartition) wake(c *Core) time.Time {
	at := in.pause.until
	if in.hasHead && c.now.Before(in.again) {
		soonest(&at, in.again)
	}
	if idle := in.idle.Add(c.cfg.MaxTaskIdle); !in.idle.IsZero() && !in.hasHead && c.now.Before(idle) {
		soonest(&at, idle)
	}
	return at
}

// peek makes head the next record to process, unless nothing is left, and headMs its time. Its error is damage.
func (c *Core) peek(in *inputPartition) error {
	if in.hasHead {
		return nil
	}
	if err := in.read(); err != nil || !in.hasHead {
		return err
	}
	in.headMs = in.head.TimestampMs
	if timed, ok := in.chain.(plan.Timed); ok && c.inOrder {
		c.current, c.raw = in, &in.head // whom a panic of the user's function is about
		in.headMs = timed.EventTime(&in.head)
		c.current, c.raw = nil, nil
	}
	return nil
}

// read makes head the next record to process, unless nothing is left. Its error is damage.
func (in *inputPartition) read() error {
	for !in.hasHead {
		if err := in.cut(); err != nil || in.batch == nil {
			return err
		}
		if !in.reading {
			if err := in.reader.Open(in.batch, 0); err != nil {
				return err
			}
			in.reading = true
		}
		for !in.hasHead && in.reader.Next(&in.head) {
			in.hasHead = in.head.Offset >= in.position
		}
		if in.hasHead {
			break
		}
		if err := in.reader.Err(); err != nil {
			return err
		}
		in.passed(in.batch.LastOffset() + 1) // compaction may have removed the last ones
		in.batch, in.reading = nil, false
	}
	return nil
}

// cut makes batch the next one that holds records to process. Batches are checked here, where they are
// decoded.
func (in *inputPartition) cut() error {
	for in.batch == nil {
		if len(in.chunks) == 0 {
			in.drop()
			return nil
		}
		if len(in.chunks[0]) == 0 {
			in.chunks = in.chunks[1:]
			continue
		}
		b, rest, err := record.Next(in.chunks[0])
		if err != nil {
			return err
		}
		if err := b.Check(); err != nil {
			return err
		}
		in.chunks[0] = rest
		switch {
		case b.LastOffset() < in.position: // the log gives whole entries, which may begin earlier
		case b.Control():
			in.passed(b.LastOffset() + 1)
		default:
			in.batch = b
		}
	}
	return nil
}

func (in *inputPartition) passed(next record.Offset) {
	in.position, in.dirty = next, true
}

// run processes records of in up to a time, until there are no more or there is no room for what they write.
func (c *Core) run(in *inputPartition, until int64) error {
	for c.room() {
		if err := c.peek(in); err != nil {
			return c.damaged(in, err)
		}
		if !in.hasHead || in.headMs > until {
			return nil
		}
		c.current, c.raw = in, &in.head
		c.begin()
		err := c.undone(in.chain.Process(&in.head))
		c.current, c.raw = nil, nil
		if err != nil {
			if retry, ok := err.(*plan.RetryError); ok {
				in.again = c.now.Add(retry.After)
				return nil
			}
			return err
		}
		c.taken++
		in.passed(in.head.Offset + 1)
		in.hasHead = false
	}
	return nil
}
