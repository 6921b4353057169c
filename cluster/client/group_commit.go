package client

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Commit stores the member's positions: everything that Poll has returned, and Records given, counts as done and is
// not read again. It blocks until that is stored; refusals that may pass are asked again as long as ctx runs. Errors,
// with the place of the first refusal as a *PartitionError: fault.IllegalGeneration and fault.UnknownMember for
// partitions that are not the member's any more, fault.RequestTimedOut.
func (g *Group) Commit(ctx context.Context) error { return g.commit(ctx, g.all()) }

// CommitAsync is Commit without waiting. done may be nil; else it runs exactly once, on any goroutine, and must not
// block. A refusal is not repeated. Commits take effect in the order of the calls.
func (g *Group) CommitAsync(done func(error)) {
	o := g.all()
	if len(o) == 0 {
		if done != nil {
			done(nil)
		}
		return
	}
	g.send(o, func(err error) {
		if err != nil {
			g.redo.Store(true)
		}
		if done != nil {
			done(err)
		}
	})
}

// CommitRecords is Commit up to these records, in any order, each with all before it in its partition. Errors: Commit's.
func (g *Group) CommitRecords(ctx context.Context, rs ...Record) error {
	at := map[TopicPartition]record.Offset{}
	for i := range rs {
		tp := TopicPartition{rs[i].Topic, rs[i].Partition}
		at[tp] = max(at[tp], rs[i].Offset+1)
	}
	var o []GroupOffset
	for i := range rs {
		tp := TopicPartition{rs[i].Topic, rs[i].Partition}
		if next, ok := at[tp]; ok {
			o = append(o, GroupOffset{TopicPartition: tp, Offset: next, LeaderEpoch: record.NoEpoch})
			delete(at, tp)
		}
	}
	return g.commit(ctx, o)
}

// CommitOffsets is Commit of these positions, which may come with the application's own metadata. Errors: Commit's,
// and fault.OffsetMetadataTooLarge.
func (g *Group) CommitOffsets(ctx context.Context, o ...GroupOffset) error { return g.commit(ctx, o) }

// Committed reads what the group has committed for the member's partitions, sorted; Offset is -1 where that is
// nothing. It blocks.
func (g *Group) Committed(ctx context.Context) ([]GroupOffset, error) {
	if len(g.parts) == 0 {
		return nil, nil
	}
	var parts []TopicPartition
	for _, p := range g.Positions() {
		parts = append(parts, TopicPartition{p.Topic, p.Partition})
	}
	return g.c.GroupOffsets(ctx, g.name, parts...)
}

// all are the positions that are not committed yet; they count as done from now on.
func (g *Group) all() []GroupOffset {
	for _, r := range g.parts {
		r.done = r.position()
	}
	return g.undone(g.parts)
}

// undone are the positions of what is done and not committed.
func (g *Group) undone(parts []*reading) (o []GroupOffset) {
	if g.redo.Swap(false) {
		for _, r := range g.parts {
			r.committed = -1
		}
	}
	for _, r := range parts {
		if r.done >= 0 && r.done != r.committed {
			tp := TopicPartition{r.topic, r.partition}
			o = append(o, GroupOffset{TopicPartition: tp, Offset: r.done, LeaderEpoch: record.NoEpoch})
		}
	}
	return o
}

// commitInTime commits what is done when it is time, and says in g.due when it will be.
func (g *Group) commitInTime(now time.Time) {
	if g.o.autoCommit == 0 {
		return
	}
	o := g.undone(g.parts)
	switch {
	case len(o) == 0:
		g.due = time.Time{}
	case g.due.IsZero():
		g.due = now.Add(g.o.autoCommit)
	case !now.Before(g.due):
		g.due = time.Time{}
		g.send(o, func(err error) {
			if err != nil {
				g.redo.Store(true)
				g.c.o.logger.Warn("group offsets not committed", "group", g.name, "err", err)
			}
		})
	}
}

// send commits once; what is under way is taken for committed.
func (g *Group) send(o []GroupOffset, done func(error)) {
	g.note(o)
	g.sub.Commit(o, func(errs []error) { done(commitError(o, errs)) })
}

// note remembers what is committed, or about to be.
func (g *Group) note(o []GroupOffset) {
	for _, p := range o {
		for _, r := range g.parts {
			if r.topic == p.Topic && r.partition == p.Partition {
				r.committed = p.Offset
			}
		}
	}
}

// commit waits until positions are stored.
func (g *Group) commit(ctx context.Context, o []GroupOffset) error {
	if len(o) == 0 {
		return nil
	}
	err := g.c.retry(ctx, func() error {
		answer := make(chan error, 1)
		g.send(o, func(err error) { answer <- err })
		select {
		case err := <-answer:
			return err
		case <-ctx.Done():
			return fault.New(fault.RequestTimedOut, "the commit of group %q has no answer yet: %w", g.name, ctx.Err())
		}
	})
	if err != nil {
		g.redo.Store(true)
	}
	return err
}

func commitError(o []GroupOffset, errs []error) error {
	return firstRefusal(errs, nil, len(o), func(i int) (TopicPartition, record.Offset) {
		return o[i].TopicPartition, o[i].Offset
	}, "commit")
}
