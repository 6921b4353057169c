package broker

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// DescribeLogDir implements Port: the store measures the logs on the pool.
func (b *Broker) DescribeLogDir(_ Who, wanted []PartitionName, deadline time.Time, done func(LogDir)) {
	here := b.hosted(wanted)
	job := func() {
		d := LogDir{TotalBytes: -1, UsableBytes: -1, Err: brokenRead()}
		defer func() { done(d) }() // also when the measuring panics, which is the pool's to report
		d = b.measure(here, deadline)
	}
	if err := b.c.Submit(job); err != nil {
		done(LogDir{TotalBytes: -1, UsableBytes: -1, Err: busy(err)})
	}
}

// residence is a partition that has a replica on this member.
type residence struct {
	PartitionName
	replica record.ReplicaID
}

// hosted lists the wanted partitions that have a replica here, each once, by topic and number.
func (b *Broker) hosted(wanted []PartitionName) []residence {
	var here []residence
	for _, h := range placement.ReplicasOf(b.Table(), b.c.Self) {
		here = append(here, residence{PartitionName{h.Topic.Name, h.Partition.Partition}, h.Replica})
	}
	if wanted != nil {
		asked := make(map[PartitionName]bool, len(wanted))
		for _, w := range wanted {
			asked[w] = true
		}
		here = slices.DeleteFunc(here, func(r residence) bool { return !asked[r.PartitionName] })
	}
	slices.SortFunc(here, func(x, y residence) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	return here
}

// measure asks the store for sizes. It blocks on the disk. A log that is damaged where its size is read is left
// out: its partition says so to whoever reads it.
func (b *Broker) measure(here []residence, deadline time.Time) LogDir {
	d := LogDir{Partitions: make([]PartitionSize, 0, len(here))}
	d.Path, d.TotalBytes, d.UsableBytes = b.c.Volume()
	for _, r := range here {
		if !b.c.Now().Before(deadline) {
			d.Err = fault.New(fault.RequestTimedOut, "the sizes of %d of %d partitions were measured in time",
				len(d.Partitions), len(here)).WithHint("ask for fewer of them, or with more time")
			return d
		}
		spans, err := b.c.Store.Spans(r.replica, b.sizes.known(r.replica))
		switch code := fault.CodeOf(err); {
		case code == fault.CorruptRecord:
			b.c.Logger.Warn("size of a damaged log not told", "topic", r.Topic, "partition", r.Partition, "err", err)
			continue
		case err != nil:
			d.Err = err
			return d
		}
		b.sizes.keep(r.replica, spans)
		size := PartitionSize{PartitionName: r.PartitionName}
		for _, s := range spans {
			size.Bytes += s.Bytes
		}
		d.Partitions = append(d.Partitions, size)
	}
	return d
}

// sizes remembers what the store has measured: sealed parts of a log do not have to be measured again.
type sizes struct {
	mu    sync.Mutex
	spans map[record.ReplicaID][]state.Span
}

func (s *sizes) known(r record.ReplicaID) []state.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spans[r]
}

// mostSizes is how many replicas are remembered before all are forgotten: nobody says which have gone.
const mostSizes = 100_000

func (s *sizes) keep(r record.ReplicaID, spans []state.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spans == nil || len(s.spans) >= mostSizes {
		s.spans = map[record.ReplicaID][]state.Span{}
	}
	s.spans[r] = spans
}
