package task

import (
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// committer brings positions to the group's offsets, one snapshot at a time: its changelog records are
// written when the outputs before it are acknowledged, and it is committed when those are too, and its rows
// are in the database.
type committer struct {
	due     time.Time // of the next snapshot
	waiting *snapshot // not committed yet
	flying  bool      // its Commit is on its way
	retry   time.Time // not before, after an error
}

// snapshot is the positions at one moment. Outputs that were written before it have a round up to its own.
type snapshot struct {
	round      uint64
	positions  []record.Offset // by input
	streamTime time.Time
	logged     bool // the rows are in the outbox, for the changelogs
	applied    bool // they are in the database
}

func (k *committer) busy() bool { return k.waiting != nil }

func (c *Core) dirty() bool {
	for _, in := range c.inputs {
		if in.dirty {
			return true
		}
	}
	return c.stores.changed()
}

// snapshot notes the positions, and freezes the rows, when it is time to. A task that drains does not wait
// for the interval, nor does one whose rows need the room.
func (c *Core) snapshot() (taken bool) {
	k := &c.commits
	if k.waiting != nil || !c.dirty() ||
		c.phase == phaseRunning && c.now.Before(k.due) && !c.stores.full() {
		return false
	}
	s := &snapshot{streamTime: c.inst.StreamTime()}
	if c.stores.changed() {
		c.stores.dirty.freeze()
	}
	s.round = c.out.endRound()
	for _, in := range c.inputs {
		s.positions = append(s.positions, in.position)
		in.dirty = false
	}
	k.waiting, k.due = s, c.now.Add(c.cfg.CommitInterval)
	return true
}

// logRows writes the snapshot's rows to the changelogs, once every output before it is acknowledged.
//
// Invariant: no row that a next life finds is younger than an output that may still get lost. What an
// operator gives out once and notes as given out, such as the results of a window that is over, would else
// be lost with it: doing the records again on the newer rows does not bring it back.
func (c *Core) logRows() error {
	s := c.commits.waiting
	if s == nil || s.logged || c.out.oldestRound() <= s.round {
		return nil
	}
	s.logged = true
	if c.stores.dirty == nil || c.stores.dirty.frozen == nil {
		return nil
	}
	if err := c.writeChangelogs(s.streamTime); err != nil {
		return err
	}
	s.round = c.out.endRound()
	return nil
}

// commit applies the snapshot's rows and asks for the commit of its positions, once everything before it is
// acknowledged.
//
// Invariant: no position is committed, and no row applied, while an output or a changelog record of a record
// before it may still get lost. Rows come first: a task that starts again goes on at the later of both.
func (c *Core) commit() error {
	k := &c.commits
	if k.waiting == nil || k.flying || !k.waiting.logged || c.now.Before(k.retry) ||
		c.out.oldestRound() <= k.waiting.round {
		return nil
	}
	if applied, err := c.apply(k.waiting); err != nil || !applied {
		return err
	}
	commit := &Commit{Epoch: c.cfg.Epoch}
	for i, in := range c.inputs {
		if in.there && in.committed != k.waiting.positions[i] {
			commit.Offsets = append(commit.Offsets, Committable{
				Topic: in.source.Topic, Partition: c.cfg.ID.Partition, Next: k.waiting.positions[i],
				Note: encodeNote(k.waiting.streamTime),
			})
		}
	}
	if len(commit.Offsets) == 0 {
		k.waiting = nil
		c.rest()
		return nil
	}
	k.flying = true
	c.effects.Commit = commit
	return nil
}

// apply brings the frozen rows to the databases. A full disk is waited out; what else goes wrong there ends
// this life.
func (c *Core) apply(s *snapshot) (applied bool, err error) {
	if s.applied {
		return true, nil
	}
	var m []byte
	if c.stores.disk != nil {
		m = c.encodeMark(s.streamTime, func(i int) (record.Offset, bool) { return s.positions[i], c.inputs[i].there })
	}
	switch err := c.stores.apply(m); {
	case err == nil:
		s.applied, c.commits.retry = true, time.Time{}
		return true, nil
	case fault.CodeOf(err) == fault.DiskFull:
		c.cfg.Observer.Retried(c.cfg.ID, "apply rows", err)
		c.commits.retry = c.now.Add(c.cfg.CommitInterval)
		return false, nil
	default:
		return false, c.loseStores(err)
	}
}

func (c *Core) takeCommitted(a Committed) error {
	k := &c.commits
	must(k.flying, "task %s committed without asking", c.cfg.ID)
	k.flying = false
	if a.Err != nil {
		if !retryable(a.Err) {
			return fmt.Errorf("commit offsets of task %s with epoch %d: %w", c.cfg.ID, c.cfg.Epoch, a.Err)
		}
		c.cfg.Observer.Retried(c.cfg.ID, "commit", a.Err)
		k.retry = c.now.Add(c.cfg.CommitInterval)
		return nil
	}
	for i, in := range c.inputs {
		if in.there {
			in.committed = k.waiting.positions[i]
		}
	}
	k.waiting, k.retry = nil, time.Time{}
	c.trim()
	c.rest()
	return nil
}

// trim gives up what is committed of the repartition topics: the task is their only reader.
func (c *Core) trim() {
	if c.now.Before(c.trimDue) {
		return
	}
	c.trimDue = c.now.Add(c.cfg.TrimInterval)
	for _, in := range c.inputs {
		if in.there && in.source.Internal && in.committed > in.trimmed {
			in.trimmed = in.committed
			c.effects.Trim = append(c.effects.Trim, Trim{
				Topic: in.source.Topic, Partition: c.cfg.ID.Partition, Before: in.committed,
			})
		}
	}
}

// commitWake is when the committer has something to do by itself.
func (c *Core) commitWake() time.Time {
	switch k := &c.commits; {
	case k.waiting == nil && c.dirty():
		return k.due
	case k.waiting != nil && !k.flying:
		return k.retry
	}
	return time.Time{}
}
