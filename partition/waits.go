package partition

import (
	"slices"
	"sort"
	"time"

	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// waitKind says what an appended request waits for.
type waitKind int

const (
	onDurable waitKind = iota // acks 1: the own write
	onCommit                  // acks all
	onApply                   // acks all and commands, where a machine has the last word
	onTrim                    // a new log start, which is applied without the machine
	waitKinds
)

// waiter is a request whose entry is known. Lists of them are ascending by index.
type waiter struct {
	req      ReqID
	index    uint64
	base     record.Offset
	stampMs  int64
	deadline time.Time
}

// await lets a request wait for its entry. A retry may wait for an entry that others already wait behind.
func (r *Replica) await(kind waitKind, w waiter) {
	list := r.waits[kind]
	if n := len(list); n == 0 || list[n-1].index <= w.index {
		r.waits[kind] = append(list, w)
	} else {
		at := sort.Search(n, func(i int) bool { return list[i].index > w.index })
		r.waits[kind] = slices.Insert(list, at, w)
	}
	r.due(w.deadline)
}

// reached reports whether an entry is already where a request of this kind would wait for it to come.
func (r *Replica) reached(kind waitKind, index uint64) bool {
	switch kind {
	case onDurable:
		return index <= max(r.stable, r.applied)
	case onCommit:
		return index <= r.commit
	default:
		return index <= r.applied
	}
}

// release answers whoever waits for entries up to index.
func (r *Replica) release(kind waitKind, index uint64) {
	list := r.waits[kind]
	n := 0
	for n < len(list) && list[n].index <= index {
		r.succeed(list[n])
		n++
	}
	r.waits[kind] = behind(list, n)
}

// releaseApplied answers whoever waits for entry index to be applied, with what the machine said.
func (r *Replica) releaseApplied(index uint64, err error) {
	list := r.waits[onApply]
	n := 0
	for n < len(list) && list[n].index <= index {
		if w := list[n]; err != nil {
			r.refuse(w.req, err)
		} else {
			r.succeed(w)
		}
		n++
	}
	r.waits[onApply] = behind(list, n)
}

func (r *Replica) succeed(w waiter) {
	r.reply(Reply{Req: w.req, Base: w.base, AppendTimeMs: w.stampMs})
}

// dropRequests answers everything that only a leader can finish, and forgets what was gathered.
func (r *Replica) dropRequests(err error) {
	for kind := range r.waits {
		for _, w := range r.waits[kind] {
			r.refuse(w.req, err)
		}
		r.waits[kind] = nil
	}
	for _, q := range r.queries {
		r.refuse(q.Req, err)
	}
	r.queries = nil
	r.reading = readIndex{asked: r.reading.asked}
	r.gather = gather{}
	for _, p := range r.intake.drop() {
		if p.acks != 0 {
			r.refuse(p.req, err)
		}
	}
}

// refuseUnderWay answers whoever waits for what a full disk keeps from being written here: only room would end
// the wait otherwise, or its deadline. The entries keep their place, are written once there is room, and may be
// committed by others before.
func (r *Replica) refuseUnderWay() {
	err := fault.New(fault.DiskFull, "the disk became full while a write to %s was on its way: %w", r.cfg.Name, r.full).
		WithHint("free space on the data volume; writes go on by themselves then, and this one may be among them")
	for kind, list := range r.waits {
		n := sort.Search(len(list), func(i int) bool { return list[i].index > r.stable })
		for _, w := range list[n:] {
			r.refuse(w.req, err)
		}
		clear(list[n:])
		r.waits[kind] = list[:n]
	}
}

// expire answers requests whose deadline has come. What was proposed may still be committed.
func (r *Replica) expire() {
	if r.deadline.IsZero() || r.now.Before(r.deadline) {
		return
	}
	r.deadline = time.Time{}
	over := func(at time.Time) bool {
		if at.IsZero() || r.now.Before(at) {
			r.due(at)
			return false
		}
		return true
	}
	for kind := range r.waits {
		r.waits[kind] = slices.DeleteFunc(r.waits[kind], func(w waiter) bool {
			if !over(w.deadline) {
				return false
			}
			r.refuse(w.req, fault.New(fault.RequestTimedOut, "entry %d of %s was appended but not acknowledged in time",
				w.index, r.cfg.Name).WithHint("it may still be committed: retry with an idempotent producer"))
			return true
		})
	}
	r.queries = slices.DeleteFunc(r.queries, func(q query) bool {
		if !over(q.Deadline) {
			return false
		}
		r.refuse(q.Req, fault.New(fault.RequestTimedOut, "%s could not confirm its leadership in time", r.cfg.Name).
			WithHint("try again"))
		return true
	})
	r.watches = slices.DeleteFunc(r.watches, func(w watch) bool {
		if !over(w.Deadline) {
			return false
		}
		r.answerWatch(w)
		return true
	})
	r.intake.expire(over, func(p pending) { r.refuse(p.req, r.tooLate()) })
}

func (r *Replica) answerWatch(w watch) {
	r.reply(Reply{Req: w.Req, Base: segment.NoOffset, AppendTimeMs: -1, View: pendingView})
}
