package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// Poll waits until there are records and returns them: of one partition, ascending, valid until the next call of
// Poll or Close. What the call before returned counts as done. Partitions that come and go are handled here, so a
// process that does not poll gives nothing back before the rebalance timeout. It may return none, and no error,
// where a position moved over offsets that hold no records. A refusal of one partition is a *PartitionError; the
// membership goes on. Errors that end it come again with each call: fault.InconsistentGroupProtocol (members of
// another kind are in the group), fault.FencedInstanceID, fault.GroupMaxSizeReached, fault.InvalidGroupID,
// fault.InvalidSessionTimeout; ctx.Err() when ctx ends, which ends nothing else.
func (g *Group) Poll(ctx context.Context) ([]Record, error) {
	g.settle()
	if err := g.open(); err != nil {
		return nil, err
	}
	if rest := g.box.rest(); len(rest) > 0 { // Records was left early
		return rest, nil
	}
	if err := g.fill(ctx); err != nil {
		return nil, err
	}
	return g.box.rest(), nil
}

// take is Poll for one record.
func (g *Group) take(ctx context.Context) (Record, error) {
	g.settle()
	for {
		if err := g.open(); err != nil {
			return Record{}, err
		}
		if r, ok := g.box.take(); ok {
			return r, nil
		}
		if err := g.fill(ctx); err != nil {
			return Record{}, err
		}
	}
}

func (g *Group) open() error {
	if g.closed || g.c.shut.Load() {
		return errClosed
	}
	return nil
}

// touch remembers that records of a partition are in the application's hands.
func (g *Group) touch(r *reading) {
	if !r.touched {
		r.touched = true
		g.touched = append(g.touched, r)
	}
}

// settle counts what was handed out as done.
func (g *Group) settle() {
	g.touched = slices.DeleteFunc(g.touched, func(r *reading) bool {
		r.done = r.position()
		r.touched = r.left > 0
		return !r.touched
	})
}

// fill takes events until one of them has brought something.
func (g *Group) fill(ctx context.Context) error {
	g.box.release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.c.stopped, cancel)()
	for {
		if err := g.pending; err != nil {
			g.pending = nil
			return err
		}
		e, err := g.receive(ctx)
		switch {
		case g.open() != nil:
			g.refuse(e)
			return errClosed
		case ctx.Err() != nil && err != nil:
			return ctx.Err()
		case err != nil:
			return err
		}
		switch e := e.(type) {
		case GroupRecords:
			if g.records(e) && (g.pending == nil || len(g.box.records) > 0) {
				return nil
			}
		case Assigned:
			g.assigned(ctx, e)
		case Revoked:
			g.revoked(ctx, e)
		case Lost:
			g.lost(e)
		case *PartitionError:
			return e
		}
	}
}

// receive waits for an event, and commits meanwhile when it is time.
func (g *Group) receive(ctx context.Context) (GroupEvent, error) {
	for {
		g.commitInTime(time.Now())
		if g.due.IsZero() {
			return g.sub.Receive(ctx)
		}
		short, cancel := context.WithDeadline(ctx, g.due)
		e, err := g.sub.Receive(short)
		ended := short.Err()
		cancel()
		if err == nil || ended == nil || ctx.Err() != nil || !errors.Is(err, ended) {
			return e, err
		}
	}
}

// refuse gives back what an event brought that nobody takes.
func (g *Group) refuse(e GroupEvent) {
	if r, ok := e.(GroupRecords); ok && r.Free != nil {
		r.Free()
	}
}

// records brings batches into the inbox, and reports whether the application has to look: at records, at an error,
// or at a position that moved.
func (g *Group) records(e GroupRecords) bool {
	back := func() {
		if e.Free != nil {
			e.Free()
		}
		g.sub.Credit(e.Bytes)
	}
	i := slices.IndexFunc(g.parts, func(r *reading) bool { return r.topic == e.Topic && r.partition == e.Partition })
	if i < 0 || g.parts[i].paused {
		back()
		return false
	}
	r := g.parts[i]
	g.box.hold(back)
	was := r.next
	if err := g.c.read(&g.box, r, e.Batches, e.HighWatermark); err != nil {
		g.pending = &PartitionError{Topic: r.topic, Partition: r.partition, Offset: r.next, Err: err}
		g.readOn([]*reading{r}) // told again, unless the application seeks
	} else {
		r.next = max(r.next, e.Next)
	}
	if r.next > was {
		g.touch(r)
	}
	if len(g.box.records) == 0 {
		g.box.release()
	}
	return r.next > was || g.pending != nil
}

// assigned takes partitions.
func (g *Group) assigned(ctx context.Context, e Assigned) {
	for _, p := range e.Partitions {
		if _, err := find(g.parts, p.Topic, []record.Partition{p.Partition}); err == nil {
			continue
		}
		g.parts = append(g.parts, &reading{topic: p.Topic, partition: p.Partition, next: p.Offset, done: -1, committed: -1})
	}
	g.c.o.logger.Info("group assigned partitions", "group", g.name, "member", e.Member, "generation", e.Generation,
		"partitions", len(e.Partitions))
	partitions := e.Partitions
	e.Partitions = nil
	g.member = e
	if g.o.onAssigned != nil && len(partitions) > 0 {
		g.o.onAssigned(ctx, slices.Clone(partitions))
	}
}

// revoked gives partitions back in time. Nothing of them is in the inbox: it is empty when an event is taken.
func (g *Group) revoked(ctx context.Context, e Revoked) {
	parts := g.among(e.Partitions)
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), e.Deadline)
	defer cancel()
	defer context.AfterFunc(g.c.stopped, cancel)()
	g.c.o.logger.Info("group revokes partitions", "group", g.name, "member", g.member.Member, "partitions", len(parts))
	if g.o.onRevoked != nil && len(parts) > 0 {
		g.o.onRevoked(ctx, positions(parts, func(*reading) bool { return true }))
	}
	if g.o.autoCommit > 0 {
		if err := g.commit(ctx, g.undone(parts)); err != nil {
			g.c.o.logger.Warn("group offsets not committed before partitions went", "group", g.name, "err", err)
		}
	}
	g.sub.Release(e.Partitions...)
	g.forget(parts)
}

// lost hears of partitions that are gone already.
func (g *Group) lost(e Lost) {
	parts := g.among(e.Partitions)
	if len(parts) == 0 {
		return // they were released
	}
	g.forget(parts)
	g.c.o.logger.Warn("group partitions lost", "group", g.name, "member", g.member.Member, "partitions", len(parts),
		"err", e.Err)
	if g.o.onLost != nil {
		g.o.onLost(positions(parts, func(*reading) bool { return true }), e.Err)
	}
}

// among finds those of the partitions that the member has.
func (g *Group) among(p []TopicPartition) (out []*reading) {
	for _, r := range g.parts {
		if slices.Contains(p, TopicPartition{r.topic, r.partition}) {
			out = append(out, r)
		}
	}
	return out
}

func (g *Group) forget(parts []*reading) {
	gone := func(r *reading) bool { return slices.Contains(parts, r) }
	g.parts = slices.DeleteFunc(g.parts, gone)
	g.touched = slices.DeleteFunc(g.touched, gone)
}
