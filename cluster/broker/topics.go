package broker

import (
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/controller"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/meta"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// CreateTopics implements Port. It answers when the new partitions have leaders, so that they can be used at
// once.
func (b *Broker) CreateTopics(_ Who, t []NewTopic, validateOnly bool, deadline time.Time, done func([]CreatedTopic)) {
	m := controller.CreateTopics{ValidateOnly: validateOnly, Deadline: deadline, Topics: make([]meta.NewTopic, len(t))}
	for i, n := range t {
		m.Topics[i] = meta.NewTopic{
			Name:     n.Name,
			Wanted:   placement.Wanted{Partitions: n.Partitions, Replicas: n.Replicas, Assignment: n.Assignment},
			Settings: n.Configs,
		}
	}
	ask(b, deadline, m, func(a controller.TopicsCreated, err error) {
		out := make([]CreatedTopic, len(t))
		var made []string
		for i := range out {
			out[i] = CreatedTopic{Name: t[i].Name, Partitions: -1, Replicas: -1, Configs: []config.Entry{}, Err: err}
			if err == nil {
				out[i] = createdTopic(a.Topics[i])
			}
			if out[i].Err == nil && !validateOnly {
				made = append(made, out[i].Name)
			}
		}
		b.awaitLeaders(made, deadline, func() { done(out) })
	})
}

func createdTopic(c controller.TopicCreated) CreatedTopic {
	if c.Err != nil {
		return CreatedTopic{Name: c.Name, Partitions: -1, Replicas: -1, Configs: []config.Entry{}, Err: c.Err}
	}
	return CreatedTopic{
		Name: c.Name, ID: c.ID, Partitions: c.Partitions, Replicas: c.Replicas, Configs: config.Describe(c.Config),
	}
}

// createInternal makes a topic that only the engine writes to, of which the newest record of each key stays.
func (b *Broker) createInternal(name string, partitions int32, deadline time.Time, done func(error)) {
	policy := "compact"
	m := controller.CreateTopics{Deadline: deadline, Topics: []meta.NewTopic{{
		Name: name, Internal: true, Wanted: placement.Wanted{Partitions: partitions, Replicas: -1},
		Settings: map[string]*string{config.KeyCleanupPolicy: &policy},
	}}}
	ask(b, deadline, m, func(a controller.TopicsCreated, err error) {
		if err == nil {
			err = a.Topics[0].Err
		}
		b.awaitLeaders([]string{name}, deadline, func() { done(err) })
	})
}

// DeleteTopics implements Port.
func (b *Broker) DeleteTopics(_ Who, t []TopicRef, deadline time.Time, done func([]DeletedTopic)) {
	m := controller.DeleteTopics{Deadline: deadline, Topics: make([]meta.TopicRef, len(t))}
	for i, r := range t {
		m.Topics[i] = meta.TopicRef{Name: r.Name, ID: r.ID}
	}
	ask(b, deadline, m, func(a controller.TopicsDeleted, err error) {
		out := make([]DeletedTopic, len(t))
		for i := range out {
			out[i] = DeletedTopic{Name: t[i].Name, ID: t[i].ID, Err: err}
			if err == nil {
				out[i] = DeletedTopic(a.Topics[i])
			}
		}
		done(out)
	})
}

// CreatePartitions implements Port. Like CreateTopics it waits for leaders.
func (b *Broker) CreatePartitions(_ Who, t []MorePartitions, validateOnly bool, deadline time.Time,
	done func([]TopicResult)) {
	m := controller.CreatePartitions{ValidateOnly: validateOnly, Deadline: deadline}
	for _, r := range t {
		m.Topics = append(m.Topics, meta.MorePartitions{Topic: r.Topic, Count: r.Count, Assignment: r.Assignment})
	}
	ask(b, deadline, m, func(a controller.PartitionsCreated, err error) {
		out := make([]TopicResult, len(t))
		var grown []string
		for i := range out {
			out[i] = TopicResult{Topic: t[i].Topic, Err: err}
			if err == nil {
				out[i].Err = a.Errs[i]
			}
			if out[i].Err == nil && !validateOnly {
				grown = append(grown, out[i].Topic)
			}
		}
		b.awaitLeaders(grown, deadline, func() { done(out) })
	})
}

// InitProducer implements Port. Whoever asks with an id it has already gets a new one: without transactions
// nothing hangs on the old one.
func (b *Broker) InitProducer(p InitProducer, done func(InitedProducer)) {
	refused := InitedProducer{ID: record.NoProducer, Epoch: -1}
	if p.TransactionalID != nil {
		refused.Err = fault.New(fault.InvalidRequest, "transactional id %q: this version has no transactions",
			*p.TransactionalID).WithHint("leave the transactional id away: idempotence works without")
		done(refused)
		return
	}
	m := controller.AllocateProducerID{Deadline: p.Deadline}
	ask(b, p.Deadline, m, func(a controller.ProducerIDAllocated, err error) {
		if err != nil {
			refused.Err = err
			done(refused)
			return
		}
		done(InitedProducer{ID: a.ID, Epoch: 0})
	})
}

// ask puts a request to the controller and takes an answer of type A.
func ask[A any](b *Broker, deadline time.Time, m any, done func(A, error)) {
	var none A
	ref, ok := b.c.Directory.Controller()
	if !ok {
		done(none, fault.New(fault.NotController, "the controller is not up on this member").WithHint("retry in a moment"))
		return
	}
	Ask(ref, deadline, m, done)
}

// Ask puts a request to an actor and takes an answer of type A. It does not block; done runs exactly once.
func Ask[A any](ref actors.Ref, deadline time.Time, m any, done func(A, error)) {
	ref.Ask(deadline, m, func(answer any, err error) {
		a, _ := answer.(A) // an error comes without an answer
		done(a, err)
	})
}
