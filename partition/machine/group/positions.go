package group

import (
	"maps"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

func (g *Coordinator) onCommit(in CommitOffsets) {
	err := g.mayCommit(in)
	if g.deleting {
		err = g.beingDeleted()
	}
	if err != nil {
		g.refuse(in.Req, err)
		return
	}
	at := g.now.UnixMilli()
	frame, err := Frame(Commit{Group: g.name, Generation: NoGeneration, TimeMs: at, Positions: in.Positions})
	if err != nil {
		g.refuse(in.Req, err)
		return
	}
	for i := range in.Positions {
		p := in.Positions[i].TopicPartition
		g.rows[p] = kept{timeMs: at, fenced: g.rows[p].fenced}
	}
	g.append(frame, func(err error) {
		switch {
		case err == nil:
			g.reply(in.Req, nil)
		case fault.CodeOf(err) == fault.DiskFull: // clients know what to do without a coordinator
			g.refuse(in.Req, g.notStored(err))
		case fault.CodeOf(err) == fault.IllegalGeneration: // a task's position is newer than this coordinator
			g.tasks = true
			g.refuse(in.Req, err)
		default:
			g.refuse(in.Req, err)
		}
	})
}

// mayCommit checks who commits. A commit is a sign of life.
func (g *Coordinator) mayCommit(in CommitOffsets) error {
	if in.Generation < 0 && in.Who == (Identity{}) {
		if len(g.members) == 0 {
			return nil
		}
		return fault.New(fault.UnknownMember, "group %q has %d members: only they may commit", g.name, len(g.members)).
			WithHint("stop its members first")
	}
	m, err := g.of(in.Who, in.Generation)
	if err != nil && len(g.members) == 0 && in.Generation >= 0 {
		return fault.New(fault.IllegalGeneration, "group %q has no members, none of generation %d either",
			g.name, in.Generation).WithHint("join the group again")
	}
	if err != nil {
		return err
	}
	if g.state == Completing {
		return g.rebalancing()
	}
	g.touch(m)
	return nil
}

func (g *Coordinator) onDeleteOffsets(in DeleteOffsets) {
	if !g.exists() {
		g.refuse(in.Req, g.notFound())
		return
	}
	read, err := g.subscribed()
	if err != nil {
		g.refuse(in.Req, err)
		return
	}
	answer := OffsetsDeleted{Errs: make([]error, len(in.Partitions))}
	var gone []TopicPartition
	for i, p := range in.Partitions {
		switch _, there := g.rows[p]; {
		case read[p.Topic]:
			answer.Errs[i] = fault.New(fault.GroupSubscribedToTopic, "members of group %q read topic %q", g.name, p.Topic).
				WithHint("stop them, or let them read something else, first")
		case there:
			gone = append(gone, p)
		}
	}
	if len(gone) == 0 {
		g.reply(in.Req, answer)
		return
	}
	g.forget(gone, false, func(err error) {
		if err != nil {
			g.refuse(in.Req, err)
			return
		}
		g.reply(in.Req, answer)
	})
}

func (g *Coordinator) onDelete(in Delete) {
	switch {
	case !g.exists():
		g.refuse(in.Req, g.notFound())
		return
	case len(g.members)+len(g.pending) > 0:
		g.refuse(in.Req, g.notEmpty())
		return
	case g.deleting:
		g.refuse(in.Req, g.beingDeleted())
		return
	}
	g.forget(slices.SortedFunc(maps.Keys(g.rows), compare), g.stored, func(err error) {
		if err != nil {
			g.refuse(in.Req, err)
			return
		}
		g.reply(in.Req, nil)
	})
}

func (g *Coordinator) notEmpty() error {
	return fault.New(fault.NonEmptyGroup, "group %q has %d members", g.name, len(g.members)).
		WithHint("stop them first")
}

func (g *Coordinator) beingDeleted() error {
	return fault.New(fault.CoordinatorLoadInProgress, "group %q is being deleted", g.name).WithHint("try again in a moment")
}

// onExpire forgets positions that are older than the retention, counted from when the group became empty
// where that is later, and the group with its last one.
func (g *Coordinator) onExpire() {
	if len(g.members)+len(g.pending)+len(g.appends) > 0 {
		return
	}
	before := g.now.Add(-g.set.Retention)
	if g.stored && !g.since.Before(before) {
		return
	}
	var old []TopicPartition
	for _, p := range slices.SortedFunc(maps.Keys(g.rows), compare) {
		if r := g.rows[p]; !r.fenced && r.timeMs < before.UnixMilli() {
			old = append(old, p)
		}
	}
	all := g.stored && len(old) == len(g.rows)
	if len(old) > 0 || all {
		g.note("", "%d positions are older than %s", len(old), g.set.Retention)
		g.forget(old, all, func(error) {})
	}
}

// onForgetTopics forgets positions in topics that are gone, whoever is in the group.
func (g *Coordinator) onForgetTopics(in ForgetTopics) {
	var gone []TopicPartition
	for _, p := range slices.SortedFunc(maps.Keys(g.rows), compare) {
		if r := g.rows[p]; !r.fenced && r.timeMs <= in.BeforeMs && slices.Contains(in.Topics, p.Topic) {
			gone = append(gone, p)
		}
	}
	if len(gone) > 0 {
		g.note("", "%d positions went with their topics", len(gone))
		g.forget(gone, false, func(error) {})
	}
}

// forgetBytes bounds one batch of deletions.
const forgetBytes = 1 << 20

// forget deletes positions from the log, and the group's metadata too where all is set. Nobody may join
// before that has ended: what follows must not be taken for what was there before.
func (g *Coordinator) forget(gone []TopicPartition, all bool, then func(error)) {
	was := make([]kept, len(gone))
	for i, p := range gone {
		was[i] = g.rows[p]
		delete(g.rows, p) // a commit that comes from here on stands behind the deletion in the log
	}
	g.deleting = g.deleting || all
	g.forgetting++
	frames := g.deletions(gone, all)
	left, failed := len(frames), error(nil)
	for _, frame := range frames {
		g.append(frame, func(err error) {
			if failed == nil {
				failed = err
			}
			if left--; left > 0 {
				return
			}
			g.forgotten(gone, was, all, failed)
			then(failed)
		})
	}
}

// forgotten takes the end of a deletion in. Where it failed, what was there may still be.
func (g *Coordinator) forgotten(gone []TopicPartition, was []kept, all bool, err error) {
	g.forgetting--
	if all {
		g.deleting = false
	}
	if err == nil {
		if all {
			g.stored, g.generation, g.protocolType = false, 0, ""
		}
		g.tasks = false
		for _, r := range g.rows {
			g.tasks = g.tasks || r.fenced
		}
		return
	}
	for i, p := range gone {
		if _, again := g.rows[p]; !again {
			g.rows[p] = was[i]
		}
	}
}

// deletions are the batches that delete positions and, where all is set, behind them the metadata.
func (g *Coordinator) deletions(gone []TopicPartition, all bool) (frames [][]byte) {
	var b record.Builder
	flush := func() {
		if b.Count() > 0 {
			frames = append(frames, build(&b))
			b.Reset()
		}
	}
	for _, p := range gone {
		add(&b, record.Record{TimestampMs: g.now.UnixMilli(), Key: appendKey(nil, g.name, p)})
		if b.Size() >= forgetBytes {
			flush()
		}
	}
	if all {
		add(&b, record.Record{TimestampMs: g.now.UnixMilli(), Key: appendMetadataKey(nil, g.name)})
	}
	flush()
	return frames
}

// subscribed returns the topics that members read. A group whose members can't be asked that way must be
// empty.
func (g *Coordinator) subscribed() (map[string]bool, error) {
	read := map[string]bool{}
	for _, m := range g.members {
		topics, ok := subscription(g.protocolType, m.metadata(g.protocol))
		if !ok {
			return nil, g.notEmpty()
		}
		for _, t := range topics {
			read[t] = true
		}
	}
	return read, nil
}
