package topology

import (
	"context"
	"errors"
	"time"

	"github.com/millstream-io/millstream/topology/plan"
)

// instance is a sub-topology as one task runs it.
type instance struct {
	app     string
	rt      plan.Runtime
	ctx     context.Context
	made    map[int]any // what each node is, so that a node that several feed exists once
	chains  []plan.Chain
	openErr error // of the first store that could not be opened

	inits  []func() error
	closes []func() error
	closed bool

	schedules  []*schedule
	timers     []func(streamTime int64) error // called when stream time, in ms, has moved on
	resets     []func() error                 // called before a record is tried again
	within     bool                           // a record has begun and not come to its end
	timersAt   int64                          // stream time of their last call
	streamTime time.Time                      // highest event time so far
	failed     error                          // of a Forward, whose caller cannot return it
}

// flow takes records of one stream. The record belongs to the caller, is read-only, and is valid until flow
// returns.
type flow[K, V any] func(r *Record[K, V]) error

func open(app string, rt plan.Runtime, sources []*node) (*instance, error) {
	in := &instance{app: app, rt: rt, ctx: rt.Context(), made: map[int]any{}}
	for _, s := range sources {
		in.chains = append(in.chains, s.chain(in))
	}
	return in, in.openErr
}

// Chains implements plan.Instance.
func (in *instance) Chains() []plan.Chain { return in.chains }

// Init implements plan.Instance.
func (in *instance) Init() error {
	for _, f := range in.inits {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// StreamTime implements plan.Instance.
func (in *instance) StreamTime() time.Time { return in.streamTime }

// SetStreamTime implements plan.Instance.
func (in *instance) SetStreamTime(t time.Time) { in.observe(t) }

// Close implements plan.Instance.
func (in *instance) Close() error {
	if in.closed {
		return nil
	}
	in.closed = true
	var errs []error
	for _, f := range in.closes {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// once makes what a node is at the first call and returns the same afterwards.
func once[F any](in *instance, n *node, compile func() F) F {
	if f, ok := in.made[n.ID]; ok {
		made, ok := f.(F)
		must(ok, "node %s has two types", n.Name)
		return made
	}
	f := compile()
	in.made[n.ID] = f
	return f
}

// begin is called in front of every record, with its event time. Where the record before came to no end, which
// means that it is tried again on rows as they were, operators forget what they had noted about rows.
func (in *instance) begin(t time.Time) error {
	if in.within {
		in.failed, in.timersAt = nil, 0
		for _, f := range in.resets {
			if err := f(); err != nil {
				return err
			}
		}
	}
	in.within = true
	in.observe(t)
	return nil
}

// end is called behind every record: it does what stream time makes due.
func (in *instance) end() error {
	if len(in.timers) > 0 {
		if now := in.streamTime.UnixMilli(); now > in.timersAt {
			for _, f := range in.timers {
				if err := f(now); err != nil {
					return err
				}
			}
			in.timersAt = now
		}
	}
	if len(in.schedules) > 0 {
		if err := in.punctuateStreamTime(); err != nil {
			return err
		}
	}
	in.within = false
	return nil
}

// streamMs is stream time in milliseconds since 1970.
func (in *instance) streamMs() int64 { return in.streamTime.UnixMilli() }

// skip counts a record that n has no use for.
func (in *instance) skip(n *plan.Node, why string) error {
	in.rt.CountSkipped(n, why)
	return nil
}

// Why records are skipped.
const (
	whyNullKey   = "null key"
	whyNullValue = "null value"
	whyOldTime   = "time before 1970"
)

// observe moves stream time on.
func (in *instance) observe(t time.Time) {
	if t.After(in.streamTime) {
		in.streamTime = t
	}
}
