package task

import (
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// committer brings positions to the group's offsets: one snapshot at a time, committed when the outputs of
// its round, and of all before, are acknowledged.
type committer struct {
	due     time.Time // of the next snapshot
	waiting *snapshot // not committed yet
	flying  bool      // its Commit is on its way
	retry   time.Time // not before, after an error
}

// snapshot is the positions at one moment. Outputs that were written before it have a round up to its own.
type snapshot struct {
	round     uint64
	positions []record.Offset // by input
}

func (k *committer) busy() bool { return k.waiting != nil }

func (c *Core) dirty() bool {
	for _, in := range c.inputs {
		if in.dirty {
			return true
		}
	}
	return false
}

// snapshot notes the positions when it is time to. A task that drains does not wait for the interval.
func (c *Core) snapshot() {
	k := &c.commits
	if k.waiting != nil || !c.dirty() || c.phase == phaseRunning && c.now.Before(k.due) {
		return
	}
	s := &snapshot{round: c.out.endRound()}
	for _, in := range c.inputs {
		s.positions = append(s.positions, in.position)
		in.dirty = false
	}
	k.waiting, k.due = s, c.now.Add(c.cfg.CommitInterval)
}

// commit asks for the snapshot's commit once everything before it is acknowledged.
//
// Invariant: no position is committed while an output of a record before it may still get lost.
func (c *Core) commit() {
	k := &c.commits
	if k.waiting == nil || k.flying || c.now.Before(k.retry) || c.out.oldestRound() <= k.waiting.round {
		return
	}
	commit := &Commit{Epoch: c.cfg.Epoch}
	for i, in := range c.inputs {
		if in.there && in.committed != k.waiting.positions[i] {
			commit.Offsets = append(commit.Offsets, Committable{
				Topic: in.source.Topic, Partition: c.cfg.ID.Partition, Next: k.waiting.positions[i],
			})
		}
	}
	if len(commit.Offsets) == 0 {
		k.waiting = nil
		return
	}
	k.flying = true
	c.effects.Commit = commit
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
	return nil
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
