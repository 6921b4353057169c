package task

import (
	"fmt"
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

	asked   bool // a Fetch is on its way
	pause   pause
	reset   bool     // a fetch was out of range: look again where the log begins
	chunks  [][]byte // fetched and not cut yet
	batch   record.Batch
	reader  record.Reader // over batch
	reading bool          // batch is being read
	release func()
}

// drop forgets what is fetched and not processed.
func (in *inputPartition) drop() {
	in.chunks, in.batch, in.reading = nil, nil, false
	in.reader = record.Reader{}
	if in.release != nil {
		in.release()
		in.release = nil
	}
}

func (in *inputPartition) idle() bool { return in.batch == nil && len(in.chunks) == 0 }

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
	for _, p := range a.Positions {
		i := slices.IndexFunc(c.inputs, func(in *inputPartition) bool { return in.source.Topic == p.Topic })
		if i < 0 {
			continue
		}
		if c.phase == phaseLocating {
			c.inputs[i].begin(p)
		} else if c.inputs[i].reset {
			c.resetPosition(c.inputs[i], p)
		}
	}
	if c.phase == phaseRunning {
		return nil
	}
	c.phase = phaseRunning
	return c.inst.Init()
}

// begin takes the first position. One that was chosen because there is no committed offset is worth a commit
// where it would not be chosen again: records between now and a restart would otherwise never be read.
func (in *inputPartition) begin(p Position) {
	in.there = true
	in.committed = p.Committed
	switch {
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
	in.reset = false
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
		if !in.there || in.asked || in.reset || !in.idle() || !in.pause.over(c.now) {
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
	in.pause = pause{}
	if in.chunks = a.Batches; len(a.Batches) == 0 {
		in.drop()
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

// nextInput returns the input whose next batch begins earliest, or nil where there is nothing to process.
// Inputs meet in the order of their times as far as both have been fetched; a stateless task need not wait
// for more.
func (c *Core) nextInput() *inputPartition {
	var next *inputPartition
	for _, in := range c.inputs {
		if in.idle() {
			continue
		}
		if err := in.cut(); err != nil {
			return in // run meets the same error and reports it
		}
		if in.batch != nil && (next == nil || in.batch.BaseTimestampMs() < next.batch.BaseTimestampMs()) {
			next = in
		}
	}
	return next
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

// run processes records of in's batch until it ends or the outbox is full.
func (c *Core) run(in *inputPartition) error {
	if err := in.cut(); err != nil {
		return c.damaged(in, err)
	}
	if !in.reading {
		if err := in.reader.Open(in.batch, 0); err != nil {
			return c.damaged(in, err)
		}
		in.reading = true
	}
	var raw record.Record
	c.current, c.raw = in, &raw
	for !c.out.full() {
		if !in.reader.Next(&raw) {
			c.current, c.raw = nil, nil
			return c.endOfBatch(in)
		}
		if raw.Offset < in.position {
			continue
		}
		if err := in.chain.Process(&raw); err != nil {
			c.current, c.raw = nil, nil
			return err
		}
		c.taken++
		in.passed(raw.Offset + 1)
	}
	c.current, c.raw = nil, nil
	return nil
}

func (c *Core) endOfBatch(in *inputPartition) error {
	if err := in.reader.Err(); err != nil {
		return c.damaged(in, err)
	}
	in.passed(in.batch.LastOffset() + 1) // compaction may have removed the last ones
	in.batch, in.reading = nil, false
	return in.cut()
}
