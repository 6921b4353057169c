package observe

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/record"
)

// partitionMeters are the meters of the partitions that live on the member. They are read at a scrape, beside
// the snapshot that names them.
type partitionMeters struct {
	limit   int
	reasons *bounded[string, dropMeter]

	mu     sync.Mutex // held to come, to go and to look; never by what a replica calls
	at     map[record.ReplicaID]*partitionMeter
	other  *partitionMeter // of those beyond the limit, together
	shared bool            // somebody uses other
}

// partitionMeter counts what one replica does. The fields are written by one replica's actor, but for the
// shared meter.
type partitionMeter struct {
	reasons *bounded[string, dropMeter]

	entries, batches, bytes, stalls, leaders     atomic.Uint64
	compactions, compactRead, compactLeft, dirty atomic.Uint64

	_ [48]byte // cache lines of its own: neighbours are written on other processors
}

// dropMeter is one reason for which inputs are dropped.
type dropMeter struct{ n prometheus.Counter }

var _ partition.Observer = (*partitionMeter)(nil)

func newPartitionMeters(r *prometheus.Registry, limit int) *partitionMeters {
	dropped := counters(r, "millstream_partition_dropped_inputs_total",
		"Inputs of replicas that were of no use, over all partitions.", "reason")
	p := &partitionMeters{
		limit: limit, at: map[record.ReplicaID]*partitionMeter{},
		reasons: newBounded(maxReasons, func(why string, other bool) *dropMeter {
			if other {
				why = otherValue
			}
			return &dropMeter{dropped.WithLabelValues(why)}
		}),
	}
	p.other = &partitionMeter{reasons: p.reasons}
	return p
}

// Partition is the observer of a replica: the same for all its lives, until Forget. Beyond
// Options.MaxPartitions replicas share one.
func (m *Metrics) Partition(id record.ReplicaID) partition.Observer { return m.partitions.of(id) }

// Forget ends the series of a replica that has gone for good.
func (m *Metrics) Forget(id record.ReplicaID) { m.partitions.forget(id) }

func (p *partitionMeters) of(id record.ReplicaID) *partitionMeter {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.at[id]
	switch {
	case m != nil:
	case len(p.at) >= p.limit:
		p.shared = true
		return p.other
	default:
		m = &partitionMeter{reasons: p.reasons}
		p.at[id] = m
	}
	return m
}

func (p *partitionMeters) forget(id record.ReplicaID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.at, id)
}

// now returns the meters as they are, and the shared one if it is used.
func (p *partitionMeters) now() (at map[record.ReplicaID]*partitionMeter, shared *partitionMeter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared {
		shared = p.other
	}
	return maps.Clone(p.at), shared
}

// LeaderChanged implements partition.Observer.
func (m *partitionMeter) LeaderChanged(_ record.Epoch, leader record.ReplicaID, _ bool) {
	if leader != 0 {
		m.leaders.Add(1)
	}
}

// Proposed implements partition.Observer.
func (m *partitionMeter) Proposed(batches, bytes int) {
	m.entries.Add(1)
	m.batches.Add(uint64(batches))
	m.bytes.Add(uint64(bytes))
}

// Waiting implements partition.Observer.
func (m *partitionMeter) Waiting(int) { m.stalls.Add(1) }

// Compacted implements partition.Observer.
func (m *partitionMeter) Compacted(before, after int64, behind uint64) {
	m.compactions.Add(1)
	m.compactRead.Add(uint64(before))
	m.compactLeft.Add(uint64(after))
	m.dirty.Store(behind)
}

// Dropped implements partition.Observer.
func (m *partitionMeter) Dropped(why string) { m.reasons.of(why).n.Inc() }
