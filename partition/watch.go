package partition

import (
	"slices"

	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// watch is a long poll and the bytes it has seen so far.
type watch struct {
	Watch
	have int
}

// onWatch answers at once where there is enough to read, where the offset is one that reading refuses, or
// where this replica is not the one to ask; the View in the reply tells the asker which.
func (r *Replica) onWatch(in Watch) {
	if r.node == nil {
		r.refuse(in.Req, fault.New(fault.LeaderNotAvailable, "replica %d of %s is still reading its log",
			r.cfg.ID, r.cfg.Name).WithHint("try again in a moment"))
		return
	}
	w := watch{Watch: in}
	tail := r.log.Tail(r.commit)
	behind := in.From < r.commitEnd && (len(tail) == 0 || tail[0].Base > in.From)
	if !behind && in.From <= r.log.End().Next() && in.From >= r.tail.LogStart {
		for i := len(tail) - 1; i >= 0 && tail[i].Last >= in.From && w.have < in.MinBytes; i-- {
			w.count(tail[i])
		}
		if r.leading && w.have < in.MinBytes && r.now.Before(in.Deadline) && len(r.watches) < maxWatches {
			r.watches = append(r.watches, w)
			r.due(in.Deadline)
			return
		}
	}
	r.answerWatch(w)
}

func (r *Replica) onCancel(in Cancel) {
	r.watches = slices.DeleteFunc(r.watches, func(w watch) bool { return w.Req == in.Req })
}

// countWatches tells the long polls of a committed entry.
func (r *Replica) countWatches(e state.Entry) {
	if e.Type != state.EntryRecords || len(r.watches) == 0 {
		return
	}
	r.watches = slices.DeleteFunc(r.watches, func(w watch) bool {
		return w.From <= e.Last && w.have+len(e.Frame)-state.FrameRoom >= w.MinBytes && r.answered(w)
	})
	for i := range r.watches {
		if r.watches[i].From <= e.Last {
			r.watches[i].count(e)
		}
	}
}

func (r *Replica) answered(w watch) bool {
	r.answerWatch(w)
	return true
}

// answerWatches answers all: what they wait for will not come from here.
func (r *Replica) answerWatches() {
	for _, w := range r.watches {
		r.answerWatch(w)
	}
	r.watches = nil
}

// count adds the batches of an entry that lie at or behind From and hold something.
func (w *watch) count(e state.Entry) {
	if e.Type != state.EntryRecords {
		return
	}
	if e.Base >= w.From && !segment.Emptied(e.Payload()) {
		w.have += len(e.Frame) - state.FrameRoom
		return
	}
	for rest := e.Payload(); len(rest) > 0; {
		var b record.Batch
		var err error
		if b, rest, err = record.Next(rest); err != nil {
			return
		}
		if b.LastOffset() >= w.From && b.Count() > 0 {
			w.have += len(b)
		}
	}
}
