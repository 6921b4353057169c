package controller

import (
	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/partition/machine/meta"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
)

func (s *shell) createTopics(c actors.Context, m CreateTopics) {
	table, asker := s.table(), c.Asker()
	twice := repeated(m.Topics, func(n meta.NewTopic) any { return n.Name })
	made := make([]TopicCreated, len(m.Topics))
	steps := make([]step, len(m.Topics))
	for i, n := range m.Topics {
		made[i].Name = n.Name
		if steps[i].err = twice[n.Name]; steps[i].err != nil {
			continue
		}
		planned, err := s.p.Policy.CreateTopic(table, n)
		steps[i].err = err
		made[i].Config, made[i].Partitions, made[i].Replicas = planned.Config, planned.Partitions, planned.Replicas
		if !m.ValidateOnly {
			steps[i].command, steps[i].partitions = planned.Command, int(planned.Partitions)
		}
	}
	s.propose(c, steps, m.Deadline, func(c actors.Context, steps []step) {
		table := s.table()
		for i := range made {
			made[i].Err = steps[i].err
			if made[i].Err == nil && !m.ValidateOnly {
				made[i].fill(table)
			}
		}
		c.ReplyTo(asker, TopicsCreated{made})
	})
}

// fill adds what only the machine knew. A topic that is not there any more was deleted before its maker
// heard of it.
func (t *TopicCreated) fill(table *placement.Table) {
	topic, ok := table.Topic(t.Name)
	if !ok {
		t.Err = fault.New(fault.UnknownTopicOrPartition,
			"topic %s was made and at once deleted by somebody else", t.Name).
			WithHint("make it again")
		return
	}
	t.ID = topic.ID
}

func (s *shell) deleteTopics(c actors.Context, m DeleteTopics) {
	table, asker := s.table(), c.Asker()
	gone := make([]TopicDeleted, len(m.Topics))
	for i, r := range m.Topics {
		gone[i] = TopicDeleted{Name: r.Name, ID: r.ID}
		if topic, err := meta.Find(table, r); err == nil {
			gone[i].Name, gone[i].ID = topic.Name, topic.ID
		}
	}
	twice := repeated(gone, func(t TopicDeleted) any { return topicKey(t) })
	steps := make([]step, len(m.Topics))
	for i, r := range m.Topics {
		if steps[i].err = twice[topicKey(gone[i])]; steps[i].err == nil {
			steps[i].command, steps[i].err = s.p.Policy.DeleteTopic(table, r)
		}
	}
	s.propose(c, steps, m.Deadline, func(c actors.Context, steps []step) {
		for i := range gone {
			gone[i].Err = steps[i].err
		}
		c.ReplyTo(asker, TopicsDeleted{gone})
	})
}

// topicKey tells topics of a request apart: by name where it is known, else by id.
func topicKey(t TopicDeleted) any {
	if t.Name != "" {
		return t.Name
	}
	return t.ID
}

func (s *shell) createPartitions(c actors.Context, m CreatePartitions) {
	table, asker := s.table(), c.Asker()
	twice := repeated(m.Topics, func(r meta.MorePartitions) any { return r.Topic })
	steps := make([]step, len(m.Topics))
	for i, r := range m.Topics {
		if steps[i].err = twice[r.Topic]; steps[i].err != nil {
			continue
		}
		command, err := s.p.Policy.CreatePartitions(table, r)
		steps[i].err = err
		if !m.ValidateOnly {
			steps[i].command, steps[i].partitions = command, int(r.Count)
		}
	}
	s.propose(c, steps, m.Deadline, func(c actors.Context, steps []step) {
		c.ReplyTo(asker, PartitionsCreated{errsOf(steps)})
	})
}

func (s *shell) alterTopics(c actors.Context, m AlterTopics) {
	table, asker := s.table(), c.Asker()
	twice := repeated(m.Topics, func(r meta.TopicChange) any { return r.Topic })
	steps := make([]step, len(m.Topics))
	for i, r := range m.Topics {
		if steps[i].err = twice[r.Topic]; steps[i].err != nil {
			continue
		}
		command, err := s.p.Policy.AlterTopic(table, r)
		steps[i].err = err
		if !m.ValidateOnly {
			steps[i].command = command
		}
	}
	s.propose(c, steps, m.Deadline, func(c actors.Context, steps []step) {
		c.ReplyTo(asker, TopicsAltered{errsOf(steps)})
	})
}

// errsOf tells how each step ended.
func errsOf(steps []step) []error {
	errs := make([]error, len(steps))
	for i := range steps {
		errs[i] = steps[i].err
	}
	return errs
}

// repeated returns the refusal of each key that stands in a request more than once.
func repeated[T any](items []T, key func(T) any) map[any]error {
	seen := make(map[any]int, len(items))
	for _, item := range items {
		seen[key(item)]++
	}
	twice := map[any]error{}
	for k, n := range seen {
		if n > 1 {
			twice[k] = fault.New(fault.InvalidRequest, "topic %v stands in the request %d times", k, n).
				WithHint("name each topic once")
		}
	}
	return twice
}
