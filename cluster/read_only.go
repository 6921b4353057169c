package cluster

import (
	"slices"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/replica"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/raftlog"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// readOnlyKind is the kind of what serves a partition whose replica was ended by damage.
const readOnlyKind = "readonly"

// readOnly serves what is left of a damaged partition: it shows the log as it was loaded, refuses writes with
// the reason, and lets readers wait for what does not come. There is no raft in it: nothing is written, so
// there is nothing to agree on.
type readOnly struct {
	p     *placed
	store state.LogStore
	why   error // what ended the replica

	up      bool
	err     error    // why nothing can be shown
	early   []asking // came before the log was loaded
	waiting map[uint64]asking
	lastKey uint64
}

// asking is a watch that waits.
type asking struct {
	watch  replica.Watch
	asker  actors.Asker
	cancel func() // takes the timer back, once there is one
}

// shown is what could be loaded of the log.
type shown struct {
	view *segment.View
	err  error
}

// waited says that the time of a watch is over.
type waited struct{ key uint64 }

// Receive implements actors.Actor.
func (r *readOnly) Receive(c actors.Context, m any) {
	switch m := m.(type) {
	case actors.Started:
		r.start(c)
	case shown:
		r.show(c, m)
	case replica.Watch:
		r.watch(c, asking{watch: m, asker: c.Asker()})
	case replica.Unwatch:
		r.unwatch(c, m.ID)
	case waited:
		r.answer(c, m.key)
	case partition.Append, partition.Propose, partition.Query, partition.Trim, partition.Fence:
		c.Reply(r.refusal())
	case partition.Configure, partition.Damaged: // there is nothing that they would change
	case actors.Stopping:
		if r.p != nil {
			r.p.view.Store(nil)
		}
	default:
		c.Unknown(m)
	}
}

func (r *readOnly) start(c actors.Context) {
	if r.p == nil { // the table dropped it in this moment: its stop is on the way
		c.Stop(nil)
		return
	}
	r.waiting = map[uint64]asking{}
	store, id := r.store, r.p.id
	c.Go(func() any {
		v, err := viewOfLog(store, id)
		return shown{v, err}
	})
}

func (r *readOnly) show(c actors.Context, m shown) {
	r.up, r.err = true, m.err
	if m.err == nil {
		r.p.view.Store(m.view)
	} else {
		r.p.unreadable.Store(&m.err)
	}
	waiting := r.early
	r.early = nil
	for _, a := range waiting {
		r.watch(c, a)
	}
}

// watch answers who wants no bytes at once, and everybody else when their time is over.
func (r *readOnly) watch(c actors.Context, a asking) {
	switch {
	case !r.up && len(r.early) < replica.MaxEarly:
		r.early = append(r.early, a)
	case !r.up:
		c.ReplyTo(a.asker, fault.New(fault.LeaderNotAvailable, "%s is loading", r.p.name()).WithHint("retry in a moment"))
	case r.err != nil:
		c.ReplyTo(a.asker, r.err)
	case a.watch.MinBytes <= 0 || len(r.waiting) >= replica.MaxEarly:
		c.ReplyTo(a.asker, partition.Reply{View: r.p.view.Load()})
	default:
		r.lastKey++
		// A little before the deadline, at which the asker would get an error.
		a.cancel = c.After(max(0, a.watch.Deadline.Sub(c.Now())-beforeDeadline), waited{r.lastKey})
		r.waiting[r.lastKey] = a
	}
}

// beforeDeadline is how long before the end of its time a watch is answered.
const beforeDeadline = 5 * time.Millisecond

func (r *readOnly) unwatch(c actors.Context, id uint64) {
	for i, a := range r.early {
		if a.watch.ID == id {
			r.early = slices.Delete(r.early, i, i+1)
			c.ReplyTo(a.asker, partition.Reply{})
			return
		}
	}
	for key, a := range r.waiting {
		if a.watch.ID == id {
			r.answer(c, key)
			return
		}
	}
}

func (r *readOnly) answer(c actors.Context, key uint64) {
	if a, ok := r.waiting[key]; ok {
		a.cancel()
		delete(r.waiting, key)
		c.ReplyTo(a.asker, partition.Reply{View: r.p.view.Load()})
	}
}

// refusal is what a write gets.
func (r *readOnly) refusal() error {
	return fault.New(fault.PolicyViolation, "%s takes no writes: %w", r.p.name(), r.why).
		WithHint("it can be read; millstream doctor says what is damaged and what mends it")
}

// viewOfLog shows the log of a partition with one voter as the store has it. Everything that is there was
// written by that voter, and so is committed. Where its end is damaged, one offset behind the last whole entry
// is shown too, so that a reader is told of the damage instead of taking it for the end. It blocks on the disk.
func viewOfLog(store state.LogStore, id record.ReplicaID) (*segment.View, error) {
	tail, rows, err := store.Load(id)
	if err != nil {
		return nil, err
	}
	v := segment.View{
		Replica: id, Leader: true, Ready: true, Epoch: record.Epoch(tail.Term), LeaderReplica: id,
		LogStart: tail.LogStart, HighWatermark: tail.LogStart,
	}
	whole := tail.Last < tail.First
	for i, left := tail.Last, maxAround; !whole && i >= tail.First && left > 0; i, left = i-1, left-1 {
		got, err := store.Entries(id, i, i+1, 1, nil)
		switch {
		case err == nil && len(got) == 1:
			v.HighWatermark = max(v.LogStart, got[0].Next())
			whole = i == tail.Last
			left = 0
		case fault.CodeOf(err) != fault.CorruptRecord:
			return nil, err
		}
	}
	if !whole {
		v.HighWatermark++
	}
	v.LastStable, v.LogEnd = v.HighWatermark, v.HighWatermark
	for _, row := range rows {
		if row.Kind != partition.RowTerms {
			continue
		}
		terms, err := raftlog.DecodeTerms(row.Value)
		if err != nil {
			return nil, err
		}
		for _, t := range terms {
			v.Epochs = append(v.Epochs, segment.EpochStart{Epoch: record.Epoch(t.Term), Start: t.Offset})
		}
	}
	return segment.New(v, tail.Last, nil), nil
}
