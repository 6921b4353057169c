package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-io/millstream/topology/plan"
)

// Processor is user code with a life of its own: one per task, used by one goroutine at a time.
type Processor[K, V, K2, V2 any] interface {
	// Init is called once before the first record. It may Schedule and Forward. ctx stays good until Close.
	// An error stops the task.
	Init(ctx *ProcessorContext[K2, V2]) error

	// Process takes one record and forwards any number. An error goes to the node's policy at StageProcess;
	// what was forwarded before it stays forwarded.
	Process(ctx *ProcessorContext[K2, V2], r Record[K, V]) error

	// Close is called once when the task ends in whatever way, but not after a failed Init. It cannot forward
	// any more: what must still go out goes out in a punctuation.
	Close() error
}

// ProcessorContext is what a processor acts with. It is good within Init, Process and punctuations only, and
// on their goroutine only. As a context.Context it ends when the task is told to stop at once.
type ProcessorContext[K, V any] struct {
	context.Context
	in     *instance
	node   *plan.Node
	next   flow[K, V]
	closed bool
	late   bool // Forward was called after closed
}

// Forward sends a record on. Start from the record that came in to keep its time, headers and position:
// Record[K2, V2]{Key: k, Value: v, Meta: r.Meta}. A zero Time becomes Now. When something behind the
// processor stops the task, further calls do nothing.
func (c *ProcessorContext[K, V]) Forward(r Record[K, V]) {
	if c.closed || c.in.failed != nil {
		c.late = c.late || c.closed
		return
	}
	if r.Time.IsZero() {
		r.Time = c.in.rt.Now()
	}
	c.in.failed = c.next(&r)
}

// Now is the time of the step that runs: the wall clock in production, the driver's clock in tests.
func (c *ProcessorContext[K, V]) Now() time.Time { return c.in.rt.Now() }

// StreamTime is the highest event time that the task has seen, over all its inputs; zero before the first
// record.
func (c *ProcessorContext[K, V]) StreamTime() time.Time { return c.in.streamTime }

// Task is the id of the task, such as "app/0_2".
func (c *ProcessorContext[K, V]) Task() string { return c.in.rt.Task() }

// Schedule calls f again and again until cancel is called or the task ends; every is at least a millisecond.
// By WallClockTime f is called about every so often, with the time of the step; missed turns are not made up
// for. By StreamTime it is called when the event times of records have moved on that far since the first
// record that came after Schedule, with the stream time, and not while there are no records. An error of f
// goes to the node's policy at StageProcess; there is no record to keep, so DeadLetter is Fail then.
func (c *ProcessorContext[K, V]) Schedule(
	every time.Duration, by TimeKind, f func(now time.Time) error,
) (cancel func()) {
	s := &schedule{node: c.node, every: max(every, minSchedule), by: by, call: f}
	if by == WallClockTime {
		s.due = c.in.rt.Now().Add(s.every)
	}
	c.in.schedules = append(c.in.schedules, s)
	return func() { s.cancelled = true }
}

// Process sends every record of s through a processor, one per task, made by create, which tasks may call at
// the same time. Nobody needs to take what it forwards. The stores that it wants to Open are given by Using.
// Records come as they are: where all of a key have to be in one task, call Repartition first if keys were
// changed.
func Process[K, V, K2, V2 any](
	s Stream[K, V], create func() Processor[K, V, K2, V2], opts ...Option,
) Stream[K2, V2] {
	must(s.stream != nil, "Process is called on a Stream that no source made")
	o := gather(opts)
	n := s.b.add("process", o, optUsing)
	for _, h := range o.uses {
		s.b.uses = append(s.b.uses, use{node: n, handle: h})
	}
	s.b.needs(n, create)
	return rekey(s, n, nil, nil, func(in *instance, next flow[K2, V2]) flow[K, V] {
		p := create()
		ctx := &ProcessorContext[K2, V2]{Context: in.ctx, in: in, node: n.Node, next: next}
		in.expire(n.Node)
		in.inits = append(in.inits, func() error { return initProcessor(in, ctx, p) })
		return func(r *Record[K, V]) error {
			err := p.Process(ctx, *r)
			if in.failed != nil {
				return in.failed
			}
			if err != nil {
				return in.rt.Refuse(StageProcess, n.Node, err)
			}
			return nil
		}
	})
}

// initProcessor runs Init. Only what was started is closed.
func initProcessor[K, V, K2, V2 any](
	in *instance, ctx *ProcessorContext[K2, V2], p Processor[K, V, K2, V2],
) error {
	if err := p.Init(ctx); err != nil {
		return &RecordError{Stage: StageProcess, Node: ctx.node, Task: in.rt.Task(), Err: err}
	}
	in.closes = append(in.closes, func() error {
		ctx.closed = true
		err := p.Close()
		if ctx.late {
			err = errors.Join(err, fmt.Errorf("%s forwards a record while it is closed", ctx.node))
		}
		return err
	})
	return in.failed
}
