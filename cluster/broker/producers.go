package broker

import (
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// mostProducers is how many producers one answer of DescribeProducers tells, and those of one partition more.
const mostProducers = 100_000

// DescribedProducers answers one partition of DescribeProducers: the producers that have written to it, ascending
// by id, as of an instant after the question.
type DescribedProducers struct {
	Active []producer.Active
	Err    error
}

// DescribeProducers implements Port. Partitions are asked one after the other, so that what is told stays in
// bounds however many are wanted.
func (b *Broker) DescribeProducers(_ Who, wanted []PartitionName, deadline time.Time, done func([]DescribedProducers)) {
	d := &describing{
		b: b, wanted: wanted, deadline: deadline, done: done,
		out: make([]DescribedProducers, len(wanted)), asked: make(map[PartitionName]bool, len(wanted)),
	}
	d.from(0)
}

// describing is a DescribeProducers on its way. One partition at a time has it.
type describing struct {
	b        *Broker
	wanted   []PartitionName
	deadline time.Time
	done     func([]DescribedProducers)
	out      []DescribedProducers
	asked    map[PartitionName]bool
	told     int // producers
}

// from goes on with partition i. Refusals are answered on the way; the first question ends this call, and its
// answer begins the next.
func (d *describing) from(i int) {
	for ; i < len(d.wanted); i++ {
		r, err := d.next(d.wanted[i])
		if err != nil {
			d.out[i].Err = err
			continue
		}
		r.Ref.Ask(d.deadline, partition.Query{Question: partition.Producers{}, Deadline: d.deadline}, func(answer any, err error) {
			a, err := replyOf(answer, err)
			d.out[i].Active, _ = a.Answer.([]producer.Active)
			d.out[i].Err = err
			d.told += len(d.out[i].Active)
			d.from(i + 1)
		})
		return
	}
	d.done(d.out)
}

// next finds the replica to ask, or says why there is none.
func (d *describing) next(name PartitionName) (Replica, error) {
	switch {
	case d.asked[name]:
		return Replica{}, fault.New(fault.InvalidRequest, "partition %s/%d is asked for twice", name.Topic, name.Partition)
	case d.told >= mostProducers:
		return Replica{}, fault.New(fault.InvalidRequest, "one answer tells %d producers, and there are more", mostProducers).
			WithHint("ask for fewer partitions at a time")
	}
	d.asked[name] = true
	t, r, err := d.b.route(name.Topic, record.TopicID{}, name.Partition)
	if err == nil && r.Err != nil {
		err = fault.New(fault.CodeOf(r.Err), "partition %s/%d does not tell its producers: %w", t.Name, name.Partition, r.Err)
	}
	return r, err
}
