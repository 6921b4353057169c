package task

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
)

// runtimeOf is the core as its operators see it.
type runtimeOf struct{ c *Core }

// Context implements plan.Runtime.
func (r runtimeOf) Context() context.Context { return r.c.cfg.Context }

// Task implements plan.Runtime.
func (r runtimeOf) Task() string { return r.c.cfg.ID.String() }

// Partition implements plan.Runtime.
func (r runtimeOf) Partition() record.Partition { return r.c.cfg.ID.Partition }

// Now implements plan.Runtime.
func (r runtimeOf) Now() time.Time { return r.c.now }

// Send implements plan.Runtime.
func (r runtimeOf) Send(n *plan.Node, topic string, rec *record.Record) error {
	c := r.c
	from := &c.from
	from.node, from.input, from.offset = n, c.current, 0
	if c.current != nil {
		from.offset = c.raw.Offset
	}
	if err := c.out.add(topic, rec, from); err != nil {
		return c.refuse(plan.StageProduce, *from, rec, err)
	}
	return nil
}

// Refuse implements plan.Runtime.
func (r runtimeOf) Refuse(s plan.Stage, n *plan.Node, err error) error {
	from := origin{node: n}
	if c := r.c; c.current != nil {
		from.input, from.offset = c.current, c.raw.Offset
	}
	return r.c.refuse(s, from, r.c.raw, err)
}

// Rows implements plan.Runtime.
func (r runtimeOf) Rows(s *plan.Store) (plan.Rows, error) {
	all := r.c.stores.all
	if int(s.Number) >= len(all) || all[s.Number].plan != s {
		return nil, fmt.Errorf("task %s has no store %s", r.Task(), s.Name)
	}
	return all[s.Number], nil
}

// CountLate implements plan.Runtime.
func (r runtimeOf) CountLate(n *plan.Node) { r.c.cfg.Observer.Late(r.c.cfg.ID, n) }

// CountSkipped implements plan.Runtime.
func (r runtimeOf) CountSkipped(n *plan.Node, why string) {
	r.c.cfg.Observer.Skipped(r.c.cfg.ID, n, why)
}

// refuse applies the policy of the node where a record failed. raw is nil where there is no record to keep.
func (c *Core) refuse(s plan.Stage, from origin, raw *record.Record, err error) error {
	e := &plan.RecordError{Stage: s, Node: from.node, Task: c.cfg.ID.String(), Err: err, Record: raw}
	if from.input != nil {
		e.Topic, e.Partition, e.Offset = from.input.source.Topic, c.cfg.ID.Partition, from.offset
	}
	decision := plan.Fail
	// What fails because the task was told to stop at once is not the record's fault: its next life does it
	// again.
	if from.node.OnError != nil && !from.dead && c.cfg.Context.Err() == nil {
		decision = from.node.OnError(c.cfg.Context, e)
	}
	if raw == nil && (decision == plan.DeadLetter || decision.Kind() == plan.Retry) {
		decision = plan.Fail
	}
	c.cfg.Observer.Refused(e, decision)
	switch decision.Kind() {
	case plan.Skip:
		return nil
	case plan.Retry:
		return &plan.RetryError{After: decision.Wait(), Err: e}
	case plan.DeadLetter:
		from.dead = true
		return c.out.add(c.cfg.Graph.DeadLetter, deadLetter(e), &from)
	}
	return e
}

// deadLetter is the raw record with headers that say what became of it.
func deadLetter(e *plan.RecordError) *record.Record {
	dead := *e.Record
	dead.Headers = append(append(make([]record.Header, 0, len(e.Record.Headers)+8), e.Record.Headers...),
		record.Header{Key: plan.HeaderError, Value: []byte(e.Err.Error())},
		record.Header{Key: plan.HeaderStage, Value: []byte(e.Stage.String())},
		record.Header{Key: plan.HeaderNode, Value: []byte(e.Node.Name)},
		record.Header{Key: plan.HeaderPlace, Value: []byte(e.Node.Place())},
		record.Header{Key: plan.HeaderTask, Value: []byte(e.Task)},
	)
	if e.Topic != "" {
		dead.Headers = append(dead.Headers,
			record.Header{Key: plan.HeaderTopic, Value: []byte(e.Topic)},
			record.Header{Key: plan.HeaderPartition, Value: strconv.AppendInt(nil, int64(e.Partition), 10)},
			record.Header{Key: plan.HeaderOffset, Value: strconv.AppendInt(nil, int64(e.Offset), 10)},
		)
	}
	return &dead
}
