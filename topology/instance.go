package topology

import (
	"context"
	"errors"
	"time"

	"github.com/millstream-io/millstream/topology/plan"
)

// instance is a sub-topology as one task runs it.
type instance struct {
	rt     plan.Runtime
	ctx    context.Context
	made   map[int]any // flow of each node, so that a node that several feed exists once
	chains []plan.Chain

	inits  []func() error
	closes []func() error
	closed bool

	schedules  []*schedule
	streamTime time.Time // highest event time so far
	failed     error     // what stopped a Forward; the operator that called it cannot return it
}

// flow takes records of one stream. The record belongs to the caller, is read-only, and is valid until flow
// returns.
type flow[K, V any] func(r *Record[K, V]) error

func open(rt plan.Runtime, sources []*node) *instance {
	in := &instance{rt: rt, ctx: rt.Context(), made: map[int]any{}}
	for _, s := range sources {
		in.chains = append(in.chains, s.chain(in))
	}
	return in
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

// once makes a node's flow at the first call and returns the same one afterwards.
func once[K, V any](in *instance, n *node, compile func() flow[K, V]) flow[K, V] {
	if f, ok := in.made[n.ID]; ok {
		made, ok := f.(flow[K, V])
		must(ok, "node %s has two types", n.Name)
		return made
	}
	f := compile()
	in.made[n.ID] = f
	return f
}

// observe moves stream time on.
func (in *instance) observe(t time.Time) {
	if t.After(in.streamTime) {
		in.streamTime = t
	}
}
