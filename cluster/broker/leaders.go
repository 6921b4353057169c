package broker

import (
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/actors/replica"
	"github.com/millstream-io/millstream/proto/record"
)

// leadersTimeout bounds how long an answer waits for the leaders of partitions that were just made: they are
// a few milliseconds away, and clients know what to do without.
const leadersTimeout = 5 * time.Second

// awaitLeaders runs done when the partitions of the named topics answer, or soon after in any case: the
// topics are there already, and a client that asks too early is told to come again. It asks each for no
// bytes, which is answered as soon as there is a leader.
func (b *Broker) awaitLeaders(topics []string, deadline time.Time, done func()) {
	if limit := b.c.Now().Add(leadersTimeout); deadline.After(limit) {
		deadline = limit
	}
	var starting []Replica
	for _, name := range topics {
		t := b.Table().Topics[name]
		if t == nil {
			continue // deleted in this moment
		}
		for p := range t.Partitions {
			r, ok := b.c.Directory.Replica(record.TopicPartition{Topic: t.ID, Partition: record.Partition(p)})
			if ok && r.View.Load() == nil {
				starting = append(starting, r)
			}
		}
	}
	if len(starting) == 0 {
		done()
		return
	}
	var left atomic.Int64
	left.Store(int64(len(starting)))
	for _, r := range starting {
		w := replica.Watch{ID: b.watches.Add(1), Deadline: deadline}
		r.Ref.Ask(deadline, w, func(any, error) {
			if left.Add(-1) == 0 {
				done()
			}
		})
	}
}
